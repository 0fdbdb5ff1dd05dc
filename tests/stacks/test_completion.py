"""Whole stacks whose bundle is answered once its work is accepted, and whose wait condition learns
of the end."""

import json
from functools import partial
from typing import Any

import pytest

from .faults import clear_faults, set_fault, wait_for_empty_queues
from .support import Aws, json_of, side_by_side, wait_for
from .trials import BUNDLE_INSTANCE, STORE_IMAGE, Method, Sight, Steps, Trial, carry_out

METHODS = (BUNDLE_INSTANCE, STORE_IMAGE)
EACH_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)

# Work that lasts is seen running after it was accepted, whose polls come from 5 seconds on.
STEERING = {
    ("BundleInstance", "lasts"): {"seconds": "7"},
    ("BundleInstance", "ends soon"): {"seconds": "1"},
    ("BundleInstance", "hangs"): {"outcome": "hang"},
    ("BundleInstance", "fails"): {
        "seconds": "4",
        "outcome": "failed",
        "error": "Client.S3Error: The bucket does not like it",
    },
    ("StoreImage", "lasts"): {"image_seconds": "4", "store_seconds": "3"},
    ("StoreImage", "ends soon"): {"image_seconds": "1", "store_seconds": "1"},
    ("StoreImage", "hangs"): {"image_outcome": "hang"},
    ("StoreImage", "fails"): {
        "image_seconds": "4",
        "image_outcome": "failed",
        "image_error": "Client.InternalError: A volume is gone",
    },
}
WORDS = {
    "BundleInstance": "Client.S3Error: The bucket does not like it",
    "StoreImage": "Client.InternalError: A volume is gone",
}


def new_trial(aws: Aws, method: Method, how: str) -> Trial:
    """A trial whose instance is steered: its work `lasts`, `ends soon`, `hangs` or `fails`."""
    return Trial(aws, instance=instance(aws, method, how), method=method)


def instance(aws: Aws, method: Method, how: str) -> str:
    run = aws.instance if method is BUNDLE_INSTANCE else aws.ebs_instance
    return run(bundled="yes", **STEERING[method.name, how])


def waiting(body: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """The template, with a wait condition for its bundle, and their handle."""
    body = signalling(body, number)
    handle, condition = f"Handle{number}", f"Condition{number}"
    body["Resources"][condition] = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "Bundle",
        "Properties": {"Handle": {"Ref": handle}, "Timeout": "90"},
    }
    body["Outputs"]["Data"] = {"Value": {"Fn::GetAtt": [condition, "Data"]}}
    return body


