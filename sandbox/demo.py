"""`python -m sandbox demo`: a stack with a Custom::InstanceBundle, from CREATE to DELETE."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.serve import Ready, running

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

STACK_NAME = "web"


@dataclass(frozen=True, slots=True)
class _Method:
    """What is shown of a method.

    Attributes:
        example: the template.
        instance: the member of `Ready` that has the instance's ID.
        makes: what it makes, for a person.
        steering: how long EC2 takes, by tags of the instance: there are two polls before its end.
    """

    example: str
    instance: str
    makes: str
    steering: Mapping[str, str]


METHODS = {
    "BundleInstance": _Method("bundle.yaml", "instance_id", "bundle", {"sandbox:seconds": "12"}),
    "StoreImage": _Method(
        *("store-image.yaml", "ebs_instance_id", "stored image"),
        {"sandbox:image-seconds": "1", "sandbox:store-seconds": "3"},
    ),
}

_QUEUE = "demo-events"
_ENDS = ("complete", "failed")
_LAST_EVENT = 5.0
"""Seconds within which the event of the end follows the answer."""
_INTERVAL = 0.3
_COLOURS = {"ROLLBACK": "yellow", "FAILED": "red", "COMPLETE": "green"}


def demo(console: Console, method_name: str) -> int:
    """Show a bundle being made, its outputs, and the clean-up; the exit status."""
    method = METHODS[method_name]
    console.print("Starting the sandbox and deploying the application from template.yaml")
    with running() as ready:
        clients = Clients(ready.endpoint)
        console.print(f"Creating stack {STACK_NAME} from examples/{method.example}\n")
        stack = _create(clients, ready, console, method)
        if stack["StackStatus"] != "CREATE_COMPLETE":
            return 1
        console.print()
        console.print(_outputs(stack))
        _show_objects(f"The {method.makes}", clients, ready, console)
        console.print(f"\nDeleting stack {STACK_NAME}\n")
        _delete(clients, stack["StackId"], console)
        _show_objects(f"\nThe {method.makes} is kept", clients, ready, console)
    return 0


def _create(clients: Clients, ready: Ready, console: Console, method: _Method) -> "StackTypeDef":
    instance_id = getattr(ready, method.instance)
    clients.ec2.create_tags(
        Resources=[instance_id],
        Tags=[{"Key": key, "Value": value} for key, value in method.steering.items()],
    )
    stack_id = clients.cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateBody=(REPOSITORY / "examples" / method.example).read_text(),
        Parameters=[
            {"ParameterKey": "InstanceId", "ParameterValue": instance_id},
            {"ParameterKey": "Bucket", "ParameterValue": ready.bucket},
        ],
    )["StackId"]
    with _bar(console) as bar:
        events = _Events(clients, stack_id, bar)
        stack = _watch(clients, stack_id, console, events.receive)
        events.receive_the_last()
    return stack


def _delete(clients: Clients, stack_id: str, console: Console) -> None:
    before = _event_ids(clients, stack_id)
    clients.cloudformation.delete_stack(StackName=stack_id)
    _watch(clients, stack_id, console, lambda: time.sleep(_INTERVAL), before)


def _watch(
    clients: Clients,
    stack_id: str,
    console: Console,
    wait: Callable[[], None],
    seen: set[str] | None = None,
) -> "StackTypeDef":
    """Print a stack's new events until the stack is at rest; returns the final stack."""
    seen = set() if seen is None else seen
    while True:
        # The stack is read before its events, so that none is missed when it comes to rest.
        [stack] = clients.cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        for event in reversed(_events(clients, stack_id)):
            if event["EventId"] not in seen:
                seen.add(event["EventId"])
                console.print(_line(event), soft_wrap=True)
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        wait()


def _events(clients: Clients, stack_id: str) -> "list[StackEventTypeDef]":
    return clients.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]


def _event_ids(clients: Clients, stack_id: str) -> set[str]:
    return {event["EventId"] for event in _events(clients, stack_id)}


def _line(event: "StackEventTypeDef") -> Text:
    status = event["ResourceStatus"]
    colour = next((colour for word, colour in _COLOURS.items() if word in status), "")
    line = Text.assemble(
        (f"{event['Timestamp']:%H:%M:%S}  ", "dim"),
        (f"{status:<19} ", colour),
        f"{event['LogicalResourceId']:<8} ",
        (event.get("ResourceStatusReason", ""), "dim"),
    )
    line.rstrip()
    return line


class _Events:
    """The application's events about a stack's bundle, received from a queue by a rule.

    They show a progress bar on a terminal, else a line for each event.
    """

    def __init__(self, clients: Clients, stack_id: str, bar: Progress) -> None:
        self._sqs: SQSClient = clients.client("sqs")
        self._queue_url = _queue_of_events(clients, self._sqs, stack_id)
        self._bar = bar
        self._percent = 0
        self._has_ended = False

    def receive(self, seconds: int = 1) -> None:
        """Show the events that are in the queue; wait for so long until there is one."""
        received = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds
        )
        for message in received.get("Messages", []):
            self._show(json.loads(message["Body"])["detail"])
            self._sqs.delete_message(
                QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
            )

    def receive_the_last(self) -> None:
        """Show the rest: the event of the end follows the answer to CloudFormation."""
        deadline = time.monotonic() + _LAST_EVENT
        while not self._has_ended and time.monotonic() < deadline:
            self.receive()

    def _show(self, detail: Mapping[str, str]) -> None:
        self._has_ended |= detail["State"] in _ENDS
        # Events may come in another order: the bar never goes back.
        self._percent = max(self._percent, int(detail["Progress"].removesuffix("%") or 0))
        line = f"event {detail['State']}: {detail['TaskState']} {detail['Progress']}"
        if not self._bar.console.is_terminal:
            self._bar.console.print(f"          {line}", highlight=False)
            return
        if not self._bar.tasks:
            self._bar.add_task("", total=100)
        self._bar.update(self._bar.task_ids[0], completed=self._percent, description=line)


def _queue_of_events(clients: Clients, sqs: "SQSClient", stack_id: str) -> str:
    """The URL of a new queue that receives the events about a stack, as in docs/events.md."""
    queue_url = sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    events: EventBridgeClient = clients.client("events")
    pattern = {
        "source": ["cfn-instance-bundle"],
        "detail-type": ["Instance Bundle State Change"],
        "detail": {"StackId": [stack_id]},
    }
    rule_arn = events.put_rule(Name=_QUEUE, EventPattern=json.dumps(pattern))["RuleArn"]
    sends = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sends]})
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
    events.put_targets(Rule=_QUEUE, Targets=[{"Id": "queue", "Arn": queue_arn}])
    return queue_url


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("          {task.description:<36}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _outputs(stack: "StackTypeDef") -> Table:
    table = Table("Output", "Value", title=f"Outputs of stack {STACK_NAME}", title_justify="left")
    for output in stack["Outputs"]:
        table.add_row(output["OutputKey"], Text(output["OutputValue"], overflow="fold"))
    return table


def _show_objects(title: str, clients: Clients, ready: Ready, console: Console) -> None:
    console.print(f"{title}, in s3://{ready.bucket}:", highlight=False)
    for item in clients.s3.list_objects_v2(Bucket=ready.bucket).get("Contents", []):
        console.print(f"  {item['Size']:>6} bytes  {item['Key']}", highlight=False)
