"""Functions that ours is measured beside; they run with its installed packages."""
