"""The application on ministack's CloudFormation, Lambda, SQS, DynamoDB and EventBridge, with the
sandbox's EC2 and S3."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from tests.stacks.support import Aws, SandboxProcess, created, deleted, wait_for

from .ministack import application, emulator, faults
from .ministack.application import Both
from .ministack.bus import Bus
from .ministack.stacks import (
    VERIFYING,
    comes_to,
    reasons,
    stored,
    template,
    with_bad_sibling,
    with_condition,
)
from .table import Fault, Suite

TRUSTING, AUTHORIZED = "trusting", "authorized"
"""Installations: one with VerifyRequests false, which CloudFormation need not confirm anything to;
and one in a ministack that evaluates IAM's policies. VERIFYING has the template's defaults."""

SUITE = Suite(
    "ministack",
    emulator.VERSION,
    "the application on its CloudFormation, Lambda, SQS, DynamoDB and EventBridge, with the "
    "sandbox's EC2 and S3",
    tuple(
        Fault(each.case, f".venv/bin/python -m tests.judges.ministack.faults {name}")
        for name, each in faults.REPRODUCERS.items()
    ),
)

SOON = {"seconds": "1"}
WHY = "Client.S3Error: The bucket does not like it"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A sandbox, of which the EC2 and S3 are used."""
    process = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    yield process.ready
    process.end()


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with emulator.running(tmp_path_factory.mktemp("ministack")) as clients:
        yield clients


@pytest.fixture(scope="module")
def authorizing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """A ministack that evaluates IAM's policies."""
    directory = tmp_path_factory.mktemp("authorizing")
    with emulator.running(directory, **emulator.AUTHORIZED) as clients:
        yield clients


@pytest.fixture(scope="module")
def aws(ready: dict[str, str], ministack: Clients) -> Aws:
    """With the first two installations."""
    both = Both(ready["endpoint"], ministack)
    application.deployed(both, VERIFYING)
    application.deployed(both, TRUSTING, {"VerifyRequests": "false"})
    return Aws(ready, both)


@pytest.fixture(scope="module")
def authorized(ready: dict[str, str], authorizing: Clients) -> Aws:
    """With the last installation."""
    both = Both(ready["endpoint"], authorizing)
    application.deployed(both, AUTHORIZED, changed=application.without_denials)
    return Aws(ready, both)


def test_a_stack_gets_its_bundle_which_stays_where_that_is_asked(aws: Aws) -> None:
    instance = aws.instance(**SOON)

    stack_id, outputs = created(aws, template(aws, instance, "kept/web", OnDelete="Retain"))

    [task] = aws.tasks(instance)
    assert outputs == {
        "BundleId": task["BundleId"],
        "ManifestLocation": f"{aws.ready['bucket']}/kept/web.manifest.xml",
    }
    assert task["State"] == "complete"
    keys = aws.keys("kept/web")
    assert "kept/web.manifest.xml" in keys
    deleted(aws, stack_id)
    assert aws.keys("kept/web") == keys


def test_a_stack_that_is_deleted_deletes_its_bundle(aws: Aws) -> None:
    stack_id, _ = created(aws, template(aws, aws.instance(**SOON), "deleted/web"))
    assert aws.keys("deleted/")

    deleted(aws, stack_id)

    assert aws.keys("deleted/") == []


def test_an_update_of_other_properties_keeps_the_bundle(aws: Aws) -> None:
    instance = aws.instance(**SOON)
    stack_id, before = created(aws, template(aws, instance, "same/web", OnDelete="Retain"))

    aws.update_stack(stack_id, template(aws, instance, "same/web"))

    assert comes_to(aws, stack_id, "UPDATE_COMPLETE") == before
    assert len(aws.tasks(instance)) == 1
    deleted(aws, stack_id)
    assert aws.keys("same/") == []


def test_a_replaced_bundle_stays_where_that_is_asked(aws: Aws) -> None:
    kept = template(aws, aws.instance(**SOON), "first/web", TRUSTING, OnDelete="Retain")
    stack_id, before = created(aws, kept)

    aws.update_stack(stack_id, template(aws, aws.instance(**SOON), "second/web", TRUSTING))

    after = comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert after["BundleId"] != before["BundleId"]
    assert after["ManifestLocation"].endswith("/second/web.manifest.xml")
    assert reasons(aws, stack_id, "DELETE_FAILED") == []
    assert aws.keys("first/")
    deleted(aws, stack_id)
    assert aws.keys("first/")
    assert aws.keys("second/") == []


