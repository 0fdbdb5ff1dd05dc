"""Functions that ours is compared with; they run with its installed packages."""
