"""What the first request to a function costs, and what memory to give it."""
