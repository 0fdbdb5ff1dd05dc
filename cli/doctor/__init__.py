"""`doctor`: whether an installation is as its stack made it, and works."""
