"""What the sandbox has seen of calls, messages and events. It changes none of them."""