def signalling(body: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """The template, with a handle for its bundle that nothing waits for."""
    handle, bundle = f"Handle{number}", body["Resources"]["Bundle"]
    properties = bundle["Properties"] | {"CompletionHandle": {"Ref": handle}}
    attributes = ("BundleId", "ImageId", "S3Uri", "State", "Progress")
    return {
        "Resources": {
            **body["Resources"],
            handle: {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Bundle": bundle | {"Properties": properties},
        },
        "Outputs": {name: {"Value": {"Fn::GetAtt": ["Bundle", name]}} for name in attributes},
    }


def created(trial: Trial, body: dict[str, Any]) -> dict[str, str]:
    """The outputs of the trial's stack, created of the template."""
    trial.create(body)
    return at_rest(trial, "CREATE_COMPLETE")


def updated(trial: Trial, body: dict[str, Any]) -> dict[str, str]:
    trial.update(body)
    return at_rest(trial, "UPDATE_COMPLETE")


def at_rest(trial: Trial, status: str) -> dict[str, str]:
    """The outputs of the trial's stack, which comes to rest at this status."""
    stack = trial.aws.at_rest(trial.stack_id)
    assert stack["StackStatus"] == status, trial.reasons()
    return trial.aws.outputs(stack)


def shows(trial: Trial, logical_id: str, status: str) -> bool:
    """Whether a resource has come to this status."""
    return any(
        (event["LogicalResourceId"], event["ResourceStatus"]) == (logical_id, status)
        for event in trial.aws.events(trial.stack_id)
    )


def wait_until_accepted(trial: Trial, status: str = "CREATE_COMPLETE") -> None:
    wait_for(lambda: shows(trial, "Bundle", status) or None, f"the bundle to be {status}")


def is_running(trial: Trial) -> bool:
    return bool(trial.method.running(trial, Sight(trial.aws)))


def signals(trial: Trial, handle: str = "Handle1") -> list[dict[str, Any]]:
    """The signals to a handle of the trial's stack, as they were received."""
    received = json_of(f"{trial.aws.clients.endpoint}/sandbox/signals")
    found = [
        signal
        for signal in received
        if (signal["stackId"], signal["logicalResourceId"]) == (trial.stack_id, handle)
    ]
    assert {signal["statusCode"] for signal in found} <= {200}
    return [signal["body"] for signal in found]


def signalled(trial: Trial, data: str) -> dict[str, str]:
    """What the one signal in a condition's Data says."""
    [text] = json.loads(data).values()
    values: dict[str, str] = json.loads(text)
    return values


def place(trial: Trial, bundle: str) -> dict[str, str]:
    """What is to be signalled of the trial's latest bundle, as EC2 and S3 have it."""
    aws, bucket = trial.aws, trial.aws.ready["bucket"]
    if trial.method is BUNDLE_INSTANCE:
        bundle_id, image_id, key = trial.bundles()[-1], "", f"{trial.name}/{bundle}"
        assert f"{key}.manifest.xml" in aws.keys(key)
    else:
        [image] = [i for i in aws.images(trial.name) if i["Name"] == f"{trial.name}/{bundle}"]
        bundle_id = image_id = image["ImageId"]
        key = f"{image_id}.bin"
        assert aws.keys(key) == [key]
    return {"BundleId": bundle_id, "ImageId": image_id, "S3Uri": f"s3://{bucket}/{key}"}


def test_the_resource_exists_while_its_work_runs_and_the_condition_is_signalled_at_the_end(
    aws: Aws,
) -> None:
    side_by_side(
        *(partial(_accepted_and_complete, aws, method) for method in METHODS),
        partial(_registered_in_the_end, aws),
        partial(_dry_run, aws),
    )


def test_accepted_work_that_does_not_complete_rolls_back_and_leaves_nothing(aws: Aws) -> None:
    side_by_side(
        *(partial(_failure, aws, method) for method in METHODS),
        partial(_overdue, aws, BUNDLE_INSTANCE),
        partial(_deleted_while_it_runs, aws, STORE_IMAGE),
        partial(_sibling_that_fails, aws),
    )


def test_what_can_not_be_accepted_is_refused(aws: Aws) -> None:
    side_by_side(
        partial(_work_that_is_refused, aws),
        *(partial(_no_handle, aws, url) for url in NO_HANDLES),
        partial(_completion_timeout_without_a_handle, aws),
    )


def test_a_replacement_with_a_new_handle_removes_the_old_bundle_once_there_is_a_new_one(
    aws: Aws,
) -> None:
    side_by_side(
        *(partial(_replacement, aws, method) for method in METHODS),
        partial(_replacement_whose_work_fails, aws, BUNDLE_INSTANCE),
        partial(_replacement_with_the_handle_of_before, aws),
        partial(_update_in_place_with_a_new_handle, aws, STORE_IMAGE),
    )


@pytest.mark.nightly
def test_accepted_work_of_the_other_method_ends_in_the_same_way(aws: Aws) -> None:
    side_by_side(
        partial(_overdue, aws, STORE_IMAGE),
        partial(_deleted_while_it_runs, aws, BUNDLE_INSTANCE),
        partial(_replacement_whose_work_fails, aws, STORE_IMAGE),
        partial(_update_in_place_with_a_new_handle, aws, BUNDLE_INSTANCE),
    )


# What is made


def _accepted_and_complete(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, "lasts")

    trial.create(waiting(trial.body("one")))
    wait_until_accepted(trial)

    assert is_running(trial)
    assert signals(trial) == []
    assert aws.stack(trial.stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
    [accepted] = aws.responses(trial.stack_id)
    assert accepted["Status"] == "SUCCESS"
    assert accepted["Data"]["State"] in {"pending", "waiting-for-shutdown", "bundling"}

    outputs = at_rest(trial, "CREATE_COMPLETE")

    assert trial.problems("CREATE_COMPLETE", 1, ["one"]) == []
    assert signalled(trial, outputs["Data"]) == place(trial, "one")
    assert outputs["BundleId"] == accepted["PhysicalResourceId"] == trial.bundles()[0]
    assert (outputs["State"], outputs["Progress"]) != ("complete", "100%")
    [signal] = signals(trial)
    assert (signal["Status"], signal["UniqueId"]) == ("SUCCESS", accepted["RequestId"])
    assert aws.responses(trial.stack_id) == [accepted]


def _registered_in_the_end(aws: Aws) -> None:
    """The signal names the AMI."""
    trial = new_trial(aws, BUNDLE_INSTANCE, "lasts")

    outputs = created(trial, waiting(trial.body("one", Image={"Name": trial.name})))

    values = signalled(trial, outputs["Data"])
    [image] = aws.clients.ec2.describe_images(ImageIds=[values["ImageId"]])["Images"]
    assert (image["Name"], image["State"]) == (trial.name, "available")
    assert image["ImageLocation"].endswith(f"/{trial.name}/one.manifest.xml")
    assert outputs["ImageId"] == ""
    assert values | {"ImageId": ""} == place(trial, "one")


def _dry_run(aws: Aws) -> None:
    """It is signalled at once."""
    trial = new_trial(aws, STORE_IMAGE, "hangs")

    outputs = created(trial, waiting(trial.body("one", DryRun=True)))

    assert outputs["BundleId"].startswith("dryrun-")
    assert signalled(trial, outputs["Data"])["BundleId"] == outputs["BundleId"]
    assert trial.bundles() == []
    assert not is_running(trial)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("method", "delivery"),
    [(BUNDLE_INSTANCE, "message:Delivery"), (STORE_IMAGE, "event:Delivery")],
    ids=["BundleInstance", "StoreImage"],
)
def test_what_is_delivered_twice_is_made_accepted_and_signalled_once(
    alone: Aws, method: Method, delivery: str
) -> None:
    trial = new_trial(alone, method, "ends soon")
    fault = set_fault(alone, delivery, "twice", trial.name, times=1000)

    outputs = created(trial, waiting(trial.body("one")))
    wait_for_empty_queues(alone)
    clear_faults(alone, fault)

    assert trial.problems("CREATE_COMPLETE", 1, ["one"]) == []
    assert signalled(trial, outputs["Data"]) == place(trial, "one")
    for bodies in (alone.responses(trial.stack_id), signals(trial)):
        assert bodies != []
        assert [body for body in bodies if body != bodies[0]] == []


# What goes wrong


def _failure(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, "fails")

    trial.create(waiting(trial.body("one")))
    wait_until_accepted(trial)
    assert is_running(trial)
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert trial.problems("ROLLBACK_COMPLETE", 1, []) == []
    reason = aws.failure(trial.stack_id, "Condition1")
    assert "WaitCondition received failed message: " in reason
    assert WORDS[method.name] in reason
    [signal] = signals(trial)
    assert signal["Status"] == "FAILURE"
    assert json.loads(signal["Data"])["BundleId"] == trial.bundles()[0]
    assert not shows(trial, "Bundle", "CREATE_FAILED")


def _work_that_is_refused(aws: Aws) -> None:
    """It is answered, and not signalled."""
    trial = Trial(aws, instance="i-0123456789abcdef0")

    trial.create(waiting(trial.body("one")))
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert "InvalidInstanceID.NotFound" in aws.failure(trial.stack_id)
    assert signals(trial) == []


def _overdue(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, "hangs")

    trial.create(waiting(trial.body("one", CompletionTimeout=10)))
    wait_until_accepted(trial)
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert trial.problems("ROLLBACK_COMPLETE", 1, []) == []
    [signal] = signals(trial)
    assert signal["Status"] == "FAILURE"
    assert "Not complete within CompletionTimeout (10 s): task " in signal["Reason"]
    assert signal["Reason"] in aws.failure(trial.stack_id, "Condition1")


def _deleted_while_it_runs(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, "hangs")
    trial.create(waiting(trial.body("one")))
    wait_until_accepted(trial)
    assert is_running(trial)

    trial.delete()
    aws.at_rest(trial.stack_id)

    assert trial.problems("DELETE_COMPLETE", 1, []) == []
    assert [signal["Status"] for signal in signals(trial) if signal["Status"] == "SUCCESS"] == []


def _sibling_that_fails(aws: Aws) -> None:
    """It fails while accepted work runs, which is ended."""
    trial = new_trial(aws, BUNDLE_INSTANCE, "hangs")
    body = waiting(trial.body("one"))
    wrong = trial.body("wrong", InstanceId="no-instance")["Resources"]["Bundle"]
    body["Resources"]["Wrong"] = wrong | {"DependsOn": "Bundle"}

    trial.create(body)
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert trial.problems("ROLLBACK_COMPLETE", 1, []) == []
    assert shows(trial, "Bundle", "CREATE_COMPLETE")
    assert "InstanceId: " in aws.failure(trial.stack_id, "Wrong")


NO_HANDLES = (
    *("https://example.com/x", "http://169.254.169.254/latest"),
    "arn:aws:sns:us-east-1:1:topic",
)


def _no_handle(aws: Aws, url: str) -> None:
    """It is refused before anything is called."""
    trial = new_trial(aws, BUNDLE_INSTANCE, "ends soon")

    trial.create(trial.body("one", CompletionHandle=url))
    at_rest(trial, "ROLLBACK_COMPLETE")

    reason = aws.failure(trial.stack_id)
    assert "1 problem in the properties. CompletionHandle: must be the URL of a wait" in reason
    assert url not in reason
    assert trial.bundles() == []


def _completion_timeout_without_a_handle(aws: Aws) -> None:
    trial = new_trial(aws, BUNDLE_INSTANCE, "ends soon")

    trial.create(trial.body("one", CompletionTimeout=60))
    at_rest(trial, "ROLLBACK_COMPLETE")

    assert "CompletionHandle: is required with CompletionTimeout" in aws.failure(trial.stack_id)
    assert trial.bundles() == []


# Updates


def _replacement(aws: Aws, method: Method) -> None:
    trial = new_trial(aws, method, "lasts")
    first = created(trial, waiting(trial.body("one", OnDelete="Delete"), 1))

    trial.update(waiting(trial.body("two", OnDelete="Delete"), 2))
    wait_until_accepted(trial, "UPDATE_COMPLETE")

    assert is_running(trial)
    assert trial.manifests() == {"one"}
    second = at_rest(trial, "UPDATE_COMPLETE")
    assert trial.problems("UPDATE_COMPLETE", 2, ["two"]) == []
    assert signalled(trial, second["Data"]) == place(trial, "two")
    assert signalled(trial, second["Data"])["BundleId"] == second["BundleId"] != first["BundleId"]
    assert [len(signals(trial, handle)) for handle in ("Handle1", "Handle2")] == [1, 1]
    events = [
        (event["LogicalResourceId"], event["ResourceStatus"])
        for event in aws.events(trial.stack_id)
    ]
    assert events.index(("Condition2", "CREATE_COMPLETE")) < events.index(
        ("Bundle", "DELETE_COMPLETE")
    )


def _replacement_whose_work_fails(aws: Aws, method: Method) -> None:
    """The rollback brings the old bundle back."""
    trial = new_trial(aws, method, "ends soon")
    first = created(trial, waiting(trial.body("one", OnDelete="Delete"), 1))
    failing = trial.body("two", OnDelete="Delete", InstanceId=instance(aws, method, "fails"))

    trial.update(waiting(failing, 2))

    assert at_rest(trial, "UPDATE_ROLLBACK_COMPLETE") == first
    assert trial.problems("UPDATE_ROLLBACK_COMPLETE", None, ["one"]) == []
    assert WORDS[method.name] in aws.failure(trial.stack_id, "Condition2")
    assert shows(trial, "Bundle", "UPDATE_COMPLETE")


def _replacement_with_the_handle_of_before(aws: Aws) -> None:
    trial = new_trial(aws, BUNDLE_INSTANCE, "ends soon")
    first = created(trial, waiting(trial.body("one", OnDelete="Delete")))

    trial.update(waiting(trial.body("two", OnDelete="Delete")))

    assert at_rest(trial, "UPDATE_ROLLBACK_COMPLETE") == first
    assert trial.problems("UPDATE_ROLLBACK_COMPLETE", 1, ["one"]) == []
    [reason] = trial.reasons()
    assert "CompletionHandle: is that of the earlier bundle" in reason
    assert "give handle and condition new logical IDs" in reason
    assert len(signals(trial)) == 1


@pytest.mark.nightly
@EACH_METHOD
def test_a_replacement_that_no_condition_waits_for_outlives_the_delete_of_the_old_bundle(
    aws: Aws, method: Method
) -> None:
    trial = new_trial(aws, method, "lasts")
    created(trial, signalling(trial.body("one", OnDelete="Delete"), 1))
    wait_for(lambda: signals(trial, "Handle1") or None, "the first signal")

    updated(trial, signalling(trial.body("two", OnDelete="Delete"), 2))
    assert signals(trial, "Handle2") == []
    wait_for(lambda: signals(trial, "Handle2") or None, "the second signal")

    assert [signal["Status"] for signal in signals(trial, "Handle2")] == ["SUCCESS"]
    assert trial.problems("UPDATE_COMPLETE", 2, ["two"]) == []


def _update_in_place_with_a_new_handle(aws: Aws, method: Method) -> None:
    """It is signalled at once."""
    trial = new_trial(aws, method, "ends soon")
    created(trial, waiting(trial.body("one"), 1))

    outputs = updated(trial, waiting(trial.body("one", OnDelete="Delete"), 2))

    assert trial.problems("UPDATE_COMPLETE", 1, ["one"]) == []
    assert signalled(trial, outputs["Data"]) == place(trial, "one")
    assert outputs["State"] == "complete"
    [signal] = signals(trial, "Handle2")
    assert signal["UniqueId"] == aws.responses(trial.stack_id)[-1]["RequestId"]


@pytest.mark.nightly
def test_an_update_in_place_with_the_handle_of_before_signals_nothing(aws: Aws) -> None:
    trial = new_trial(aws, STORE_IMAGE, "ends soon")
    first = created(trial, waiting(trial.body("one")))

    second = updated(trial, waiting(trial.body("one", OnDelete="Delete")))

    assert second["BundleId"] == first["BundleId"]
    assert second["State"] == "complete"
    assert len(signals(trial)) == 1
    assert trial.problems("UPDATE_COMPLETE", 1, ["one"]) == []


# Crashes


@pytest.mark.faults
def test_accepted_work_whose_polls_keep_crashing_is_signalled_by_the_last_resort(
    quick_and_clear: Aws,
) -> None:
    aws = quick_and_clear
    trials = [new_trial(aws, method, "hangs") for method in METHODS]
    reads = {
        BUNDLE_INSTANCE.name: "ec2:DescribeBundleTasks",
        STORE_IMAGE.name: "ec2:DescribeImages",
    }

    def crashing(trial: Trial) -> Steps:
        body = waiting(trial.body("one"))
        # Longer than three kills take to make a dead letter.
        body["Resources"]["Condition1"]["Properties"]["Timeout"] = "500"
        trial.create(body)
        yield trial.is_between_polls()
        read, [task] = reads[trial.method.name], trial.bundles()
        fault = set_fault(aws, read, "kill", trial.name, holding=task, times=100_000)
        yield lambda _: bool(signals(trial))
        clear_faults(aws, fault)
        yield trial.rests()

    carry_out(aws, map(crashing, trials))

    for trial in trials:
        assert trial.problems("ROLLBACK_COMPLETE", 1, []) == []
        assert "its polls kept failing" in aws.failure(trial.stack_id, "Condition1")
        assert shows(trial, "Bundle", "CREATE_COMPLETE")


@pytest.mark.nightly
@EACH_METHOD
def test_an_update_in_place_with_the_same_handle_lets_accepted_work_run_on(
    aws: Aws, method: Method
) -> None:
    trial = new_trial(aws, method, "lasts")
    created(trial, signalling(trial.body("one")))
    assert is_running(trial)

    updated(trial, signalling(trial.body("one", OnDelete="Delete")))
    wait_for(lambda: signals(trial) or None, "the signal")

    assert [signal["Status"] for signal in signals(trial)] == ["SUCCESS"]
    assert trial.problems("UPDATE_COMPLETE", 1, ["one"]) == []
    trial.delete()
    aws.at_rest(trial.stack_id)
    assert trial.problems("DELETE_COMPLETE", 1, []) == []
