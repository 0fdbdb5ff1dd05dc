"""The calls that the sandbox claims: those that it answers itself, or whose answers or refusals it
changes (sandbox/README.md, docs/fidelity.md). All others are moto's."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from botocore import xform_name
from moto.awslambda.responses import LambdaResponse
from moto.cloudwatch.responses import CloudWatchResponse
from moto.dynamodb.responses import DynamoHandler
from moto.ec2.responses import EC2Response
from moto.events.responses import EventsHandler
from moto.iam.responses import IamResponse
from moto.kms.responses import KmsResponse
from moto.s3.responses import S3Response
from moto.sqs.responses import SQSResponse
from moto.ssm.responses import SimpleSystemManagerResponse

import sandbox
from sandbox.cloudformation.responses import Response

from .recorder import model_of

CLAIMED: dict[str, tuple[str, ...]] = {
    "cloudformation": (
        *("CancelUpdateStack", "ContinueUpdateRollback", "CreateChangeSet", "CreateStack"),
        *("DeleteChangeSet", "DeleteStack", "DescribeChangeSet", "DescribeStackEvents"),
        *("DescribeStackResource", "DescribeStackResources", "DescribeStacks"),
        *("ExecuteChangeSet", "GetTemplate", "GetTemplateSummary", "ListChangeSets"),
        *("ListExports", "ListImports", "ListStackResources", "ListStacks", "RollbackStack"),
        *("UpdateStack", "UpdateTerminationProtection", "ValidateTemplate"),
    ),
    "cloudwatch": (
        *("DeleteAlarms", "DescribeAlarms", "GetDashboard", "GetMetricData"),
        *("GetMetricStatistics", "ListMetrics", "PutDashboard", "PutMetricAlarm"),
        *("PutMetricData", "SetAlarmState"),
    ),
    "ec2": (
        *("BundleInstance", "CancelBundleTask", "DescribeBundleTasks"),
        *("CopyImage", "CreateImage", "DeregisterImage", "DescribeImageAttribute"),
        *("DescribeImages", "DisableImage", "EnableImage", "ModifyImageAttribute"),
        *("DisableImageDeregistrationProtection", "EnableImageDeregistrationProtection"),
        *("RegisterImage", "ListImagesInRecycleBin"),
        *("CreateRestoreImageTask", "CreateStoreImageTask", "DescribeStoreImageTasks"),
        *("CopySnapshot", "CreateSnapshot", "CreateSnapshots", "DeleteSnapshot"),
        *("DescribeLockedSnapshots", "DescribeSnapshots"),
        *("ListSnapshotsInRecycleBin", "LockSnapshot", "UnlockSnapshot"),
        *("CreateTags", "DeleteTags", "DescribeTags", "DescribeInstances", "RunInstances"),
        *("DescribeInstanceStatus", "StopInstances", "StartInstances", "TerminateInstances"),
    ),
    "events": (
        *("CreateEventBus", "DeleteRule", "DescribeRule", "ListRules", "ListTargetsByRule"),
        *("PutEvents", "PutRule", "PutTargets", "RemoveTargets", "TestEventPattern"),
    ),
    "iam": (
        *("AttachRolePolicy", "CreatePolicy", "CreatePolicyVersion", "CreateRole"),
        *("DeleteRolePolicy", "DetachRolePolicy", "PutRolePolicy", "SimulatePrincipalPolicy"),
        "UpdateAssumeRolePolicy",
    ),
    "kms": ("CancelKeyDeletion", "DisableKey", "EnableKey", "ScheduleKeyDeletion"),
    "lambda": (
        *("AddPermission", "CreateEventSourceMapping", "CreateFunction"),
        *("DeleteEventSourceMapping", "DeleteFunction", "DeleteFunctionConcurrency"),
        *("GetEventSourceMapping", "GetFunction", "GetFunctionConcurrency"),
        *("GetFunctionConfiguration", "GetFunctionEventInvokeConfig"),
        *("GetFunctionRecursionConfig", "GetPolicy", "Invoke", "ListEventSourceMappings"),
        *("ListFunctions", "PutFunctionConcurrency", "PutFunctionEventInvokeConfig"),
        *("PutFunctionRecursionConfig", "UpdateEventSourceMapping", "UpdateFunctionCode"),
        "UpdateFunctionConfiguration",
    ),
    "rbin": ("CreateRule",),
    "s3": (
        *("CreateBucket", "DeleteBucket", "HeadBucket", "GetBucketLocation", "ListBuckets"),
        *("GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration"),
        *("GetBucketVersioning", "PutBucketVersioning", "ListObjectVersions"),
        *("GetObjectLockConfiguration", "PutObjectLockConfiguration"),
        *("CopyObject", "DeleteObject", "DeleteObjects", "GetObject", "HeadObject"),
        *("ListObjectsV2", "PutObject"),
        *("GetObjectLegalHold", "GetObjectRetention", "PutObjectLegalHold", "PutObjectRetention"),
        *("AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload"),
        *("ListMultipartUploads", "UploadPart"),
    ),
    "serverlessrepo": (
        *("CreateApplication", "CreateApplicationVersion", "GetApplication", "UpdateApplication"),
    ),
    "sqs": (
        *("ChangeMessageVisibility", "CreateQueue", "DeleteMessage", "DeleteMessageBatch"),
        *("DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "ListQueues", "PurgeQueue"),
        *("ReceiveMessage", "SendMessage", "SendMessageBatch", "SetQueueAttributes"),
    ),
    "ssm": ("GetParameter", "PutParameter"),
    "dynamodb": ("DescribeTable", "UpdateTable"),
}
"""Operations by service, by botocore's names."""

CALLS = [f"{service}:{name}" for service, names in CLAIMED.items() for name in names]

_ANSWERING: dict[str, type] = {
    "cloudformation": Response,
    "cloudwatch": CloudWatchResponse,
    "dynamodb": DynamoHandler,
    "ec2": EC2Response,
    "events": EventsHandler,
    "iam": IamResponse,
    "kms": KmsResponse,
    "lambda": LambdaResponse,
    "s3": S3Response,
    "sqs": SQSResponse,
    "ssm": SimpleSystemManagerResponse,
}
"""What answers the calls of each service, by moto."""

_SANDBOX = str(Path(sandbox.__file__).parent)


def answered() -> Iterator[str]:
    """The calls that the sandbox itself answers, by its code, as long as a `Server` runs. What it
    changes below the answers is not among them."""
    for service, owner in _ANSWERING.items():
        model = model_of(service)
        names = {
            xform_name(name): name
            for name in model.operation_names
            if not model.operation_model(name).deprecated
        }
        for method, function in inspect.getmembers(owner, inspect.isfunction):
            if function.__code__.co_filename.startswith(_SANDBOX) and method in names:
                yield f"{service}:{names[method]}"
