"""`python -m cli`, as `instance-bundle`."""

from cli.main import main

main()
