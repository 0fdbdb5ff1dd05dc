"""What CloudFormation is doing: in the sandbox's CloudFormation, and in AWS's own words."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch
from xml.sax.saxutils import escape

import boto3
import pytest

from instance_bundle import aws
from instance_bundle.aws import clients, stacks
from instance_bundle.aws.stacks import Resource, Stack
from instance_bundle.errors import Doubtful, InstanceBundleError, PassingFault, Throttled
from sandbox.cloudformation.reads import by_function
from tests.sandbox.cloudformation.phases import TOKEN, Phases, template
from tests.sandbox.cloudformation.support import client, installed
from tests.sandbox.cloudformation.test_nested_stacks import CHILD, parent

NEVER = (
    "arn:aws:cloudformation:us-east-1:123456789012:stack/never/5a4db0f0-0000-4000-8000-000000000000"
)
FAMILY, NEW_FAMILY = template(Bundle="one", Sibling="one"), template(Bundle="two", Sibling="two")


@pytest.fixture
def phases() -> Iterator[Phases]:
    """A stack in the sandbox's CloudFormation, whose requests the test answers."""
    with installed(client) as sandbox:
        sandbox.answer = lambda _: None
        yield Phases(sandbox)


def without_id(stack: Stack) -> Stack:
    return replace(stack, operation_id="")


def test_a_creation(phases: Phases) -> None:
    stack_id = phases.create(template(Bundle="one"))
    phases.request("Create")

    stack = stacks.describe_stack(stack_id)

    assert without_id(stack) == Stack("CREATE_IN_PROGRESS", "CREATE_STACK")
    assert stack.operation_id
    assert stacks.describe_resource(stack_id, "Bundle") == Resource("CREATE_IN_PROGRESS")


def test_an_update_and_its_rollback_are_two_operations(phases: Phases) -> None:
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY)
    sibling = phases.request("Update", "Sibling")
    update = stacks.describe_stack(stack_id)
    assert without_id(update) == Stack("UPDATE_IN_PROGRESS", "UPDATE_STACK")
    assert stacks.describe_resource(stack_id, "Bundle") == Resource("UPDATE_IN_PROGRESS", "bun-1")

    phases.answer(phases.request("Update"), "bun-2")
    phases.until_resource("UPDATE_COMPLETE")
    phases.fail(sibling)
    phases.request("Update", nth=2)

    rollback = stacks.describe_stack(stack_id)
    assert without_id(rollback) == Stack("UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK")
    assert rollback.operation_id not in ("", update.operation_id)
    assert stacks.describe_resource(stack_id, "Bundle") == Resource("UPDATE_IN_PROGRESS", "bun-2")


def test_a_creation_whose_failure_is_left_as_it_is(phases: Phases) -> None:
    stack_id = phases.create(template(Bundle="one"), DisableRollback=True)
    phases.fail(phases.request("Create"), "bun-1")
    phases.sandbox.until("CREATE_FAILED")

    found = stacks.describe_stack(stack_id)

    assert without_id(found) == Stack("CREATE_FAILED", "CREATE_STACK", rollback_disabled=True)


def test_a_nested_stack_has_the_one_at_the_top(phases: Phases) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="child.yaml", Body=(CHILD % TOKEN).encode())
    top = phases.create(parent("one"))
    nested = phases.request("Create")["StackId"]

    assert stacks.describe_stack(nested).root_id == top
    assert stacks.describe_stack(top).root_id == ""


def test_a_deleted_stack_is_known_by_its_id_and_its_resources_for_ninety_days(
    phases: Phases,
) -> None:
    stack_id = phases.created(template(Bundle="one"), Bundle="bun-1")
    phases.sandbox.client.delete_stack(StackName="shop")
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("DELETE_COMPLETE", stack_id)

    assert without_id(stacks.describe_stack(stack_id)) == Stack("DELETE_COMPLETE", "DELETE_STACK")
    assert stacks.describe_resource(stack_id, "Bundle") == Resource("DELETE_COMPLETE", "bun-1")

    phases.sandbox.clock.ahead += 90 * 86400
    assert stacks.describe_resource(stack_id, "Bundle") == Resource("")


