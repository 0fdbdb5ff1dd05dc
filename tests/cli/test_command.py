"""What all commands have: where they read, what they never read, and what they exit with."""

import socket
from dataclasses import replace

import boto3
import pytest
from boto3.dynamodb.conditions import Attr
from click.testing import CliRunner

from cli.installation import Account, find
from cli.main import instance_bundle
from instance_bundle.request import Request, conceal
from instance_bundle.state import Doubt, Ledger, inspection
from tests.fixtures import Clock
from tests.unit.test_lifecycle import HANDLE, POLICY_UNTIL_2028, RUNNING, request

from .conftest import Run, Wire, refuse
from .test_owned import bundle
from .things import snapshot

COMMANDS = (("status",), ("owned", "web"), ("orphans",))
READS = ("Describe", "Scan", "Head", "List")

each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
each_form = pytest.mark.parametrize("form", ["table", "json"])

URL = f"{request().response_url}?X-Amz-Signature=0123456789abcdef"
ASKED = request(Storage=POLICY_UNTIL_2028, CompletionHandle=HANDLE).as_event()
SECRETS = {
    "ResponseURL": "X-Amz-Signature=0123456789abcdef",
    "CompletionHandle": "Signature=aW%2FrE3dAcLgbjHclVHGmxJ4zq0%3D",
    "UploadPolicy": "2028-01-01T00:00:00Z",
    "UploadPolicySignature": POLICY_UNTIL_2028["S3"]["UploadPolicySignature"],
}
"""Parts of the secrets, which are written the same way in all forms."""


def secrets_in(text: str) -> list[str]:
    return [name for name, secret in SECRETS.items() if secret in text]


def secret_items(ledger: Ledger, at: float = 0) -> None:
    """A request with each secret there is, which AWS has repeated in a refusal; and a bundle, and
    a snapshot of an earlier one."""
    asked = Request.parse(ASKED | {"ResponseURL": URL})
    record, _ = ledger.receive(asked, lease=30)
    started = ledger.merge_task(record, RUNNING)
    s3 = POLICY_UNTIL_2028["S3"]
    repeated = f"EC2 refused {URL} {HANDLE} {s3['UploadPolicy']} {s3['UploadPolicySignature']}"
    ledger.note_doubt(started, Doubt(conceal(repeated, asked), at))
    ledger.bundles.put(record.key, bundle())
    snapshot(replace(record.key, request_id="r0"))


@each_command
@each_form
def test_no_secret_is_received_or_shown(
    ledger: Ledger, run: Run, wire: Wire, command: tuple[str, ...], form: str
) -> None:
    secret_items(ledger)

    result = run(*command, "--output", form)

    assert result.exit_code == 0
    assert "web" in result.output
    assert secrets_in(result.output + repr(wire.answers)) == []


def test_the_search_finds_the_secrets_where_they_are(ledger: Ledger) -> None:
    secret_items(ledger)
    tables = boto3.resource("dynamodb")
    table = find(Account(), "cfn-instance-bundle").table

    [text] = tables.Table("requests").scan()["Items"]
    [doubt] = [item["doubt"] for item in tables.Table(table).scan()["Items"] if "doubt" in item]

    assert secrets_in(str(text["request"])) == [*SECRETS]
    assert "EC2 refused [concealed]" in str(doubt)


@each_command
def test_commands_only_read_and_name_each_attribute(
    ledger: Ledger, run: Run, wire: Wire, command: tuple[str, ...]
) -> None:
    secret_items(ledger)

    run(*command)

    assert [name for name, _ in wire.calls if not name.startswith(READS)] == []
    [parameters] = [parameters for name, parameters in wire.calls if name == "Scan"]
    assert parameters["Select"] == "SPECIFIC_ATTRIBUTES"
    named = parameters["ExpressionAttributeNames"]
    projected = {named[name] for name in parameters["ProjectionExpression"].split(", ")}
    assert projected == set(inspection.ATTRIBUTES)
    assert set(named.values()) == projected
    assert "request" not in projected


def test_what_is_read_is_enough(ledger: Ledger, clock: Clock) -> None:
    secret_items(ledger)
    record = ledger.read(request().key)
    assert record is not None

    items = find(Account(), "cfn-instance-bundle").items(Attr("item").exists())

    [seen] = inspection.requests(items)
    assert (seen.key, seen.task, seen.deadline) == (record.key, record.task, record.deadline)
    assert (seen.request, seen.doubt) == (None, record.doubt)


def test_an_application_with_another_name_is_named(ledger: Ledger, run: Run) -> None:
    result = run("status", "--application", "mine")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no stack mine" in result.stderr
    assert "--application" in result.stderr


def test_a_stack_that_is_not_the_application_is_refused(ledger: Ledger, run: Run) -> None:
    body = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    boto3.client("cloudformation").create_stack(StackName="other", TemplateBody=body)

    result = run("status", "--application", "other")

    assert result.exit_code == 1
    assert "not an installation" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("status", "--output", "yaml"),
        ("owned", "web", "shop"),
        ("nothing",),
        ("status", "--profile", "nobody"),
        ("status", "--endpoint-url", "nowhere"),
        ("status", "--region", "no such place"),
    ],
)
def test_a_command_that_is_typed_wrongly_exits_with_2(run: Run, wrong: tuple[str, ...]) -> None:
    assert run(*wrong).exit_code == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [("AccessDeniedException", "is not authorized"), ("ThrottlingException", "slow down")],
)
def test_a_refusal_of_aws_exits_with_3_and_names_the_call(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch, error: str, said: str
) -> None:
    refuse(monkeypatch, error, said)

    result = run("status")

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"Error: dynamodb:Scan: {error}: {said}\n"


def test_an_endpoint_that_does_not_answer_exits_with_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    result = CliRunner().invoke(
        instance_bundle, ["status", "--endpoint-url", f"http://127.0.0.1:{port}"]
    )

    assert result.exit_code == 3
    assert result.stderr.startswith("Error: cloudformation:DescribeStacks: ")
