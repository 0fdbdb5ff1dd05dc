"""ministack, an emulator by others: its process, the application in it, and its own faults."""
