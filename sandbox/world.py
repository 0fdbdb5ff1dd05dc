"""What a new sandbox contains: instances, and tables and a queue for functions run by hand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox import deployment
from sandbox.clients import Clients
from sandbox.ec2 import api as ec2

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

BUCKET = "instance-bundles"
INSTANCE_ID = "i-1234567890abcdef0"
EBS_INSTANCE_ID = "i-0598c7d356eba48d7"
BUNDLE_ID = "bun-0c1d2e3f4a5b6c7d8"

LEDGER_TABLE = "local-ledger"
REQUEST_TABLE = "local-requests"
POLL_QUEUE = "local-polls"


@dataclass(frozen=True, slots=True)
class World:
    """What there is to try the application on; the same in each new sandbox, for `events/`.

    Attributes:
        bucket: an empty bucket for bundles.
        instance_id: a running Windows instance with an instance-store root volume, whose first
            bundle has the ID `BUNDLE_ID`.
        ebs_instance_id: a running instance with an EBS root volume.
    """

    bucket: str
    instance_id: str
    ebs_instance_id: str


def make(clients: Clients) -> World:
    """Make the bucket, run the instances, make the tables and the queue of `events/env.json`."""
    clients.s3.create_bucket(Bucket=BUCKET)
    with ec2.giving_instance_id(INSTANCE_ID):
        ec2.run_windows_instance_store(clients.ec2)
    with ec2.giving_instance_id(EBS_INSTANCE_ID):
        ec2.run_ebs_instance(clients.ec2)
    clients.ec2.create_tags(
        Resources=[INSTANCE_ID], Tags=[{"Key": "sandbox:bundle-id", "Value": BUNDLE_ID}]
    )
    for name, logical_id in {LEDGER_TABLE: "LedgerTable", REQUEST_TABLE: "RequestTable"}.items():
        _make_table(clients.client("dynamodb"), name, logical_id)
    _make_poll_queue(clients.client("sqs"))
    return World(BUCKET, INSTANCE_ID, EBS_INSTANCE_ID)


def _make_table(dynamodb: "DynamoDBClient", name: str, logical_id: str) -> None:
    declared: dict[str, Any] = deployment.template()["Resources"][logical_id]["Properties"]
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=declared["AttributeDefinitions"],
        KeySchema=declared["KeySchema"],
        BillingMode=declared["BillingMode"],
    )


def _make_poll_queue(sqs: "SQSClient") -> None:
    """No function polls it: the polls of manual invocations are manual, too."""
    sqs.create_queue(QueueName=POLL_QUEUE)
