"""What each API call needs of the policies of the role that makes it.

It is kept by hand, from what AWS documents. That each action is one of IAM's, a test tells; that
calls and policies fit each other, in both directions, another.
"""

from collections.abc import Collection, Mapping

ACTIONS: Mapping[str, frozenset[str]] = {
    # Where the action has the call's own name, the source is the Service Authorization Reference,
    # "Actions defined by" the service.
    #
    # EC2 writes the bundle by the upload policy, in the name of whoever signed it, so that it asks
    # nothing of Amazon S3 of the caller (EC2 API Reference, BundleInstance and S3Storage).
    "ec2:BundleInstance": frozenset({"ec2:BundleInstance"}),
    "ec2:CancelBundleTask": frozenset({"ec2:CancelBundleTask"}),
    "ec2:DescribeBundleTasks": frozenset({"ec2:DescribeBundleTasks"}),
    "ec2:DescribeInstances": frozenset({"ec2:DescribeInstances"}),
    "ec2:CreateImage": frozenset({"ec2:CreateImage"}),
    # EC2 reads snapshots and tags, and writes the object, by the caller's permissions (Amazon EC2
    # User Guide, Create a store image task, Permissions for storing and restoring AMIs using S3).
    # Its one list is for both. What it has beside these only restoring can need: snapshots that are
    # written (ebs:StartSnapshot, ebs:PutSnapshotBlock, ebs:CompleteSnapshot), encrypted
    # (ec2:GetEbsEncryptionByDefault) and tagged (ec2:CreateTags). Tags that the caller can see are
    # stored (How AMI store and restore works, CreateStoreImageTask).
    "ec2:CreateStoreImageTask": frozenset(
        {
            *("ec2:CreateStoreImageTask", "ec2:DescribeTags"),
            *("ebs:GetSnapshotBlock", "ebs:ListChangedBlocks", "ebs:ListSnapshotBlocks"),
            *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket"),
            *("s3:PutObject", "s3:PutObjectTagging"),
        }
    ),
    # EC2 reads manifest and parts itself: nothing is said of the caller's permissions for Amazon S3
    # (EC2 API Reference, RegisterImage).
    "ec2:RegisterImage": frozenset({"ec2:RegisterImage"}),
    "ec2:DescribeImages": frozenset({"ec2:DescribeImages"}),
    "ec2:DescribeSnapshots": frozenset({"ec2:DescribeSnapshots"}),
    "ec2:DescribeStoreImageTasks": frozenset({"ec2:DescribeStoreImageTasks"}),
    "ec2:DeregisterImage": frozenset({"ec2:DeregisterImage"}),
    "ec2:DeleteSnapshot": frozenset({"ec2:DeleteSnapshot"}),
    "ec2:ModifyImageAttribute": frozenset({"ec2:ModifyImageAttribute"}),
    "ec2:CreateTags": frozenset({"ec2:CreateTags"}),
    "ec2:DeleteTags": frozenset({"ec2:DeleteTags"}),
    # The code goes by the 404 of a key that is missing, which is a 403 to whoever may not list the
    # bucket (Amazon S3 API Reference, HeadObject and GetObject, Permissions).
    "s3:HeadObject": frozenset({"s3:GetObject", "s3:ListBucket"}),
    "s3:GetObject": frozenset({"s3:GetObject", "s3:ListBucket"}),
    # Amazon S3 API Reference, ListObjectsV2, Permissions.
    "s3:ListObjectsV2": frozenset({"s3:ListBucket"}),
    # By entity tags, which takes both (Amazon S3 User Guide, How to perform conditional deletes).
    "s3:DeleteObjects": frozenset({"s3:DeleteObject", "s3:GetObject"}),
    "dynamodb:DeleteItem": frozenset({"dynamodb:DeleteItem"}),
    "dynamodb:GetItem": frozenset({"dynamodb:GetItem"}),
    "dynamodb:PutItem": frozenset({"dynamodb:PutItem"}),
    "dynamodb:Query": frozenset({"dynamodb:Query"}),
    "dynamodb:UpdateItem": frozenset({"dynamodb:UpdateItem"}),
    # Secrets Manager API Reference, GetSecretValue, Required permissions.
    "secretsmanager:GetSecretValue": frozenset({"secretsmanager:GetSecretValue"}),
    # Amazon EventBridge API Reference, PutEvents.
    "events:PutEvents": frozenset({"events:PutEvents"}),
    # Amazon SQS Developer Guide, Amazon SQS API permissions.
    "sqs:SendMessage": frozenset({"sqs:SendMessage"}),
    "sqs:SendMessageBatch": frozenset({"sqs:SendMessage"}),
    "sqs:DeleteMessageBatch": frozenset({"sqs:DeleteMessage"}),
    # The function receives messages itself, and so does Lambda, which also makes these (AWS Lambda
    # Developer Guide, Creating and configuring an Amazon SQS event source mapping, Setting up
    # execution role permissions).
    "sqs:DeleteMessage": frozenset({"sqs:DeleteMessage"}),
    "sqs:GetQueueAttributes": frozenset({"sqs:GetQueueAttributes"}),
    "sqs:ReceiveMessage": frozenset({"sqs:ReceiveMessage"}),
    # Lambda makes it for the on-failure destination (AWS Lambda Developer Guide, Capturing records
    # of Lambda asynchronous invocations, Adding a destination).
    "lambda:InvokeFunction": frozenset({"lambda:InvokeFunction"}),
    # Lambda makes them for what the function logs (AWS Lambda Developer Guide, Sending Lambda
    # function logs to CloudWatch Logs, Required IAM permissions); the log group is there already.
    "logs:CreateLogStream": frozenset({"logs:CreateLogStream"}),
    "logs:PutLogEvents": frozenset({"logs:PutLogEvents"}),
    # The URLs are pre-signed: CloudFormation's permission counts, not the function's
    # (CloudFormation User Guide, Custom resource request objects, ResponseURL; Create wait
    # conditions in a CloudFormation template).
    "response:Put": frozenset(),
    "signal:Put": frozenset(),
}
"""The actions, by the call, as `service:Action`."""

