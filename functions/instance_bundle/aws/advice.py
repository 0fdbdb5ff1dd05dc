"""What a person can do about a call that AWS refused."""

from instance_bundle.aws.calls import action_of
from instance_bundle.settings import identity

USE_STORE_IMAGE = (
    "`Method: StoreImage` works on AWS today, for HVM instances with an EBS root volume"
)

_ADVICE = {
    "InvalidAMIName.Duplicate": (
        "Image.Name: AMI names are unique in an account and region. Choose another name, or omit "
        "it to get a generated one."
    ),
    "InvalidInstanceID.NotFound": (
        "InstanceId: there is no such instance in the stack's account and region; check the ID."
    ),
    "InvalidInstanceID.Malformed": "InstanceId: use an ID such as i-1234567890abcdef0.",
    "IncorrectInstanceState": (
        "InstanceId: the instance must be running when it is bundled. Wait until it runs, "
        "then redeploy."
    ),
    "BundlingInProgress": (
        "InstanceId: an instance can have one bundle task at a time. "
        "Wait for the other task to end, or cancel it, then redeploy."
    ),
}
PERMISSION_CODES = {
    "403",  # the answer to a HEAD request has no body to give another code
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "Forbidden",
    "OptInRequired",
    "UnauthorizedOperation",
}
"""AWS's codes for what the caller is not permitted to do."""
_OF_IMAGES = {
    "ec2:CreateImage",
    "ec2:CreateStoreImageTask",
    "ec2:CreateTags",
    "ec2:DeleteSnapshot",
    "ec2:DeleteTags",
    "ec2:DeregisterImage",
    "ec2:DescribeSnapshots",
    "ec2:DescribeStoreImageTasks",
    "ec2:DescribeVolumes",
    "ec2:ListImagesInRecycleBin",
    "ec2:ListSnapshotsInRecycleBin",
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
# EC2 has no error code for an unsuitable instance; its message says so.
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
        message: AWS's message.
    """
    if code in _ADVICE:
        return _ADVICE[code]
    if call == "secretsmanager:GetSecretValue":
        return (
            "UploadCredentials: check that the secret exists, and that the application's "
            "parameters UploadSecretArns and UploadSecretsKmsKeyArn name it and its key."
        )
    if call in _OF_IMAGES and "kms:" in message.lower():
        return (
            "Name the KMS key in the application's parameter ImageKmsKeyArns, and let "
            f"{identity()} use it in the key's policy."
        )
    if code in PERMISSION_CODES:
        advice = f"Allow {action_of(call)} in {identity()}, and in its boundaries and SCPs."
        if call in _OF_IMAGES:
            return f"{advice} The application's parameter AllowImages grants it."
    else:
        advice = "Fix the problem named above, then redeploy."
    if call != "ec2:BundleInstance":
        return advice
    if code in _UNSUPPORTED_CODES or any(word in message.lower() for word in _UNSUPPORTED_WORDS):
        return f"{USE_STORE_IMAGE}."
    # AWS documents that the action is no longer supported, but not which error it returns now.
    return f"{advice} AWS no longer supports BundleInstance everywhere. {USE_STORE_IMAGE}."
