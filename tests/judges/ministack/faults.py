"""Faults of ministack itself, each shown against it alone, with a custom resource that is not ours.

`python -m tests.judges.ministack.faults NAME` starts ministack, and prints what AWS documents and
what ministack does. It ends with status 1 if the fault is not there any more.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.clients import Clients
from tests.stacks.support import wait_for

from .emulator import AUTHORIZED, running
from .small_stacks import SmallResource, document

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
STATUS_CODES = f"{GUIDE}/view-stack-events-by-operation.html#stack-status-codes"
BAD: Mapping[str, Any] = {
    "Type": "AWS::SSM::Parameter",
    "DependsOn": "Small",
    "Properties": {"Type": "None", "Value": "x"},
}
"""A resource that can't be created."""


@dataclass(frozen=True)
class Shown:
    """What was seen.

    Attributes:
        documented: what AWS does.
        seen: what ministack does; the fault is that they differ.
        source: where AWS says so.
    """

    documented: Any
    seen: Any
    source: str

    @property
    def is_there(self) -> bool:
        """Whether ministack still has the fault."""
        return bool(self.documented != self.seen)


@dataclass(frozen=True)
class Reproducer:
    """How a fault is shown.

    Attributes:
        case: what of the application can't be shown in ministack.
        show: does it, by the clients of a ministack.
        variables: of that ministack's environment.
    """

    case: str
    show: Callable[[Clients], Shown]
    variables: Mapping[str, str] = field(default_factory=dict)


def _metric_math(aws: Clients) -> Shown:
    metric = {"Namespace": "Small", "MetricName": "Requests"}
    measured = {"Metric": metric, "Period": 60, "Stat": "Sum"}
    alarm = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Metrics": [
                {"Id": "twice", "Expression": "once * 2", "Label": "Twice"},
                {"Id": "once", "MetricStat": measured, "ReturnData": False},
            ],
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
        },
    }
    status = SmallResource(aws, "metric-math").stack({"Alarm": alarm}).at_rest()
    return Shown(
        "CREATE_COMPLETE",
        status,
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/"
        "aws-resource-cloudwatch-alarm.html",
    )


def _cleanup_status(aws: Clients) -> Shown:
    small = SmallResource(aws, "cleanup-status")
    stack = small.stack(small.declared(Id="first"))
    stack.at_rest()
    stack.update(small.declared(Id="second"))
    stack.at_rest()
    [deleting] = small.states("Delete first")
    return Shown("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", deleting["StackStatus"], STATUS_CODES)


def _delete_status(aws: Clients) -> Shown:
    small = SmallResource(aws, "delete-status")
    small.stack({**small.declared(Id="first"), "Bad": BAD}).at_rest()
    [deleting] = small.states("Delete first")
    return Shown(
        "DELETE_IN_PROGRESS",
        deleting["ResourceStatus"],
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/"
        "API_StackResourceDetail.html",
    )


def _rollback_update(aws: Clients) -> Shown:
    small = SmallResource(aws, "rollback-update")
    stack = small.stack(small.declared(Id="first"))
    stack.at_rest()
    stack.update({**small.declared(Id="second"), "Bad": BAD})
    stack.at_rest()
    return Shown(
        ["Create", "Update first", "Update second", "Delete second"],
        small.requests(),
        f"{GUIDE}/crpg-ref-requesttypes-update.html",
    )


def _failed_create(aws: Clients) -> Shown:
    small = SmallResource(aws, "failed-create")
    small.stack(small.declared(Id="first", Fails="Create")).at_rest()
    return Shown(
        ["Create", "Delete first"],
        small.requests(),
        f"{GUIDE}/crpg-ref-requesttypes-delete.html",
    )


def _deleted_while_created(aws: Clients) -> Shown:
    small = SmallResource(aws, "deleted-while-created")
    stack = small.stack(small.declared(Id="first", Silent="Create", ServiceTimeout="20"))
    wait_for(lambda: small.requests() or None, "the Create")
    stack.delete()
    stack.at_rest()
    return Shown(
        ["Create", "Delete"],
        [request.split()[0] for request in small.requests()],
        f"{GUIDE}/crpg-ref-requesttypes-delete.html",
    )


