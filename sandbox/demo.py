"""`python -m sandbox demo`: a stack with a Custom::InstanceBundle, from CREATE to DELETE."""

import time
from collections.abc import Callable
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
    from mypy_boto3_ec2.type_defs import FilterTypeDef

STACK_NAME = "web"

_EXAMPLE = REPOSITORY / "examples" / "bundle.yaml"
_INTERVAL = 0.3
_COLOURS = {"ROLLBACK": "yellow", "FAILED": "red", "COMPLETE": "green"}


def demo(console: Console) -> int:
    """Show a bundle being made, its outputs, and the clean-up; the exit status."""
    console.print("Starting the sandbox and deploying the application from template.yaml")
    with running() as ready:
        clients = Clients(ready.endpoint)
        console.print(f"Creating stack {STACK_NAME} from examples/bundle.yaml\n")
        stack = _create(clients, ready, console)
        if stack["StackStatus"] != "CREATE_COMPLETE":
            return 1
        console.print()
        console.print(_outputs(stack))
        _show_objects("The bundle", clients, ready, console)
        console.print(f"\nDeleting stack {STACK_NAME}\n")
        _delete(clients, stack["StackId"], console)
        _show_objects("\nThe bundle is kept", clients, ready, console)
    return 0


def _create(clients: Clients, ready: Ready, console: Console) -> "StackTypeDef":
    stack_id = clients.cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateBody=_EXAMPLE.read_text(),
        Parameters=[
            {"ParameterKey": "InstanceId", "ParameterValue": ready.instance_id},
            {"ParameterKey": "Bucket", "ParameterValue": ready.bucket},
        ],
    )["StackId"]
    with _bar(console) as bar:
        return _watch(clients, stack_id, console, _TaskProgress(clients, ready.instance_id, bar))


def _delete(clients: Clients, stack_id: str, console: Console) -> None:
    before = _event_ids(clients, stack_id)
    clients.cloudformation.delete_stack(StackName=stack_id)
    _watch(clients, stack_id, console, lambda: None, before)


def _watch(
    clients: Clients,
    stack_id: str,
    console: Console,
    show_progress: Callable[[], None],
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
        show_progress()
        time.sleep(_INTERVAL)


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


class _TaskProgress:
    """Shows a bundle task: a progress bar on a terminal, else a line for each change."""

    def __init__(self, clients: Clients, instance_id: str, bar: Progress) -> None:
        self._clients = clients
        self._filter: FilterTypeDef = {"Name": "instance-id", "Values": [instance_id]}
        self._bar = bar
        self._shown = ""

    def __call__(self) -> None:
        for task in self._clients.ec2.describe_bundle_tasks(Filters=[self._filter])["BundleTasks"]:
            progress = task.get("Progress", "0%")
            line = f"bundle task {task['BundleId']}: {task['State']} {progress}"
            if line != self._shown:
                self._shown = line
                self._show(line, task["State"], int(progress.removesuffix("%")))

    def _show(self, line: str, state: str, percent: int) -> None:
        if not self._bar.console.is_terminal:
            self._bar.console.print(f"          {line}", highlight=False)
            return
        if not self._bar.tasks:
            self._bar.add_task("", total=100)
        self._bar.update(self._bar.task_ids[0], completed=percent, description=state)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("          bundle task {task.description:<20}"),
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
