"""EventBridge: rules that deliver to queues and functions."""
