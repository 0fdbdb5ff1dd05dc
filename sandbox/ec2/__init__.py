"""EC2: bundle tasks and instances that can be bundled."""
