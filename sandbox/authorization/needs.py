"""Which permissions each API call needs of the calling role.

It is kept by hand, from what AWS documents. Where the action has the call's own name, the source is
the Service Authorization Reference, "Actions defined by" the service. That each action is one of
IAM's, with these types of resources, a test shows; that calls and the template's policies fit each
other, in both directions, another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sandbox.authorization import ec2, others, s3
from sandbox.authorization.call import Call
from sandbox.authorization.demand import Demand, Target

On = Callable[[Call], Iterator[Target]]
"""What an action is done to in a call."""


@dataclass(frozen=True, slots=True)
class Need:
    """An action, and what it is done to."""

    action: str
    on: On


def _each(service: str, on: On, *calls: str) -> dict[str, tuple[Need, ...]]:
    """Calls that need the action of their own name, and no more."""
    names = (f"{service}:{call}" for call in calls)
    return {name: (Need(name, on),) for name in names}


def _all(on: On, *actions: str) -> Iterable[Need]:
    return (Need(action, on) for action in actions)


# DynamoDB decrypts the table's key on behalf of the caller (Amazon DynamoDB Developer Guide,
# DynamoDB encryption at rest usage notes, Table key caching and Authorizing use of your KMS key).
_DECRYPT_TABLE = Need("kms:Decrypt", others.key_of_table)

# Amazon SQS Developer Guide, Amazon SQS API permissions; Key management, Configure KMS permissions
# for producers, and for consumers.
_SEND = (
    Need("sqs:SendMessage", others.queue),
    *_all(others.key_of_queue, "kms:Decrypt", "kms:GenerateDataKey"),
)

# A request that names a version needs s3:GetObjectVersion, and not s3:GetObject (Amazon S3 API
# Reference, GetObject, versionId). S3 answers 404 for a missing key only to callers that may list
# the bucket.
_READ_OBJECT = (
    Need("s3:GetObject", s3.current_object),
    Need("s3:GetObjectVersion", s3.object_version),
    Need("s3:ListBucket", s3.bucket_of_missing_object),
)


def _of_lock(call: str) -> dict[str, tuple[Need, ...]]:
    """The page says nothing of a missing key; it is as in GetObject."""
    return {call: (Need(call, s3.object_), Need("s3:ListBucket", s3.bucket_of_missing_object))}


NEEDS: Mapping[str, tuple[Need, ...]] = {
    # EC2 writes the bundle with the upload policy, on behalf of its signer, so the caller needs no
    # permissions for Amazon S3 (EC2 API Reference, BundleInstance and S3Storage).
    **_each("ec2", ec2.anything, "BundleInstance", "CancelBundleTask", "DescribeBundleTasks"),
    **_each("ec2", ec2.anything, "DescribeImages", "DescribeInstances", "DescribeSnapshots"),
    **_each("ec2", ec2.anything, "DescribeLockedSnapshots", "DescribeStoreImageTasks"),
    **_each("ec2", ec2.image, "ModifyImageAttribute"),
    # Without permission for a snapshot, the image is deregistered and the snapshot stays (EC2 API
    # Reference, DeleteSnapshotReturnCode).
    "ec2:DeregisterImage": (
        Need("ec2:DeregisterImage", ec2.image),
        Need("ec2:DeleteSnapshot", ec2.snapshots_deleted_with_image),
    ),
    **_each("ec2", ec2.anything, "DescribeVolumes"),
    **_each("ec2", ec2.anything, "ListImagesInRecycleBin", "ListSnapshotsInRecycleBin"),
    **_each("ec2", ec2.snapshot, "DeleteSnapshot"),
    **_each("ec2", ec2.tagged, "CreateTags", "DeleteTags"),
    # Both tag the image, and its snapshots, when they are created (Service Authorization
    # Reference, Amazon EC2, CreateImage and RegisterImage, Dependent actions).
    "ec2:CreateImage": (
        Need("ec2:CreateImage", ec2.image_from_instance),
        Need("ec2:CreateTags", ec2.tagged_at_creation),
    ),
    # EC2 reads manifest and parts itself: the page names no permissions of the caller for Amazon S3
    # (EC2 API Reference, RegisterImage).
    "ec2:RegisterImage": (
        Need("ec2:RegisterImage", ec2.new_image),
        Need("ec2:CreateTags", ec2.tagged_at_creation),
    ),
    # EC2 reads snapshots and tags, and writes the object, by the caller's permissions (Amazon EC2
    # User Guide, Create a store image task, Permissions for storing and restoring AMIs using S3).
    # Its one list is for both. The rest of it only restoring can need: snapshots that are
    # written (ebs:StartSnapshot, ebs:PutSnapshotBlock, ebs:CompleteSnapshot), encrypted
    # (ec2:GetEbsEncryptionByDefault) and tagged (ec2:CreateTags). Tags that the caller can see are
    # stored (How AMI store and restore works, CreateStoreImageTask).
    "ec2:CreateStoreImageTask": (
        Need("ec2:CreateStoreImageTask", ec2.image),
        Need("ec2:DescribeTags", ec2.anything),
        *_all(
            ec2.snapshots_of_image,
            *("ebs:GetSnapshotBlock", "ebs:ListChangedBlocks", "ebs:ListSnapshotBlocks"),
        ),
        # "If the snapshots that make up the AMI are encrypted, [...] your IAM principal must have
        # permission to use the KMS key": they are decrypted. Who reads them needs "the AWS KMS
        # decrypt action" (Amazon EBS User Guide, Frequently asked questions for EBS direct APIs).
        Need("kms:Decrypt", ec2.keys_of_image),
        Need("s3:ListBucket", s3.bucket_of_stored_image),
        *_all(
            s3.stored_image,
            *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
            "s3:PutObjectTagging",
        ),
    ),
    # Amazon S3 API Reference, HeadObject and GetObject, Permissions.
    "s3:HeadObject": _READ_OBJECT,
    "s3:GetObject": _READ_OBJECT,
    **_of_lock("s3:GetObjectRetention"),
    # Amazon S3 API Reference, ListObjectsV2, Permissions.
    "s3:HeadBucket": (Need("s3:ListBucket", s3.bucket),),
    "s3:ListObjectsV2": (Need("s3:ListBucket", s3.bucket),),
    # Amazon S3 User Guide, Required permissions for Amazon S3 API operations.
    "s3:ListObjectVersions": (Need("s3:ListBucketVersions", s3.bucket),),
    # With ETags it needs both (Amazon S3 User Guide, How to perform conditional deletes); with
    # versions, and to bypass their retention, others (Amazon S3 API Reference, DeleteObjects).
    "s3:DeleteObjects": (
        Need("s3:DeleteObject", s3.listed_objects),
        Need("s3:DeleteObjectVersion", s3.listed_versions),
        Need("s3:GetObject", s3.listed_objects_as_seen),
        Need("s3:BypassGovernanceRetention", s3.listed_despite_retention),
    ),
    **_each(
        *("cloudformation", others.stack),
        *("DescribeStackEvents", "DescribeStackResource", "DescribeStacks"),
    ),
    **{
        f"dynamodb:{call}": (Need(f"dynamodb:{call}", others.table), _DECRYPT_TABLE)
        for call in ("DeleteItem", "PutItem", "Query", "UpdateItem")
    },
    # Secrets Manager API Reference, GetSecretValue, Required permissions.
    "secretsmanager:GetSecretValue": (
        Need("secretsmanager:GetSecretValue", others.secret),
        Need("kms:Decrypt", others.key_of_secret),
    ),
    # Amazon EventBridge API Reference, PutEvents.
    "events:PutEvents": (Need("events:PutEvents", others.buses),),
    "sqs:SendMessage": _SEND,
    "sqs:SendMessageBatch": _SEND,
    # The function receives messages itself, and so does Lambda, which also makes these (AWS Lambda
    # Developer Guide, Creating and configuring an Amazon SQS event source mapping, Setting up
    # execution role permissions).
    **_each("sqs", others.queue, "DeleteMessage", "GetQueueAttributes"),
    "sqs:DeleteMessageBatch": (Need("sqs:DeleteMessage", others.queue),),
    "sqs:ReceiveMessage": (
        Need("sqs:ReceiveMessage", others.queue),
        Need("kms:Decrypt", others.keys_of_messages),
    ),
    # Lambda makes it for the on-failure destination (AWS Lambda Developer Guide, Capturing records
    # of Lambda asynchronous invocations, Adding a destination).
    **_each("lambda", others.function, "InvokeFunction"),
    # Lambda makes them for what the function logs (AWS Lambda Developer Guide, Sending Lambda
    # function logs to CloudWatch Logs, Required IAM permissions).
    **_each("logs", others.log_group, "CreateLogGroup"),
    **_each("logs", others.log_stream, "CreateLogStream", "PutLogEvents"),
    # The URLs are pre-signed: CloudFormation's permission counts, not the function's
    # (CloudFormation User Guide, Custom resource request objects, ResponseURL; Create wait
    # conditions in a CloudFormation template).
    "response:Put": (),
    "signal:Put": (),
}
"""The needs, by the call, as `service:Action`."""

OTHER_NEEDS: Mapping[str, tuple[Need, ...]] = {
    # What of that list restoring needs (see CreateStoreImageTask).
    "ec2:CreateRestoreImageTask": (
        Need("ec2:CreateRestoreImageTask", ec2.new_image),
        Need("s3:ListBucket", s3.bucket_of_stored_image),
        Need("s3:GetObject", s3.restored_image),
        Need("ec2:GetEbsEncryptionByDefault", ec2.anything),
        *_all(
            ec2.new_snapshots,
            *("ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"),
        ),
        Need("ec2:CreateTags", ec2.restored_tags),
    ),
    # Amazon S3 API Reference, DeleteObject, as DeleteObjects.
    "s3:DeleteObject": (
        Need("s3:DeleteObject", s3.current_object),
        Need("s3:DeleteObjectVersion", s3.object_version),
        Need("s3:GetObject", s3.object_as_seen),
        Need("s3:BypassGovernanceRetention", s3.object_despite_retention),
    ),
    **_of_lock("s3:GetObjectLegalHold"),
    **{
        f"dynamodb:{call}": (Need(f"dynamodb:{call}", others.table), _DECRYPT_TABLE)
        for call in ("BatchGetItem", "BatchWriteItem", "GetItem", "Scan")
    },
    **_each("dynamodb", others.table, "ExportTableToPointInTime", "RestoreTableToPointInTime"),
    **_each(
        *("cloudformation", others.stack),
        *("DescribeChangeSet", "DescribeStackResources", "GetTemplate", "ListStackResources"),
    ),
    # CloudFormation User Guide, CloudFormation service role; IAM User Guide, Grant a user
    # permissions to pass a role to an AWS service.
    **{
        f"cloudformation:{call}": (
            Need(f"cloudformation:{call}", others.stack),
            Need("iam:PassRole", others.passed_role),
        )
        for call in (
            *("ContinueUpdateRollback", "CreateChangeSet", "CreateStack", "DeleteStack"),
            *("RollbackStack", "UpdateStack"),
        )
    },
    **_each(
        *("cloudformation", others.stack),
        *(
            "CancelUpdateStack",
            "DeleteChangeSet",
            "ExecuteChangeSet",
            "GetTemplateSummary",
            "ListChangeSets",
        ),
    ),
    **_each("events", others.rule, "DescribeRule", "ListTargetsByRule"),
    **_each("events", others.rule, "DeleteRule", "PutRule", "PutTargets", "RemoveTargets"),
    **_each(
        *("iam", others.role),
        *("GetRole", "ListAttachedRolePolicies", "ListRolePolicies", "SimulatePrincipalPolicy"),
    ),
    **_each("kms", others.named_key, "DescribeKey", "GetKeyPolicy"),
    **_each(
        *("lambda", others.function),
        *("AddPermission", "GetFunctionConcurrency", "GetFunctionConfiguration"),
        *("GetFunctionEventInvokeConfig", "GetFunctionRecursionConfig", "RemovePermission"),
    ),
    **_each("lambda", others.event_source_mapping, "GetEventSourceMapping"),
    # The service signs as `monitoring` (Service Authorization Reference, Amazon CloudWatch).
    "monitoring:DescribeAlarms": (Need("cloudwatch:DescribeAlarms", others.anything),),
    # "No permissions are required" (AWS STS API Reference, GetCallerIdentity).
    "sts:GetCallerIdentity": (),
}
"""The same, of calls that the application does not make."""

BY_LAMBDA = frozenset(
    {
        *("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        *("lambda:InvokeFunction", "logs:CreateLogGroup"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
    }
)
"""The calls that Lambda makes by the role of a function."""

_S3_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjects": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "UploadPart": "PutObject",
}
"""Amazon S3 User Guide, Required permissions for Amazon S3 API operations."""


_EC2_RESOURCES: Mapping[str, On] = {
    **dict.fromkeys(("DescribeImageAttribute", "DisableImage", "EnableImage"), ec2.image),
    **dict.fromkeys(
        ("DisableImageDeregistrationProtection", "EnableImageDeregistrationProtection"), ec2.image
    ),
    **dict.fromkeys(("DescribeSnapshotAttribute", "LockSnapshot", "UnlockSnapshot"), ec2.snapshot),
}
"""What calls that the map lacks are about; other calls of EC2 count as if they had no resource
types, as DescribeVolumes, DescribeLockedSnapshots and ListImagesInRecycleBin have none."""


def demands_of(call: Call) -> list[Demand]:
    """What has to be allowed for a call.

    One that both maps lack needs the action of its name: on its table, queue, bucket, object, image
    or snapshot, and of other services on `*`.
    """
    needs = NEEDS.get(call.name, OTHER_NEEDS.get(call.name))
    if needs is None:
        needs = (_of_its_name(call),)
    return [Demand(need.action, target) for need in needs for target in need.on(call)]


def _of_its_name(call: Call) -> Need:
    match call.service:
        case "s3":
            action = f"s3:{_S3_ACTIONS.get(call.action, call.action)}"
            on_bucket = s3.bucket if call.bucket else others.anything
            return Need(action, s3.object_ if call.key else on_bucket)
        case "sqs" if "QueueUrl" in call.parameters:
            return Need(call.name.removesuffix("Batch"), others.queue)
        case "dynamodb" if "TableName" in call.parameters:
            return Need(call.name, others.table)
        case "ec2":
            return Need(call.name, _EC2_RESOURCES.get(call.action, ec2.anything))
    return Need(call.name, others.anything)