def test_what_cloudformation_does_not_know_has_no_status(phases: Phases) -> None:
    stack_id = phases.created(template(Bundle="one"), Bundle="bun-1")

    assert stacks.describe_stack(NEVER) == Stack("")
    assert stacks.describe_resource(NEVER, "Bundle") == Resource("")
    assert stacks.describe_resource(stack_id, "Other") == Resource("")


def test_a_resource_that_a_rollback_has_deleted_has_no_status(phases: Phases) -> None:
    stack_id = phases.create(template(Bundle="one"))
    phases.fail(phases.request("Create"), "bun-1")
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("ROLLBACK_COMPLETE")

    assert stacks.describe_resource(stack_id, "Bundle") == Resource("")
    assert stacks.describe_stack(stack_id).status == "ROLLBACK_COMPLETE"


def has_had(stack_id: str, physical_id: str, logical_id: str = "Bundle", since: float = 0) -> bool:
    return stacks.has_had(stack_id, logical_id, physical_id, since)


def test_events_show_the_ids_that_a_resource_has_had(phases: Phases) -> None:
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY)
    phases.answer(phases.request("Update", "Sibling"), "sib-1")
    phases.answer(phases.request("Update"), "bun-2")
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("UPDATE_COMPLETE")

    assert has_had(stack_id, "bun-1")
    assert has_had(stack_id, "bun-2")
    assert not has_had(stack_id, "bun-3")
    assert not has_had(stack_id, "bun-1", "Sibling")
    assert not has_had(NEVER, "bun-1")


def test_an_answer_that_came_too_late_shows_in_no_event(phases: Phases) -> None:
    stack_id = phases.create(template(Bundle="one", Sibling="one"))
    create = phases.request("Create")
    phases.fail(phases.request("Create", "Sibling"), "sib-1")
    phases.request("Delete")
    phases.answer(create, "bun-1")

    assert not has_had(stack_id, "bun-1")


def test_events_from_before_the_request_are_not_read(phases: Phases) -> None:
    stack_id = phases.created(template(Bundle="one"), Bundle="bun-1")
    now = phases.sandbox.clock()

    assert has_had(stack_id, "bun-1", since=now)
    assert not has_had(stack_id, "bun-1", since=now + 2 * stacks.CLOCKS_DIFFER)


