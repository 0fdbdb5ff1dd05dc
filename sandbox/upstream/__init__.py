"""What moto lacks, or does unlike AWS, and could take as it is.

Each module puts its part into moto's classes for the length of a context, and imports nothing of
the sandbox but modules of this room.
"""
