"""What software by others says of the application and of the sandbox: `make judges`."""
