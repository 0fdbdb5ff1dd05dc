"""A thousand stacks at once, through the sandbox."""
