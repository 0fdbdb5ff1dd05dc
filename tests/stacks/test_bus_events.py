"""Whole stacks, and the events that an EventBridge bus receives of them."""

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import deployment

from .faults import set_fault
from .support import Aws, json_of, side_by_side, wait_for
from .trials import BUNDLE_INSTANCE, STORE_IMAGE, Method, Sight, Steps, Trial, carry_out

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

METHODS = (BUNDLE_INSTANCE, STORE_IMAGE)
EACH_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
SOON = {"seconds": "1", "image_seconds": "1", "store_seconds": "1"}
FAILING = {
    "outcome": "failed",
    "error": "Client.S3Error: The bucket does not like it",
    "image_outcome": "failed",
    "image_error": "Client.S3Error: The bucket does not like it",
}
BUS = "images"
NOT_PUBLISHED = "The event could not be published"
OF_TASKS = {"started", "progress"}
OF_THE_END = {"holding": r"\"State\": \"complete\""}
"""What a fault has that strikes no event of a task."""


def new_trial(aws: Aws, method: Method, **steering: str) -> Trial:
    run = aws.ebs_instance if method is STORE_IMAGE else aws.instance
    return Trial(aws, instance=run(bundled="yes", **SOON | steering), method=method)


def at_rest(trial: Trial, status: str) -> None:
    assert trial.aws.at_rest(trial.stack_id)["StackStatus"] == status, trial.reasons()


def created(trial: Trial, body: dict[str, Any]) -> None:
    trial.create(body)
    at_rest(trial, "CREATE_COMPLETE")


def updated(trial: Trial, body: dict[str, Any]) -> None:
    trial.update(body)
    at_rest(trial, "UPDATE_COMPLETE")


def deleted(trial: Trial) -> None:
    trial.delete()
    at_rest(trial, "DELETE_COMPLETE")


def announced(trial: Trial) -> list[dict[str, Any]]:
    """The events of the end about the trial's stack, once none is on its way any more."""
    return [event for event in put_about(trial) if event["Detail"]["State"] not in OF_TASKS]


def put_about(trial: Trial) -> list[dict[str, Any]]:
    """All events about the trial's stack, once none is on its way any more.

    An event follows its answer; the request is in the ledger until both are out.
    """
    is_through = trial.is_through()
    wait_for(lambda: is_through(Sight(trial.aws)) or None, "the function to be through with it")
    events = json_of(f"{trial.aws.clients.endpoint}/sandbox/events")
    return [event for event in events if event["Detail"].get("StackId") == trial.stack_id]


def details(trial: Trial) -> list[dict[str, str]]:
    return [event["Detail"] for event in announced(trial)]


def answers(trial: Trial) -> list[dict[str, Any]]:
    return trial.aws.responses(trial.stack_id)


def with_image(trial: Trial, **image: Any) -> dict[str, Any]:
    """A template whose bundle has this in its Image, added to what the method's trials have."""
    body = trial.body("one", OnDelete="Delete")
    properties = body["Resources"]["Bundle"]["Properties"]
    properties["Image"] = properties.get("Image", {}) | image
    return body


# What is published


def test_an_event_is_published_for_each_bundle_that_is_complete_or_has_failed(aws: Aws) -> None:
    side_by_side(
        *(partial(_complete, aws, method) for method in METHODS),
        *(partial(_progress, aws, method) for method in METHODS),
        *(partial(_failed, aws, method) for method in METHODS),
        partial(_end_of_accepted_work, aws),
        partial(_another_ami, aws),
    )


def test_no_event_is_published_where_no_bundle_is_made(aws: Aws) -> None:
    side_by_side(
        *(partial(_dry_run, aws, method) for method in METHODS),
        partial(_refused_properties, aws),
    )


def _complete(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method)

    created(trial, trial.body("one"))

    [event] = announced(trial)
    [answer] = answers(trial)
    bucket, bundle_id = aws.ready["bucket"], trial.bundles()[0]
    own = {
        "BundleInstance": {
            "ImageId": "",
            "Prefix": f"{trial.name}/one",
            "S3Uri": f"s3://{bucket}/{trial.name}/one",
        },
        "StoreImage": {
            "ImageId": bundle_id,
            "Prefix": "",
            "S3Uri": f"s3://{bucket}/{bundle_id}.bin",
        },
    }
    assert event["Detail"] == {
        "StackId": trial.stack_id,
        "StackName": trial.name,
        "LogicalResourceId": "Bundle",
        "RequestId": answer["RequestId"],
        "Method": method.name,
        "InstanceId": trial.instance,
        "BundleId": bundle_id,
        "Bucket": bucket,
        "Progress": "100%",
        "TaskState": "complete",
        **{name: answer["Data"][name] for name in ("StartTime", "UpdateTime")},
        "State": "complete",
        "Reason": "",
        **own[method.name],
    }
    assert {name: event[name] for name in ("EventBusName", "Source", "DetailType")} == {
        "EventBusName": "default",
        "Source": "cfn-instance-bundle",
        "DetailType": "Instance Bundle State Change",
    }
    assert event["Resources"] == [trial.stack_id]


