"""The custom resource as the READMEs of crhelper and Powertools have one write it.

https://github.com/aws-cloudformation/custom-resource-helper#example-usage,
https://docs.aws.amazon.com/powertools/python/latest/
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from crhelper import CfnResource

logger = Logger(service="stock")
metrics = Metrics(namespace="Stock", service="stock")
helper = CfnResource(json_logging=True, log_level="INFO", boto_level="CRITICAL")

try:
    ec2 = boto3.client("ec2")
except Exception as error:  # noqa: BLE001  as crhelper's README has it
    helper.init_failure(error)


@helper.create
def create(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001  crhelper's
    """Start the bundle task."""
    properties = event["ResourceProperties"]
    task = ec2.bundle_instance(InstanceId=properties["InstanceId"], Storage=properties["Storage"])[
        "BundleTask"
    ]
    helper.Data["BundleId"] = task["BundleId"]
    metrics.add_metric(name="Started", unit=MetricUnit.Count, value=1)


@helper.poll_create
def poll_create(event: dict[str, Any], context: LambdaContext) -> str | None:  # noqa: ARG001
    """Check whether the bundle task has ended."""
    bundle_id: str = event["CrHelperData"]["BundleId"]
    [task] = ec2.describe_bundle_tasks(BundleIds=[bundle_id])["BundleTasks"]
    logger.info("Polled", state=task["State"])
    if task["State"] == "failed":
        raise RuntimeError(task["BundleTaskError"]["Message"])
    return bundle_id if task["State"] == "complete" else None


@helper.delete
def delete(event: dict[str, Any], context: LambdaContext) -> None:
    """Keep the bundle."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Hand the event to crhelper."""
    helper(event, context)
