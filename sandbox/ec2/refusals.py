"""What EC2 answers to a request that it refuses."""


class Ec2Error(Exception):
    """What EC2 answers instead: its error code and message."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


def missing(parameter: str) -> Ec2Error:
    """A parameter that a request must have is not there."""
    return Ec2Error("MissingParameter", f"The request must contain the parameter {parameter}")
