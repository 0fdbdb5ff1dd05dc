"""Why polls do not come, and the commands that make them come again."""

from collections.abc import Iterator

from cli.errors import calling
from cli.installation import Installation
from cli.typed import Typed, Way
from instance_bundle.state import Poll, Record

_SOURCE, _QUEUE, _FUNCTION = "PollSource", "PollQueue", "InstanceBundleFunction"
"""Logical IDs of the application's template."""


def ways(installation: Installation, typed: Typed, *records: Record) -> Iterator[Way]:
    """How polls come again: what stops them, and then the message of each request.

    Args:
        installation: the application.
        typed: writes the commands.
        records: of the requests whose polls are late.
    """
    yield from _stopped(installation, typed)
    queue = _resource(installation, _QUEUE)
    for record in records:
        body = Poll(record.key, record.generation).body()
        yield Way(
            typed.aws("sqs", "send-message", "--queue-url", queue, "--message-body", body),
            f"Sends the poll of {record.key.logical_id} again, if its message is lost. The message"
            " has no secrets, and one too many changes nothing.",
            "Nothing.",
        )


def _stopped(installation: Installation, typed: Typed) -> Iterator[Way]:
    functions = installation.account.functions()
    source, function = (_resource(installation, each) for each in (_SOURCE, _FUNCTION))
    with calling("lambda:GetEventSourceMapping"):
        mapping = functions.get_event_source_mapping(UUID=source)
    if mapping["State"] in ("Disabled", "Disabling"):
        yield Way(
            typed.aws("lambda", "update-event-source-mapping", "--uuid", source, "--enabled"),
            f"The event source mapping of the poll queue is {mapping['State']}. Enables it: all"
            " requests continue.",
            "Nothing.",
        )
    with calling("lambda:GetFunctionConcurrency"):
        reserved = functions.get_function_concurrency(FunctionName=function)
    if reserved.get("ReservedConcurrentExecutions") == 0:
        yield Way(
            typed.aws("lambda", "delete-function-concurrency", "--function-name", function),
            "The function's reserved concurrency is 0, so it does not run. Removes that: all"
            " requests continue.",
            "Nothing.",
        )
    with calling("lambda:GetFunctionRecursionConfig"):
        loops = functions.get_function_recursion_config(FunctionName=function)
    if loops["RecursiveLoop"] != "Allow":
        name = ("--function-name", function, "--recursive-loop", "Allow")
        yield Way(
            typed.aws("lambda", "put-function-recursion-config", *name),
            f"RecursiveLoop of the function is {loops['RecursiveLoop']}, so Lambda stops its polls"
            " after about 16. Sets it back: all requests continue.",
            "Nothing.",
        )


def _resource(installation: Installation, logical_id: str) -> str:
    """The physical ID of a resource of the application's stack."""
    cloudformation = installation.account.cloudformation()
    with calling("cloudformation:DescribeStackResource"):
        found = cloudformation.describe_stack_resource(
            StackName=installation.stack, LogicalResourceId=logical_id
        )
    return found["StackResourceDetail"]["PhysicalResourceId"]
