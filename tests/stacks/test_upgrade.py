"""An update of the application to other code, while work of every kind is under way."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import artifact
from sandbox.deployment import STACK_NAME

from .installations import deployed, resources, update
from .pages import Operator
from .support import Aws, Observers, SandboxProcess, json_of, signing_secret, wait_for
from .trials import BUNDLE_INSTANCE, STORE_IMAGE, Method, Sight, Trial

UNDER_WAY = {
    BUNDLE_INSTANCE: {"seconds": "60"},
    STORE_IMAGE: {"image_seconds": "10", "store_seconds": "50"},
}
"""Work that is under way for longer than the update."""


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, whose application is updated."""
    sandbox = SandboxProcess.start(tmp_path)
    clients = Observers(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


def test_work_of_every_kind_goes_on_over_an_update_of_the_code(aws: Aws, tmp_path: Path) -> None:
    replaced = Trial(aws, instance=aws.instance(seconds="1"))
    replaced.create(replaced.body("one", OnDelete="Delete"))
    assert aws.at_rest(replaced.stack_id)["StackStatus"] == "CREATE_COMPLETE"
    _slow_down(aws, replaced.instance)
    deleted = Trial(aws, instance=aws.instance(outcome="hang"))
    deleted.create(deleted.body("one", OnDelete="Delete"))
    bundle, dead, image, accepted = (
        _trial(aws, method)
        for method in (BUNDLE_INSTANCE, BUNDLE_INSTANCE, STORE_IMAGE, BUNDLE_INSTANCE)
    )
    for trial in (bundle, dead, image):
        trial.create(trial.body("one", OnDelete="Delete"))
    accepted.create(accepted.waiting_body("one", OnDelete="Delete"))
    replaced.update(replaced.body("two", OnDelete="Delete"))
    last_resort = resources(aws)["LastResortFunction"]
    aws.clients.functions.put_function_concurrency(
        FunctionName=last_resort, ReservedConcurrentExecutions=0
    )

    under_way = (bundle, dead, image, accepted, replaced, deleted)
    wait_for(lambda: _are_under_way(aws, *under_way), "all work to be under way")
    _make_a_dead_letter(aws, dead)
    deleted.delete()
    wait_for(lambda: _is_being_deleted(aws, deleted), "the Delete to wait for the task's end")
    code = _code(aws)
    update(aws, _with_other_code(aws))
    assert _code(aws) != code
    rest = [trial for trial in under_way if trial.stack_id in Sight(aws).busy]
    aws.clients.functions.delete_function_concurrency(FunctionName=last_resort)

    for trial, status, bundles, left in (
        (bundle, "CREATE_COMPLETE", 1, ["one"]),
        (dead, "CREATE_COMPLETE", 1, ["one"]),
        (image, "CREATE_COMPLETE", 1, ["one"]),
        (accepted, "CREATE_COMPLETE", 1, ["one"]),
        (replaced, "UPDATE_COMPLETE", 2, ["two"]),
        (deleted, "DELETE_COMPLETE", 1, []),
    ):
        aws.at_rest(trial.stack_id)
        assert trial.problems(status, bundles, left) == []
    assert {trial.name for trial in rest} >= {
        trial.name for trial in (bundle, dead, image, accepted, replaced)
    }
    wait_for(lambda: _has_no_dead_letters(aws), "the dead letter to be dealt with")
    version, in_flight = (
        Operator(aws, "docs/installations.md", tmp_path).type("Upgrade").splitlines()
    )
    assert version == aws.outputs(aws.stack(STACK_NAME))["Version"]
    assert in_flight == "Nothing is in flight."


def _trial(aws: Aws, method: Method) -> Trial:
    run = aws.instance if method is BUNDLE_INSTANCE else aws.ebs_instance
    return Trial(aws, instance=run(**UNDER_WAY[method]), method=method)


def _slow_down(aws: Aws, instance: str) -> None:
    for name, value in UNDER_WAY[BUNDLE_INSTANCE].items():
        aws.clients.ec2.create_tags(
            Resources=[instance], Tags=[{"Key": f"sandbox:{name}", "Value": value}]
        )


def _are_under_way(aws: Aws, *trials: Trial) -> bool | None:
    """Whether each stack's last task has been started, and is polled from time to time."""
    now = Sight(aws)
    return (
        all(trial.is_between_polls()(now) and trial.method.running(trial, now) for trial in trials)
        or None
    )


def _is_being_deleted(aws: Aws, trial: Trial) -> bool | None:
    """Whether the end of the stack's task has been asked for."""
    return any("ended" in item for item in trial.items(Sight(aws))) or None


def _make_a_dead_letter(aws: Aws, trial: Trial) -> None:
    """Have the poll of a request be among the dead letters, as SQS moves it there."""
    messages = json_of(f"{aws.clients.endpoint}/sandbox/messages")
    poll = [message["body"] for message in messages if trial.name in message["body"]][-1]
    aws.clients.client("sqs").send_message(
        QueueUrl=resources(aws)["DeadLetterQueue"], MessageBody=poll
    )


def _has_no_dead_letters(aws: Aws) -> bool | None:
    kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = aws.clients.client("sqs").get_queue_attributes(
        QueueUrl=resources(aws)["DeadLetterQueue"],
        AttributeNames=kinds,
    )["Attributes"]
    return None if any(int(count) for count in counts.values()) else True


def _code(aws: Aws) -> set[str]:
    """The digests of the functions' packages."""
    found = resources(aws)
    return {
        aws.clients.functions.get_function_configuration(FunctionName=found[name])["CodeSha256"]
        for name in ("InstanceBundleFunction", "LastResortFunction")
    }


def _with_other_code(aws: Aws) -> dict[str, object]:
    """The application's template, with a package that differs in a line of each function."""
    package = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(artifact.build())) as before,
        zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename in ("instance_bundle/app.py", "instance_bundle/last_resort.py"):
                content += b"\n# Another version.\n"
            after.writestr(entry, content)
    place = {"Bucket": aws.ready["bucket"], "Key": "another-version.zip"}
    aws.clients.s3.put_object(Bucket=place["Bucket"], Key=place["Key"], Body=package.getvalue())
    template = json.loads(json.dumps(deployed(aws)))
    template["Globals"]["Function"]["CodeUri"] = place
    return dict(template)
