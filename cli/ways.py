"""The commands that free a stack, and what is left after each.

What each command of CloudFormation's is allowed for: AWS CloudFormation API Reference,
CancelUpdateStack, ContinueUpdateRollback, DeleteStack and RollbackStack.
"""

from collections.abc import Iterator, Sequence

from cli.installation import Installation
from cli.stacks import Stack
from cli.typed import Typed, Way
from cli.waits import Request
from instance_bundle.state import Cleanup, Record

_STORING = "storing"


def of_request(request: Request, typed: Typed) -> Iterator[Way]:
    """How to end the work of a request at EC2.

    EC2 can cancel a bundle task, but not the storing of an AMI (EC2 API Reference).
    """
    for record in (request.record, *request.earlier):
        task = record.task
        if task is None or not task.id.startswith("bun-") or task.phase != "running":
            continue
        if record.answer is None or record.cleanup == Cleanup.NONE:
            yield Way(
                typed.aws("ec2", "cancel-bundle-task", "--bundle-id", task.id),
                _after_cancel(request.record),
                "Nothing of the bundle. With AllowObjectDeletion false, its parts stay in S3.",
            )


def _after_cancel(record: Record) -> str:
    if record.request_type == "Delete":
        return "EC2 ends the task. The Delete removes what it has written, and goes on."
    if record.acceptance_sent:
        return "EC2 ends the task. The wait condition fails, and the stack rolls back."
    return f"EC2 ends the task. The {record.request_type} is FAILED, and the stack rolls back."


def unpause(installation: Installation, typed: Typed) -> Way:
    """How to end a pause. UsePreviousValue keeps all other parameters (AWS CloudFormation API
    Reference, Parameter); a template with a transform needs CAPABILITY_AUTO_EXPAND (UpdateStack).
    """
    others = sorted(set(installation.parameters) - {"Paused"})
    update = ("cloudformation", "update-stack", "--stack-name", installation.stack)
    return Way(
        typed.aws(
            *(*update, "--use-previous-template", "--capabilities"),
            *("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "--parameters"),
            "ParameterKey=Paused,ParameterValue=false",
            *(f"ParameterKey={name},UsePreviousValue=true" for name in others),
        ),
        "Ends the pause of the application: what waits continues with its next poll.",
        "Requests that were FAILED meanwhile: deploy or delete their stacks again.",
    )


def of_stack(stack: Stack, requests: Sequence[Request], typed: Typed) -> Iterator[Way]:
    """How to end the operation of a stack, or free it from where its last one has left it.

    Args:
        stack: the stack.
        requests: those in flight.
        typed: writes the commands.
    """
    if stack.root and stack.root != stack.name:
        if not _is_well(stack):
            yield Way(
                typed.own("why", stack.root),
                f"{stack.name} is nested: shows the commands for the stack at the top.",
                "Nothing is changed.",
            )
        return
    named = ("--stack-name", stack.name)
    delete = typed.aws("cloudformation", "delete-stack", *named)
    match stack.status:
        case "CREATE_IN_PROGRESS":
            does = "CloudFormation stops the creation, and deletes the stack."
            yield Way(delete, f"{does}{_ends(requests)}", _kept(requests))
        case "UPDATE_IN_PROGRESS":
            yield Way(
                typed.aws("cloudformation", "cancel-update-stack", *named),
                f"CloudFormation rolls the update back.{_ends(requests)}",
                f"The stack and its bundles as before the update. {_kept(requests)}",
            )
        case "CREATE_FAILED" | "ROLLBACK_FAILED" | "ROLLBACK_COMPLETE":
            yield Way(
                delete,
                "Deletes what is left of the stack. Fix first what has failed.",
                "Nothing: the name is free for a new stack.",
            )
        case "UPDATE_FAILED":
            yield Way(
                typed.aws("cloudformation", "rollback-stack", *named),
                "Rolls the stack back to its last complete state.",
                "The stack and its bundles as before the update.",
            )
        case "UPDATE_ROLLBACK_FAILED":
            yield from _continued(stack, typed)
        case "DELETE_FAILED":
            yield from _deleted(stack, typed)


def _continued(stack: Stack, typed: Typed) -> Iterator[Way]:
    go_on = ("cloudformation", "continue-update-rollback", "--stack-name", stack.name)
    yield Way(
        typed.aws(*go_on),
        "Sends the rollback's requests again. Fix first what has failed.",
        "The stack and its bundles as before the update.",
    )
    failed = stack.having("UPDATE_FAILED")
    if failed:
        yield Way(
            typed.aws(*go_on, "--resources-to-skip", *failed),
            f"CloudFormation sends no request about {', '.join(failed)}, and counts it as updated.",
            "What these resources have now, also a bundle that the failed update has made. Their"
            " next update must start from a template that describes it.",
        )


def _deleted(stack: Stack, typed: Typed) -> Iterator[Way]:
    delete = ("cloudformation", "delete-stack", "--stack-name", stack.name)
    yield Way(typed.aws(*delete), "Sends the Deletes again. Fix first what has failed.", "Nothing.")
    failed = stack.having("DELETE_FAILED")
    if failed:
        yield Way(
            typed.aws(*delete, "--retain-resources", *failed),
            f"Deletes the stack without {', '.join(failed)}, about which no request is sent.",
            "Their bundles, AMIs, snapshots and objects, which no stack manages any longer.",
        )


def _ends(requests: Sequence[Request]) -> str:
    return " The application ends the work, and removes what it has made." if requests else ""


def _kept(requests: Sequence[Request]) -> str:
    tasks = [request.record.task for request in requests]
    if any(task is not None and task.state == _STORING and task.image_id for task in tasks):
        return "EC2 can't cancel the storing of an AMI: the clean-up waits for its end."
    if any(request.kind == "refusal" for request in requests):
        return "If the clean-up needs the refused call, too, it waits for it until its deadline."
    return "Nothing of the new work."


def _is_well(stack: Stack) -> bool:
    return stack.status.endswith("_COMPLETE") and stack.status != "ROLLBACK_COMPLETE"