def test_what_is_not_found_in_many_pages_may_have_been_there(
    phases: Phases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.cloudformation.views._EVENTS_SHOWN", 2)
    stack_id = phases.created(template(Bundle="one"), Bundle="bun-1")

    assert not has_had(stack_id, "bun-2")
    monkeypatch.setattr(stacks, "PAGES", 1)
    assert has_had(stack_id, "bun-2")


def test_a_function_sees_a_new_stack_late_and_is_throttled(phases: Phases) -> None:
    clock = phases.sandbox.clock
    clock.stopped = time.time()
    stack_id = phases.create(template(Bundle="one"))
    phases.request("Create")
    with by_function(), patch("time.sleep"):
        assert stacks.describe_stack(stack_id) == Stack("")
        clock.ahead += 5
        assert stacks.describe_stack(stack_id).status == "CREATE_IN_PROGRESS"
        for _ in range(4):
            assert stacks.describe_resource(stack_id, "Bundle") == Resource("CREATE_IN_PROGRESS")
        clock.ahead += 0.5
        with pytest.raises(Throttled):
            stacks.describe_resource(stack_id, "Bundle")


# As AWS words it


class Aws(ThreadingHTTPServer):
    """Answers each request alike."""

    status: int = 200
    body: str = ""


class Handler(BaseHTTPRequestHandler):
    server: Aws

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = self.server.body.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def only_server() -> Iterator[Aws]:
    with Aws(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(only_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """What the function calls in the place of CloudFormation."""
    made = boto3.client(
        "cloudformation",
        endpoint_url=f"http://127.0.0.1:{only_server.server_address[1]}",
        config=clients._REPEATED,
    )
    monkeypatch.setattr(aws, "cloudformation", lambda: clients._within_limits(made))
    monkeypatch.setattr("time.sleep", lambda _: None)
    return only_server


def refuse(server: Aws, code: str, message: str, status: int = 400) -> None:
    """Answer as CloudFormation does (its form: https://github.com/boto/boto3/issues/2807)."""
    server.status = status
    server.body = (
        '<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">\n  <Error>\n'
        f"    <Type>Sender</Type>\n    <Code>{code}</Code>\n"
        f"    <Message>{escape(message)}</Message>\n  </Error>\n"
        "  <RequestId>b2544024-a0f9-4ae1-ab23-fc08e1ef4e9a</RequestId>\n</ErrorResponse>\n"
    )


def describe_stack() -> Stack:
    return stacks.describe_stack(NEVER)


def describe_resource() -> Resource:
    return stacks.describe_resource(NEVER, "Bundle")


BOTH: list[Callable[[], Stack | Resource]] = [describe_stack, describe_resource]
ALL: list[Callable[[], object]] = [*BOTH, lambda: has_had(NEVER, "bun-1")]


@pytest.mark.parametrize("ask", BOTH)
@pytest.mark.parametrize(
    "message",
    [
        f"Stack with id {NEVER} does not exist",
        f"Stack '{NEVER}' does not exist",
        f"Stack [{NEVER}] does not exist",
        f"Resource Bundle does not exist for stack {NEVER}",
    ],
)
def test_what_aws_says_does_not_exist_has_no_status(
    server: Aws, ask: Callable[[], Stack | Resource], message: str
) -> None:
    refuse(server, "ValidationError", message)

    found = ask()

    assert found == type(found)(status="")


_INVALID = (
    "1 validation error detected: Value 'Stack does not exist' at 'stackName' failed to satisfy "
    "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
)
_NO_PERMISSION = (
    "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: "
    f"cloudformation:DescribeStacks on resource: {NEVER} because no identity-based policy allows "
    "the cloudformation:DescribeStacks action"
)


@pytest.mark.parametrize("ask", ALL)
@pytest.mark.parametrize(
    ("code", "message", "status", "means"),
    [
        ("ValidationError", _INVALID, 400, Doubtful),
        ("AccessDenied", _NO_PERMISSION, 403, Doubtful),
        ("AccessDenied", "Stack does not exist", 403, Doubtful),
        ("Throttling", "Rate exceeded", 400, Throttled),
        ("InternalFailure", "Stack does not exist", 500, PassingFault),
    ],
)
def test_another_refusal_does_not_say_that_there_is_no_such_thing(
    server: Aws,
    ask: Callable[[], object],
    code: str,
    message: str,
    status: int,
    means: type[InstanceBundleError],
) -> None:
    refuse(server, code, message, status)

    with pytest.raises(InstanceBundleError) as raised:
        ask()

    assert type(raised.value) is means


@pytest.mark.parametrize(
    ("ask", "action"),
    [
        (describe_stack, "cloudformation:DescribeStacks"),
        (describe_resource, "cloudformation:DescribeStackResource"),
        (ALL[-1], "cloudformation:DescribeStackEvents"),
    ],
)
def test_a_denial_names_the_action_to_allow(
    server: Aws, ask: Callable[[], object], action: str
) -> None:
    refuse(server, "AccessDenied", _NO_PERMISSION, 403)

    with pytest.raises(Doubtful, match=f"^{action} was refused.*Allow {action} in the role of"):
        ask()


@pytest.mark.parametrize("ask", ALL)
def test_what_is_no_answer_of_cloudformations_is_a_passing_fault(
    server: Aws, ask: Callable[[], object]
) -> None:
    server.status, server.body = 200, "<html><body><p>Sign in to the proxy</p></body></html>"

    with pytest.raises(PassingFault):
        ask()


def test_a_stack_of_which_aws_names_no_operation(server: Aws) -> None:
    """LastOperations is newer than the rest, and not in every Region's answers for sure."""
    server.status = 200
    server.body = (
        '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">'
        "<DescribeStacksResult><Stacks><member><StackName>web</StackName>"
        "<StackStatus>UPDATE_IN_PROGRESS</StackStatus></member></Stacks></DescribeStacksResult>"
        "</DescribeStacksResponse>"
    )

    assert describe_stack() == Stack("UPDATE_IN_PROGRESS")
