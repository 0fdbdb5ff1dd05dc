"""Speed and cost of the application, measured beside what people would use instead."""
