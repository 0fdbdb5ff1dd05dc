"""What a release consists of: `python -m tools.release` writes it to `dist/`.

The files depend on the sources and on the Python that compiles the functions, and on nothing else:
not on the folder, the time, the time zone or the umask.
"""
