"""The calls that the sandbox claims: those that it answers itself, or whose answers or refusals it
changes (sandbox/README.md, docs/fidelity.md). All others are moto's."""

CLAIMED: dict[str, tuple[str, ...]] = {
    "cloudformation": (
        *("CancelUpdateStack", "ContinueUpdateRollback", "CreateChangeSet", "CreateStack"),
        *("DeleteChangeSet", "DeleteStack", "DescribeChangeSet", "DescribeStackEvents"),
        *("DescribeStackResource", "DescribeStackResources", "DescribeStacks"),
        *("ExecuteChangeSet", "GetTemplate", "GetTemplateSummary", "ListChangeSets"),
        *("ListExports", "ListImports", "ListStackResources", "ListStacks", "RollbackStack"),
        *("UpdateStack", "ValidateTemplate"),
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
        *("CreateSnapshot", "DeleteSnapshot", "DescribeLockedSnapshots", "DescribeSnapshots"),
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
