"""Pollers of bundle tasks, side by side on the same simulated EC2."""
