"""EventBridge: events of AWS's services, and rules that deliver to queues and functions."""
