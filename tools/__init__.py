"""What `make` runs that is no program of its own. Never shipped."""
