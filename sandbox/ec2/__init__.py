"""EC2: bundle tasks, images over time, and instances that can be bundled."""
