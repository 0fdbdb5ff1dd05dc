"""`why` names what a stack waits for and the way out, and the way works."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from .faults import ledger_items, ledger_table
from .installations import change, resources
from .operators import asked, typed
from .support import Aws, Observers, SandboxProcess, created, side_by_side, signing_secret, wait_for

Template = Callable[..., dict[str, Any]]
Why = dict[str, Any]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A sandbox of its own, whose polls are stopped, and whose role is changed."""
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    clients = Observers(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


def why(aws: Aws, stack_id: str, *, stuck: bool = True) -> Why:
    """What `why` shows of a stack, which is stuck or is not."""
    code, shown = asked(aws, "why", stack_id)
    assert (code, shown["isStuck"]) == (int(stuck), stuck), shown
    found: Why = shown
    return found


def waiting(aws: Aws, stack_id: str, kind: str) -> Why:
    """What `why` shows, once the stack's only request waits for this."""

    def waits() -> Why | None:
        _, shown = asked(aws, "why", stack_id, "Bundle")
        found = [request["waitsFor"] for request in shown["requests"]]
        return shown if found == [kind] else None

    return wait_for(waits, kind)


def way(shown: Why, words: str) -> str:
    """The one command with these words."""
    [command] = [way["command"] for way in shown["ways"] if words in way["command"]]
    assert isinstance(command, str)
    return command


def rests(aws: Aws, stack_id: str, status: str) -> None:
    assert aws.at_rest(stack_id)["StackStatus"] == status, aws.events(stack_id)


def test_polls_that_do_not_come_come_again(aws: Aws, template: Template) -> None:
    functions, made = aws.clients.functions, resources(aws)
    name, source = made["InstanceBundleFunction"], made["PollSource"]
    stack_id = aws.create_stack(template(aws.instance(seconds="3600"), "why/polls"))
    [request] = waiting(aws, stack_id, "task")["requests"]
    functions.update_event_source_mapping(UUID=source, Enabled=False)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Terminate")

    def is_late() -> Why | None:
        _, shown = asked(aws, "why", stack_id)
        return shown if any(request["isLate"] for request in shown["requests"]) else None

    shown = wait_for(is_late, "the poll to be late")
    assert shown["isStuck"]
    for words in ("update-event-source-mapping", "concurrency", "recursion", "send-message"):
        typed(way(shown, words))

    aws.cancel(request["taskId"])
    rests(aws, stack_id, "ROLLBACK_COMPLETE")
    assert request["taskId"] in why(aws, stack_id)["lastFailure"]["reason"]


def test_what_is_refused_is_named_and_the_way_out_works(aws: Aws, template: Template) -> None:
    bodies = [
        template(aws.instance(seconds="1"), f"why/refused{number}", OnDelete="Delete")
        for number in range(2)
    ]
    finished = [created(aws, body)[0] for body in bodies]
    deny(aws, "ec2:RegisterImage", "s3:DeleteObject")
    registering = [
        aws.create_stack(
            template(aws.instance(seconds="8"), f"why/registered{number}", Image={"Name": name})
        )
        for number, name in enumerate(("one", "two"))
    ]
    again, retained = finished
    for stack_id in finished:
        aws.clients.cloudformation.delete_stack(StackName=stack_id)
    rests(aws, retained, "DELETE_FAILED")
    shown = why(aws, retained)
    assert shown["lastFailure"]["logicalId"] == "Bundle"
    assert "Allow s3:DeleteObject in the role" in shown["lastFailure"]["reason"]
    typed(way(shown, "--retain-resources Bundle"))
    rests(aws, retained, "DELETE_COMPLETE")
    assert aws.keys("why/refused1.manifest.xml")

    for stack_id in registering:
        shown = waiting(aws, stack_id, "refusal")
        assert shown["isStuck"]
        assert "Allow ec2:RegisterImage in the role" in shown["requests"][0]["words"]
    left, completed = registering
    typed(way(why(aws, left), "delete-stack"))
    allow(aws)
    rests(aws, completed, "CREATE_COMPLETE")
    rests(aws, left, "DELETE_COMPLETE")
    rests(aws, again, "DELETE_FAILED")
    [plain, _] = [each["command"] for each in why(aws, again)["ways"]]
    typed(plain)
    rests(aws, again, "DELETE_COMPLETE")
    assert aws.keys("why/refused0") == []


def deny(aws: Aws, *actions: str) -> None:
    """Deny these actions to the function, as an SCP does."""
    aws.clients.client("iam").put_role_policy(
        RoleName=resources(aws)["InstanceBundleRole"],
        PolicyName="denied",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Deny", "Action": actions, "Resource": "*"}],
            }
        ),
    )


def allow(aws: Aws) -> None:
    aws.clients.client("iam").delete_role_policy(
        RoleName=resources(aws)["InstanceBundleRole"], PolicyName="denied"
    )


def test_operations_that_run_or_have_failed_have_a_way_out(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_a_rollback_that_failed, aws, template),
        partial(_a_rollback_that_failed_and_can_be_continued, aws, template),
        partial(_a_creation_that_was_rolled_back, aws, template),
        partial(_failures_that_were_left, aws, template),
        partial(_a_task_is_cancelled, aws, template),
        partial(_a_creation_is_deleted, aws, template),
        partial(_an_update_is_cancelled, aws, template),
    )