BY_LAMBDA = frozenset(
    {
        *("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        *("lambda:InvokeFunction", "logs:CreateLogStream", "logs:PutLogEvents"),
    }
)
"""The calls that Lambda makes by the function's role."""

WITH_KEYS: Mapping[str, frozenset[str]] = {
    # DynamoDB has the table's key decrypted, on behalf of whoever uses the table (Amazon DynamoDB
    # Developer Guide, DynamoDB encryption at rest usage notes, Table key caching and Authorizing
    # use of your KMS key).
    "dynamodb:DeleteItem": frozenset({"kms:Decrypt"}),
    "dynamodb:GetItem": frozenset({"kms:Decrypt"}),
    "dynamodb:PutItem": frozenset({"kms:Decrypt"}),
    "dynamodb:Query": frozenset({"kms:Decrypt"}),
    "dynamodb:UpdateItem": frozenset({"kms:Decrypt"}),
    # Secrets Manager API Reference, GetSecretValue, Required permissions.
    "secretsmanager:GetSecretValue": frozenset({"kms:Decrypt"}),
    # Amazon SQS Developer Guide, Key management, Configure KMS permissions for producers, and for
    # consumers.
    "sqs:SendMessage": frozenset({"kms:Decrypt", "kms:GenerateDataKey"}),
    "sqs:SendMessageBatch": frozenset({"kms:Decrypt", "kms:GenerateDataKey"}),
    "sqs:ReceiveMessage": frozenset({"kms:Decrypt"}),
}
"""The actions that are needed besides where the service encrypts by a key of the customer's."""


AT_CREATION: Mapping[str, frozenset[str]] = {
    # They have the image, and its snapshots, tagged as they are made (Service Authorization
    # Reference, Amazon EC2, CreateImage and RegisterImage, Dependent actions; Amazon EC2 User
    # Guide, Grant permission to tag Amazon EC2 resources during creation).
    "ec2:CreateImage": frozenset({"ec2:CreateTags"}),
    "ec2:RegisterImage": frozenset({"ec2:CreateTags"}),
}
"""The actions that are needed besides on what the call creates, as it does."""


def needs(call: str, encrypting: Collection[str] = ()) -> set[str]:
    """What a call needs: actions; those on a key say through which service, and those on what is
    being created, by which call.

    Args:
        call: as `service:Action`.
        encrypting: the services that encrypt by a key of the customer's.

    Raises:
        KeyError: the call is not one that is known here.
    """
    service = call.partition(":")[0]
    of_key = WITH_KEYS.get(call, frozenset()) if service in encrypting else frozenset()
    return {
        *ACTIONS[call],
        *(through(action, service) for action in of_key),
        *(at_creation(action, call) for action in AT_CREATION.get(call, frozenset())),
    }


def through(action: str, service: str) -> str:
    """An action on a key that a service does on the caller's behalf."""
    return f"{action} through {service}"


def at_creation(action: str, call: str) -> str:
    """An action on what a call creates, as `ec2:CreateAction` holds it to that call."""
    return f"{action} as a part of {call}"