def _progress(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, seconds="45", image_seconds="6", store_seconds="40")

    created(trial, trial.body("one"))

    details = [event["Detail"] for event in put_about(trial)]
    # A busy machine may have time for another `progress`.
    assert [detail["State"] for detail in details] == [
        *("started", "progress"),
        *["progress"] * (len(details) - 3),
        "complete",
    ]
    same = {*details[0]} - {"State", "Progress", "TaskState", "UpdateTime", "S3Uri"}
    for detail in details:
        assert {*detail} == {*details[0]}
        assert {name: detail[name] for name in same} == {name: details[0][name] for name in same}
    percent = [int(detail["Progress"].removesuffix("%")) for detail in details]
    assert percent == sorted({*percent})
    assert percent[-1] == 100
    assert details[1]["TaskState"] in {"bundling", "storing"}
    assert details[0]["S3Uri"] == details[1]["S3Uri"] == ""


def _failed(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, **FAILING)

    trial.create(trial.body("one"))
    at_rest(trial, "ROLLBACK_COMPLETE")

    [detail] = details(trial)
    failed = answers(trial)[0]
    assert failed["Status"] == "FAILED"
    assert detail["State"] == "failed"
    assert detail["Reason"] == failed["Reason"]
    assert "Client.S3Error: The bucket does not like it" in detail["Reason"]
    assert detail["BundleId"] == failed["PhysicalResourceId"] == trial.bundles()[0]
    assert detail["S3Uri"] == ""


def _end_of_accepted_work(aws: Aws) -> None:
    trial = new_trial(aws, BUNDLE_INSTANCE)

    created(trial, trial.waiting_body("one"))

    [detail] = details(trial)
    assert (detail["State"], detail["BundleId"]) == ("complete", trial.bundles()[0])
    assert answers(trial)[0]["Data"]["State"] != "complete"


@pytest.mark.nightly
@EACH_METHOD
def test_a_replacement_and_a_delete_publish_events_and_an_update_in_place_does_not(
    aws: Aws, method: Method
) -> None:
    trial = new_trial(aws, method)

    created(trial, trial.body("one", OnDelete="Delete"))
    updated(trial, trial.body("one"))
    assert len(details(trial)) == 1

    updated(trial, trial.body("two", OnDelete="Delete"))
    first, second, removed = details(trial)
    assert {first["State"], second["State"]} == {"complete"}
    assert (removed["State"], removed["BundleId"]) == ("removed", first["BundleId"])
    assert first["RequestId"] != second["RequestId"]
    assert (
        first["BundleId"]
        != second["BundleId"]
        == aws.outputs(aws.stack(trial.stack_id))["BundleId"]
    )

    deleted(trial)
    states = [detail["State"] for detail in details(trial)]
    assert states == ["complete", "complete", "removed", "removed"]


def _another_ami(aws: Aws) -> None:
    trial = new_trial(aws, BUNDLE_INSTANCE)

    created(trial, with_image(trial, Name=f"{trial.name}-1"))
    updated(trial, with_image(trial, Name=f"{trial.name}-2"))

    first, second = details(trial)
    assert first["BundleId"] == second["BundleId"] == trial.bundles()[0]
    assert first["RequestId"] != second["RequestId"]
    images = aws.clients.ec2.describe_images(ImageIds=[first["ImageId"], second["ImageId"]])[
        "Images"
    ]
    assert {image["Name"] for image in images} == {f"{trial.name}-1", f"{trial.name}-2"}
    assert second["State"] == "complete"


@pytest.mark.nightly
@EACH_METHOD
@pytest.mark.parametrize(
    "changed",
    [{"Tags": [{"Key": "Team", "Value": "b"}]}, {"Description": "Another"}],
    ids=["Tags", "Description"],
)
def test_an_ami_that_is_changed_in_place_publishes_no_event(
    aws: Aws, method: Method, changed: Mapping[str, Any]
) -> None:
    trial = new_trial(aws, method)
    image = {"Name": f"{trial.name}/one", "Description": "One"}
    created(trial, with_image(trial, **image))

    updated(trial, with_image(trial, **{**image, **changed}))

    [detail] = details(trial)
    assert detail["RequestId"] == answers(trial)[0]["RequestId"]
    deleted(trial)
    assert len(details(trial)) == 1


def _dry_run(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method)

    created(trial, trial.body("one", DryRun=True))

    assert details(trial) == []


def _refused_properties(aws: Aws) -> None:
    trial = new_trial(aws, BUNDLE_INSTANCE)

    trial.create(trial.body("one", InstanceId="no-instance"))
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert details(trial) == []


# Which bus receives it