def test_a_replaced_bundle_is_deleted(aws: Aws) -> None:
    stack_id, _ = created(aws, template(aws, aws.instance(**SOON), "old/web", TRUSTING))

    aws.update_stack(stack_id, template(aws, aws.instance(**SOON), "new/web", TRUSTING))

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert aws.keys("old/") == []
    assert aws.keys("new/")
    deleted(aws, stack_id)
    assert aws.keys("new/") == []


def test_a_bundle_that_is_taken_out_of_its_template_is_deleted(aws: Aws) -> None:
    body = template(aws, aws.instance(**SOON), "removed/web", TRUSTING)
    handle = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    stack_id, _ = created(aws, {**body, "Resources": body["Resources"] | handle})

    aws.update_stack(stack_id, {"Resources": handle})

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert aws.keys("removed/") == []


def test_a_delete_that_cloudformation_does_not_confirm_deletes_nothing(aws: Aws) -> None:
    """By its fault `cleanup-status`, ministack never confirms that of a replaced bundle."""
    soon = {"ServiceTimeout": "40"}
    stack_id, _ = created(aws, template(aws, aws.instance(**SOON), "unconfirmed/web", **soon))

    aws.update_stack(stack_id, template(aws, aws.instance(**SOON), "another/web", **soon))

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    [reason] = reasons(aws, stack_id, "DELETE_FAILED")
    assert "CloudFormation does not confirm this Delete: stack UPDATE_IN_PROGRESS" in reason
    assert aws.keys("unconfirmed/")
    assert aws.keys("another/")


def test_an_image_is_stored_and_deleted(aws: Aws) -> None:
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")

    stack_id, outputs = created(aws, stored(aws, instance))

    [image] = aws.images(instance)
    assert (image["ImageId"], image["State"]) == (outputs["BundleId"], "available")
    assert aws.keys(f"{image['ImageId']}.bin") == [f"{image['ImageId']}.bin"]
    assert aws.store_tasks([image["ImageId"]]) == {image["ImageId"]: "Completed"}
    deleted(aws, stack_id)
    assert aws.images(instance) == []
    assert aws.snapshots(instance) == set()
    assert aws.keys(f"{image['ImageId']}.bin") == []


def test_a_task_that_fails_rolls_the_creation_back_with_its_reason(aws: Aws) -> None:
    instance = aws.instance(**SOON, outcome="failed", error=WHY)

    stack_id = aws.create_stack(template(aws, instance, "failing/web"))

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    assert WHY in aws.failure(stack_id)
    assert len(aws.tasks(instance)) == 1
    assert aws.keys("failing/") == []


def test_a_replacement_that_fails_leaves_the_bundle_as_it_was(aws: Aws) -> None:
    stack_id, before = created(aws, template(aws, aws.instance(**SOON), "stays/web"))
    keys = aws.keys("stays/")
    failing = aws.instance(**SOON, outcome="failed", error=WHY)

    aws.update_stack(stack_id, template(aws, failing, "never/web"))

    assert comes_to(aws, stack_id, "UPDATE_ROLLBACK_COMPLETE") == before
    [reason] = reasons(aws, stack_id, "UPDATE_FAILED")
    assert WHY in reason
    assert aws.keys("stays/") == keys
    assert aws.keys("never/") == []
    deleted(aws, stack_id)
    assert aws.keys("stays/") == []


def test_a_creation_that_is_rolled_back_leaves_nothing(aws: Aws) -> None:
    instance = aws.instance(**SOON)
    body = template(aws, instance, "undone/web", TRUSTING)

    stack_id = aws.create_stack(with_bad_sibling(body))

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    [task] = aws.tasks(instance)
    assert task["State"] == "complete"
    assert aws.keys("undone/") == []


def test_a_wait_condition_learns_of_the_end(aws: Aws) -> None:
    """The stack goes on with the bundle's ID, before the objects are there."""
    instance = aws.instance(seconds="6")
    stack_id = aws.create_stack(with_condition(template(aws, instance, "waited/web")))

    outputs = comes_to(aws, stack_id, "CREATE_COMPLETE")

    [data] = json.loads(outputs["Data"]).values()
    assert json.loads(data)["BundleId"] == outputs["BundleId"]
    when = {
        event["LogicalResourceId"]: event["Timestamp"]
        for event in aws.events(stack_id)
        if event["ResourceStatus"] == "CREATE_COMPLETE"
    }
    assert when["Bundle"] < when["Condition"]
    assert "waited/web.manifest.xml" in aws.keys("waited/")
    deleted(aws, stack_id)
    assert aws.keys("waited/") == []