def _rollback_failed(aws: Aws, template: Template, prefix: str) -> tuple[str, dict[str, Any]]:
    """A stack at UPDATE_ROLLBACK_FAILED, since somebody has removed an item of the ledger; the
    stack's ID, and the item."""
    stack_id, outputs = created(aws, template(aws.instance(seconds="1"), f"{prefix}/one"))
    aws.update_stack(stack_id, template(aws.instance(seconds="3600"), f"{prefix}/two"))
    [request] = waiting(aws, stack_id, "task")["requests"]
    [item] = [
        item for item in ledger_items(aws) if item["item"]["S"] == f"bundle|{outputs['BundleId']}"
    ]
    dynamodb = aws.clients.client("dynamodb")
    key = {name: item[name] for name in ("resource", "item")}
    dynamodb.delete_item(TableName=ledger_table(dynamodb), Key=key)
    aws.cancel(request["taskId"])
    rests(aws, stack_id, "UPDATE_ROLLBACK_FAILED")
    return stack_id, item


def _a_rollback_that_failed(aws: Aws, template: Template) -> None:
    stack_id, _ = _rollback_failed(aws, template, "why/skipped")
    shown = why(aws, stack_id)
    assert shown["requests"] == []
    assert shown["lastFailure"]["logicalId"] == "Bundle"
    assert "why/skipped/one" in shown["lastFailure"]["reason"]

    typed(way(shown, "--resources-to-skip Bundle"))

    rests(aws, stack_id, "UPDATE_ROLLBACK_COMPLETE")
    assert aws.keys("why/skipped/one.manifest.xml")


def _a_rollback_that_failed_and_can_be_continued(aws: Aws, template: Template) -> None:
    stack_id, item = _rollback_failed(aws, template, "why/continued")
    [plain, _] = [each["command"] for each in why(aws, stack_id)["ways"]]
    dynamodb = aws.clients.client("dynamodb")
    dynamodb.put_item(TableName=ledger_table(dynamodb), Item=item)

    typed(plain)

    rests(aws, stack_id, "UPDATE_ROLLBACK_COMPLETE")
    assert aws.outputs(aws.stack(stack_id))["S3Uri"].endswith("why/continued/one")


def _a_creation_that_was_rolled_back(aws: Aws, template: Template) -> None:
    stack_id = aws.create_stack(template("i-00000000000000000", "why/missing"))
    rests(aws, stack_id, "ROLLBACK_COMPLETE")
    shown = why(aws, stack_id)
    assert "InvalidInstanceID.NotFound" in shown["lastFailure"]["reason"]
    typed(way(shown, "delete-stack"))
    rests(aws, stack_id, "DELETE_COMPLETE")


def _failures_that_were_left(aws: Aws, template: Template) -> None:
    wrong = template("no instance", "why/left")
    stacks = aws.clients.cloudformation
    stack_id = stacks.create_stack(
        StackName="left", TemplateBody=json.dumps(wrong), DisableRollback=True
    )["StackId"]
    rests(aws, stack_id, "CREATE_FAILED")
    typed(way(why(aws, stack_id), "delete-stack"))
    rests(aws, stack_id, "DELETE_COMPLETE")

    stack_id, _ = created(aws, template(aws.instance(seconds="1"), "why/left"))
    stacks.update_stack(StackName=stack_id, TemplateBody=json.dumps(wrong), DisableRollback=True)
    rests(aws, stack_id, "UPDATE_FAILED")
    typed(way(why(aws, stack_id), "rollback-stack"))
    rests(aws, stack_id, "UPDATE_ROLLBACK_COMPLETE")


def _a_task_is_cancelled(aws: Aws, template: Template) -> None:
    stack_id = aws.create_stack(template(aws.instance(seconds="3600"), "why/cancelled"))
    shown = waiting(aws, stack_id, "task")
    assert not shown["isStuck"]
    [task] = [request["taskId"] for request in shown["requests"]]
    # EC2 may not know a new task everywhere.
    typed(way(shown, f"cancel-bundle-task --bundle-id {task}"), again="InvalidBundleID.NotFound")
    rests(aws, stack_id, "ROLLBACK_COMPLETE")
    assert aws.keys("why/cancelled") == []


def _a_creation_is_deleted(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance(image_seconds="3600")
    body = template(instance, Method="StoreImage")
    stack_id = aws.create_stack(body)
    shown = waiting(aws, stack_id, "task")
    assert "pending" in shown["requests"][0]["words"]
    assert [each["command"] for each in shown["ways"]] == [way(shown, "delete-stack")]
    typed(way(shown, "delete-stack"))
    rests(aws, stack_id, "DELETE_COMPLETE")


def _an_update_is_cancelled(aws: Aws, template: Template) -> None:
    stack_id, outputs = created(aws, template(aws.instance(seconds="1"), "why/before"))
    aws.update_stack(stack_id, template(aws.instance(seconds="3600"), "why/after"))
    shown = waiting(aws, stack_id, "task")
    typed(way(shown, "cancel-update-stack"))
    rests(aws, stack_id, "UPDATE_ROLLBACK_COMPLETE")
    assert aws.outputs(aws.stack(stack_id)) == outputs
    assert aws.keys("why/after") == []


def test_a_pause_is_ended_by_its_command(aws: Aws, template: Template) -> None:
    stack_id, _ = created(aws, template(aws.instance(seconds="1"), "why/paused", OnDelete="Delete"))
    change(aws, Paused="true")
    aws.clients.cloudformation.delete_stack(StackName=stack_id)
    shown = waiting(aws, stack_id, "pause")
    assert shown["isStuck"]

    typed(way(shown, "ParameterKey=Paused,ParameterValue=false"))

    rests(aws, stack_id, "DELETE_COMPLETE")
    assert aws.keys("why/paused") == []