def test_the_bus_of_the_parameter_receives_the_event_if_there_is_one(alone: Aws) -> None:
    missing = new_trial(alone, BUNDLE_INSTANCE)
    created(missing, missing.body("one"))
    assert details(missing) == []
    [line] = [each for each in failures_of(missing) if each["level"] == "ERROR"]
    assert line["bus"] == BUS
    assert "events:PutEvents was refused. ResourceNotFoundException: " in line["exception"]

    queue = queue_that_receives(alone, BUS)
    trial = new_trial(alone, STORE_IMAGE)
    created(trial, trial.body("one"))
    received = message(alone, queue)
    [event] = announced(trial)
    assert event["EventBusName"] == BUS
    assert {name: received[name] for name in ("source", "detail-type", "detail", "resources")} == {
        "source": "cfn-instance-bundle",
        "detail-type": "Instance Bundle State Change",
        "detail": event["Detail"],
        "resources": [trial.stack_id],
    }

    set_bus(alone, "")
    silent = new_trial(alone, BUNDLE_INSTANCE)
    created(silent, silent.body("one"))
    assert details(silent) == []
    assert failures_of(silent) == []
    set_bus(alone, BUS)


def failures_of(trial: Trial) -> list[dict[str, Any]]:
    """The log lines about events of a stack that a bus did not take."""
    aws = trial.aws
    found = aws.clients.client("logs").filter_log_events(
        logGroupName=aws.ready["log_group"], filterPattern=NOT_PUBLISHED
    )
    lines = [json.loads(event["message"]) for event in found["events"]]
    return [
        line
        for line in lines
        if line["message"].startswith(NOT_PUBLISHED) and line["stack_id"] == trial.stack_id
    ]


def queue_that_receives(aws: Aws, bus: str) -> str:
    """The URL of a queue that gets what comes onto a bus, which is new, of complete bundles."""
    events, sqs = aws.clients.client("events"), aws.clients.client("sqs")
    events.create_event_bus(Name=bus)
    sends = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sends]})
    queue: str = sqs.create_queue(QueueName=f"receives-{bus}", Attributes={"Policy": policy})[
        "QueueUrl"
    ]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {
        "source": ["cfn-instance-bundle"],
        "detail-type": ["Instance Bundle State Change"],
        "detail": {"State": ["complete"]},
    }
    events.put_rule(Name=bus, EventBusName=bus, EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": arn["QueueArn"]}
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[target])
    return queue


def message(aws: Aws, queue: str) -> dict[str, Any]:
    """The one message that comes to a queue, which is deleted with it."""
    sqs = aws.clients.client("sqs")
    found = wait_for(
        lambda: sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"),
        "the event in the queue",
    )
    sqs.delete_queue(QueueUrl=queue)
    [body] = [json.loads(each["Body"]) for each in found]
    assert isinstance(body, dict)
    return body


def set_bus(aws: Aws, name: str) -> None:
    """Deploy the application with another bus."""
    cloudformation = aws.clients.cloudformation
    [stack] = cloudformation.describe_stacks(StackName=deployment.STACK_NAME)["Stacks"]
    parameters: list[ParameterTypeDef] = [
        {"ParameterKey": each["ParameterKey"], "UsePreviousValue": True}
        for each in stack["Parameters"]
        if each["ParameterKey"] != "EventBusName"
    ]
    parameters.append({"ParameterKey": "EventBusName", "ParameterValue": name})
    cloudformation.update_stack(
        StackName=deployment.STACK_NAME,
        UsePreviousTemplate=True,
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = aws.at_rest(stack["StackId"])
    assert stack["StackStatus"] == "UPDATE_COMPLETE"


# Faults


@pytest.mark.faults
def test_the_event_comes_whatever_becomes_of_the_call_and_the_stack_does_not_wait_for_it(
    quick_and_clear: Aws,
) -> None:
    aws = quick_and_clear
    # More often than the SDK tries within one invocation.
    faults: Mapping[str, Mapping[str, float | str]] = {
        **{kind: {"times": 4, **OF_THE_END} for kind in ("cut", "cut-after")},
        **dict.fromkeys(("kill", "kill-after", "deny"), OF_THE_END),
    }
    trials = {
        (kind, method.name): new_trial(aws, method)
        for kind in faults
        for method in (BUNDLE_INSTANCE, STORE_IMAGE)
    }

    def create(trial: Trial, kind: str) -> Steps:
        set_fault(aws, "events:PutEvents", kind, trial.name, **faults[kind])
        trial.create(trial.waiting_body("one"))
        yield trial.rests()

    carry_out(aws, [create(trial, kind) for (kind, _), trial in trials.items()])
    received = {what: details(trial) for what, trial in trials.items()}
    struck = json_of(f"{aws.clients.endpoint}/sandbox/faults")

    assert [fault for fault in struck if len(fault["hits"]) != fault["times"]] == []
    problems = {what: t.problems("CREATE_COMPLETE", 1, ["one"]) for what, t in trials.items()}
    assert {what: wrong for what, wrong in problems.items() if wrong} == {}
    missing = {what for what, events in received.items() if not events}
    assert missing == {what for what in trials if what[0] == "deny"}
    for what in trials.keys() - missing:
        assert {event["BundleId"] for event in received[what]} == {*trials[what].bundles()}
        assert [event for event in received[what] if event != received[what][0]] == []
    often = {kind for (kind, _), events in received.items() if len(events) > 1}
    assert often >= {"cut-after", "kill-after"}
