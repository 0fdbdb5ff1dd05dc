"""A function that does nothing: what Python and its runtime take by themselves."""


def handler(event: object, context: object) -> None:
    """Do nothing."""