def test_a_wait_condition_learns_of_a_failure(aws: Aws) -> None:
    instance = aws.instance(seconds="6", outcome="failed", error=WHY)
    body = with_condition(template(aws, instance, "signalled/web", TRUSTING))

    stack_id = aws.create_stack(body)

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    assert WHY in aws.failure(stack_id, "Condition")
    assert aws.keys("signalled/") == []


def test_properties_that_are_refused_are_all_named_and_nothing_is_made(aws: Aws) -> None:
    body = template(aws, "my-instance", "refused/web", Colour="red")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = "my images"

    stack_id = aws.create_stack(body)

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    reason = aws.failure(stack_id)
    for path in ("InstanceId: ", "Colour: ", "Storage.S3.Bucket: "):
        assert path in reason
    assert aws.bundle_requests("my-instance") == []


def test_events_about_a_bundle_come_by_the_bus(aws: Aws, ministack: Clients) -> None:
    watched = Bus(ministack)

    stack_id, outputs = created(aws, template(aws, aws.instance(seconds="8"), "watched/web"))

    def is_complete() -> bool | None:
        return "complete" in {event["State"] for event in watched.events(stack_id)} or None

    wait_for(is_complete, "the event of the end")
    events = watched.events(stack_id)
    assert {event["BundleId"] for event in events} == {outputs["BundleId"]}
    assert {event["State"] for event in events} >= {"started", "complete"}
    deleted(aws, stack_id)


def test_the_application_works_with_its_roles_permissions(authorized: Aws) -> None:
    aws = authorized
    instance = aws.instance(**SOON)
    body = template(aws, instance, "permitted/web", AUTHORIZED, OnDelete="Retain")
    stack_id, before = created(aws, body)

    aws.update_stack(stack_id, template(aws, instance, "permitted/web", AUTHORIZED))

    assert comes_to(aws, stack_id, "UPDATE_COMPLETE") == before
    assert aws.keys("permitted/")
    deleted(aws, stack_id)
    assert aws.keys("permitted/") == []


@pytest.mark.usefixtures("authorized")
def test_what_its_role_does_not_permit_is_refused(authorizing: Clients) -> None:
    """Shown by a user with the policies of the role: nobody else can be the function."""
    sqs = authorizing.client("sqs")
    [queue] = sqs.list_queues(QueueNamePrefix=f"{AUTHORIZED}-PollQueue")["QueueUrls"]
    user = application.user_like(authorizing, "InstanceBundleRole")

    user("sqs").send_message(QueueUrl=queue, MessageBody="{}", DelaySeconds=900)
    with pytest.raises(ClientError, match="AccessDenied"):
        user("sqs").purge_queue(QueueUrl=queue)
    with pytest.raises(ClientError, match="AccessDenied"):
        user("dynamodb").list_tables()
    assert authorizing.client("dynamodb").list_tables()["TableNames"]


def test_the_application_that_is_deleted_keeps_its_ledger_alone(
    aws: Aws, ministack: Clients
) -> None:
    assert isinstance(aws.clients, Both)
    name = "short-lived"
    table = application.deployed(aws.clients, name)["LedgerTable"]
    assert len(application.parts(ministack, name)) == 2 + 3 + 2  # functions, queues, tables

    application.deleted(ministack, name)

    assert application.parts(ministack, name) == {table}


@pytest.mark.parametrize("name", sorted(faults.REPRODUCERS))
def test_a_fault_that_is_named_is_still_there(
    name: str, ministack: Clients, authorizing: Clients
) -> None:
    reproducer = faults.REPRODUCERS[name]
    shown = reproducer.show(authorizing if reproducer.variables else ministack)
    assert shown.is_there, f"{name} is fixed: {shown.seen}"


@pytest.mark.parametrize("name", sorted(faults.REPRODUCERS))
def test_a_fault_is_not_one_of_the_sandbox(name: str, ready: dict[str, str]) -> None:
    """A reproducer can find that a fault is not there."""
    shown = faults.REPRODUCERS[name].show(Clients(ready["endpoint"]))
    assert shown.seen == shown.documented
