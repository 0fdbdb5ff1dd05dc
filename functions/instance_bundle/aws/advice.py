"""What a person can do about a call that AWS refused."""

from instance_bundle.aws.calls import action_of
from instance_bundle.errors import PERMISSION_CODES
from instance_bundle.settings import identity

USE_STORE_IMAGE = (
    "Use `Method: StoreImage`, which suits EBS-backed and Linux instances and works on AWS today"
)

_ADVICE = {
    "InvalidAMIName.Duplicate": (
        "Image.Name: names of AMIs are unique in an account and region; give another, or omit it "
        "to have a unique one made."
    ),
    "InvalidInstanceID.NotFound": (
        "InstanceId: there is no such instance in the stack's account and region; check the ID."
    ),
    "InvalidInstanceID.Malformed": "InstanceId: give an ID such as i-1234567890abcdef0.",
    "IncorrectInstanceState": (
        "InstanceId: the instance must be running when it is bundled; wait until it is, "
        "then create the stack again."
    ),
    "BundlingInProgress": (
        "InstanceId: one bundle task at a time is possible on an instance; "
        "wait for the other one to end, or cancel it, then create the stack again."
    ),
}
_OF_IMAGES = {
    "ec2:CreateImage",
    "ec2:CreateStoreImageTask",
    "ec2:CreateTags",
    "ec2:DeleteSnapshot",
    "ec2:DeleteTags",
    "ec2:DeregisterImage",
    "ec2:DescribeSnapshots",
    "ec2:DescribeStoreImageTasks",
    "ec2:ModifyImageAttribute",
    "ec2:RegisterImage",
}
_UNSUPPORTED_CODES = {
    "InvalidAction",
    "OperationNotPermitted",
    "Unsupported",
    "UnsupportedOperation",
    "UnsupportedOperationException",
}
# EC2 has no code of its own for "wrong kind of instance"; the words tell.
_UNSUPPORTED_WORDS = (
    "instance store",
    "instance-store",
    "no longer supported",
    "not supported",
    "not applicable",
    "deprecated",
    "not available",
)


def on(call: str, code: str, message: str) -> str:
    """What to do about a refusal.

    Args:
        call: the call, such as `s3:HeadObject`.
        code: AWS's error code.
        message: AWS's words.
    """
    if code in _ADVICE:
        return _ADVICE[code]
    if call == "secretsmanager:GetSecretValue":
        return (
            "UploadCredentials: check that the secret is there, and that the application's "
            "parameters UploadSecretArns and UploadSecretsKmsKeyArn name it and its key."
        )
    if code in PERMISSION_CODES:
        advice = f"Allow {action_of(call)} in {identity()}, and in any boundary or SCP above it."
        if call in _OF_IMAGES:
            return f"{advice} The application's parameter AllowImages gives it."
    else:
        advice = "Mend what the message names, then deploy again."
    if call != "ec2:BundleInstance":
        return advice
    if code in _UNSUPPORTED_CODES or any(word in message.lower() for word in _UNSUPPORTED_WORDS):
        return f"{USE_STORE_IMAGE}."
    # AWS documents the action as no longer supported but not the error it answers now.
    return f"{advice} AWS no longer supports BundleInstance everywhere. {USE_STORE_IMAGE}."
