"""`Custom::InstanceBundle`: an EC2 instance's bundle, declared in a CloudFormation stack."""

__version__ = "0.1.0"
"""The application's version, by Semantic Versioning. Only the template has to repeat it."""
