"""ministack, an emulator of AWS by others: its process, the application in it, and its own faults."""
