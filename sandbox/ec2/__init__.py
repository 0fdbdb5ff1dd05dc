"""EC2: bundle tasks, images over time, and instances that can be bundled."""

SERVICE = "ec2.amazonaws.com"
"""EC2, where it makes requests of its own."""