def _no_retry(aws: Clients) -> Shown:
    """A crash in an asynchronous invocation by anybody else, and in one by CloudFormation."""
    small = SmallResource(aws, "no-retry")
    small.stack(small.declared(Id="works")).at_rest()
    properties = {"Crashes": "Create", "Id": "anybody"}
    event = {"RequestType": "Create", "ResourceProperties": properties}
    aws.functions.invoke(
        FunctionName=small.name, InvocationType="Event", Payload=json.dumps(event).encode()
    )
    tries = 3
    wait_for(lambda: small.creates("anybody") == tries or None, "the retries")
    small.stack(small.declared(Id="stack", Crashes="Create", ServiceTimeout="20")).at_rest()
    return Shown(
        tries,
        small.creates("stack"),
        "https://docs.aws.amazon.com/lambda/latest/dg/services-cloudformation.html, "
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html",
    )


def _principal_arn(aws: Clients) -> Shown:
    """Two queues, which the function's role may use; one denies all other principals its use."""
    allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    small = SmallResource(aws, "principal-arn", allowed)
    others_denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": small.role}},
    }
    sqs = aws.client("sqs")
    urls = []
    for kind, attributes in (("open", {}), ("closed", {"Policy": document(others_denied)})):
        name = f"{small.name}-{kind}"
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        small.stack(small.declared(Id=kind, Queue=url)).at_rest()
        urls.append(url)
    received = [sqs.receive_message(QueueUrl=url).get("Messages", []) for url in urls]
    return Shown(
        ["open", "closed"],
        [message["Body"] for messages in received for message in messages],
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
        "reference_policies_condition-keys.html#condition-keys-principalarn",
    )


def _table_policy(aws: Clients) -> Shown:
    """A table whose policy denies everything to everybody but the root user."""
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:PutItem",
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"}},
    }
    small = SmallResource(
        aws, "table-policy", {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"}
    )
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": small.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "ResourcePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [denied]}},
        },
    }
    declared = small.declared(Id="first", Table={"Ref": "Table"})
    status = small.stack({"Table": table, **declared}).at_rest()
    return Shown(
        "ROLLBACK_COMPLETE",
        status,
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-intro.html",
    )


REPRODUCERS: Mapping[str, Reproducer] = {
    "metric-math": Reproducer(
        "the alarms of expressions, which are not in the copy of the template", _metric_math
    ),
    "cleanup-status": Reproducer(
        "the confirmation of a Delete in the clean-up of an update", _cleanup_status
    ),
    "delete-status": Reproducer(
        "the confirmation of a Delete in the rollback of a creation", _delete_status
    ),
    "rollback-update": Reproducer("a replacement that is rolled back", _rollback_update),
    "failed-create": Reproducer(
        "that a failed Create leaves no image, which its Delete removes", _failed_create
    ),
    "deleted-while-created": Reproducer(
        "a stack that is deleted while an image is made", _deleted_while_created
    ),
    "no-retry": Reproducer(
        "a request on which the function crashes, and its failure handler", _no_retry
    ),
    "principal-arn": Reproducer(
        "the queues' policies, whose Deny statements are not in the copy that IAM evaluates",
        _principal_arn,
        AUTHORIZED,
    ),
    "table-policy": Reproducer("the tables' policies", _table_policy, AUTHORIZED),
}


def main() -> int:
    """Show a fault; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=REPRODUCERS)
    reproducer = REPRODUCERS[parser.parse_args().name]
    with (
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory), **reproducer.variables) as aws,
    ):
        shown = reproducer.show(aws)
    print(f"AWS:       {shown.documented}\nministack: {shown.seen}\n{shown.source}")  # noqa: T201
    return 0 if shown.is_there else 1


if __name__ == "__main__":
    raise SystemExit(main())
