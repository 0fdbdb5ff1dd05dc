"""A run with canaries: what is secret appears in nothing that people or other programs read.

Every secret of the run is known to the test. Stacks go through what they can go through, with every
logger at DEBUG, and with AWS repeating in its messages what it was sent; then all that the run
wrote is searched. Controls show that the search finds what is there, and that the same run without
the guards does put secrets into the log.
"""

import base64
import io
import itertools
import json
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import pytest

from instance_bundle.request import upload_policy
from sandbox import artifact
from sandbox.clients import CREDENTIALS

from .canaries import Canaries
from .events_of_buckets import send_events
from .faults import (
    clear_faults,
    hurry,
    ledger_items,
    set_fault,
    texts_of_requests,
    wait_for_empty_queues,
)
from .installations import resources
from .support import Aws, Observers, SandboxProcess, json_of, wait_for
from .trials import Steps, Trial, carry_out

pytestmark = pytest.mark.faults

LOUDEST = {
    "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
    "LOG_LEVEL": "DEBUG",
    "POWERTOOLS_DEBUG": "true",
    "POWERTOOLS_LOGGER_LOG_EVENT": "true",
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
}
"""What asks Lambda, Powertools and others to say more."""

OF_SIGNED_REQUESTS = ("AWS4-HMAC-SHA256 Credential", "X-Amz-Signature=")
"""What is next to each signature in a signed request's header, and in a pre-signed URL."""

LOUD = Path(__file__).with_name("loud.py")
"""The handler before the functions' own; importing it would load one of those."""

SAID = "Every logger is at DEBUG"
"""What it logs at DEBUG."""

SERVICE = {"Name": "service", "Value": "instance-bundle"}
"""The one dimension of the metrics."""

OFTEN = 100_000


# Functions that say all they can


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    directory = tmp_path_factory.mktemp("loud-sandbox")
    sandbox = SandboxProcess.start(directory, {"Dashboard": "true"})
    record = directory / "events"
    record.mkdir()
    aws = Aws(
        {**sandbox.ready, "log": str(sandbox.log), "record": str(record)},
        Observers(sandbox.ready["endpoint"]),
    )
    try:
        hurry(aws)
        send_events(aws, aws.ready["bucket"])
        _turn_up(aws)
        yield aws
    finally:
        status = sandbox.end()
    assert status == 0


def _turn_up(aws: Aws) -> None:
    """Put a handler before those of the functions that sets each logger to DEBUG."""
    package = _package(aws)
    functions = aws.clients.functions
    for function in functions.list_functions()["Functions"]:
        name = function["FunctionName"]
        functions.update_function_code(FunctionName=name, **package)
        functions.update_function_configuration(
            FunctionName=name,
            Handler=f"{LOUD.stem}.handler",
            LoggingConfig={
                **function["LoggingConfig"],
                "ApplicationLogLevel": "DEBUG",
                "SystemLogLevel": "DEBUG",
            },
        )
        _set_variables(
            aws,
            name,
            **LOUDEST,
            LOUD_HANDLER=function["Handler"],
            LOUD_RECORD=aws.ready["record"],
        )


def _package(aws: Aws) -> Any:
    """The path of the functions' package with that handler in it."""
    content = io.BytesIO(artifact.build())
    with zipfile.ZipFile(content, "a") as package:
        package.write(LOUD, LOUD.name)
    place = {"S3Bucket": aws.ready["bucket"], "S3Key": "loud.zip"}
    aws.clients.s3.put_object(Bucket=place["S3Bucket"], Key=place["S3Key"], Body=content.getvalue())
    return place


def _set_variables(aws: Aws, function: str, **variables: str) -> None:
    functions = aws.clients.functions
    before = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**before, **variables}}
    )


# What stacks go through


@dataclass
class Scene:
    """What the stories of a run share.

    Attributes:
        canaries: the secrets that the stories bring into it.
        items: of the ledger, as they were at many moments while requests were at work.
        texts: of requests, as they were at these moments.
    """

    aws: Aws
    canaries: Canaries = field(default_factory=Canaries)
    items: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def read_tables(self) -> None:
        """Record what both tables hold now."""
        self.items |= {json.dumps(item) for item in ledger_items(self.aws)}
        self.texts |= {json.dumps(item) for item in texts_of_requests(self.aws)}

    def policy(self) -> dict[str, str]:
        """The members of Storage.S3 for a policy that is right, given as its base64."""
        number = next(self._numbers)
        expires = f"2031-03-07T11:22:33.{number:03}Z"
        conditions = [
            {"bucket": self.aws.ready["bucket"]},
            {"acl": upload_policy.ACL},
            ["starts-with", "$key", ""],
        ]
        written = {"expiration": expires, "conditions": conditions}
        document = json.dumps(written, separators=(",", ":"))
        signature = upload_policy.sign(document.encode(), CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        wire = base64.b64encode(document.encode()).decode()
        self.canaries.add(f"the expiration of policy {number}", expires)
        self.canaries.add(f"policy {number}", document)
        self.canaries.add(f"the base64 of policy {number}", wire)
        self.canaries.add_random(f"the signature of policy {number}", signature)
        return {
            "AWSAccessKeyId": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "UploadPolicy": wire,
            "UploadPolicySignature": signature,
        }

    def secret(self, content: str | bytes) -> str:
        """The ARN of a new secret."""
        kind = "SecretString" if isinstance(content, str) else "SecretBinary"
        made = self.aws.clients.client("secretsmanager").create_secret(
            Name=f"bundles/{secrets.token_hex(8)}", **{kind: content}
        )
        arn: str = made["ARN"]
        return arn

    def handle(self) -> str:
        """The URL of a wait condition handle, in a stack of its own."""
        cloudformation = self.aws.clients.cloudformation
        resource = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
        stack_id = self.aws.create_stack({"Resources": {"Handle": resource}})
        self.aws.at_rest(stack_id)
        url = cloudformation.describe_stack_resource(
            StackName=stack_id, LogicalResourceId="Handle"
        )["StackResourceDetail"]["PhysicalResourceId"]
        _add_url(self.canaries, f"a handle of {stack_id}", url)
        return url

    def access_key(self) -> dict[str, str]:
        """A bucket owner's access key, which is a real one."""
        iam, user = self.aws.clients.client("iam"), f"owner-{secrets.token_hex(4)}"
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        secret = self.canaries.add_random(f"the secret key of {user}", key["SecretAccessKey"])
        return {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": secret}

    def random(self, name: str) -> str:
        """A new canary."""
        return self.canaries.add_random(name, secrets.token_urlsafe(30))


Story = Callable[[Scene, Trial], Steps]


def _asking(trial: Trial, s3: Mapping[str, str], **properties: Any) -> dict[str, Any]:
    """A template whose bundle has this in Storage.S3, and these properties."""
    place = {"Bucket": trial.aws.ready["bucket"], "Prefix": f"{trial.name}/one"}
    asked = {
        "ServiceToken": trial.aws.ready["service_token"],
        "InstanceId": trial.instance,
        "Storage": {"S3": {**place, **s3}},
    }
    return {
        "Resources": {
            "Bundle": {"Type": "Custom::InstanceBundle", "Properties": asked | properties}
        },
        "Outputs": {"BundleId": {"Value": {"Ref": "Bundle"}}},
    }


def _waited_for(body: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """The template, with a wait condition for its bundle."""
    handle, bundle = f"Handle{number}", body["Resources"]["Bundle"]
    properties = bundle["Properties"] | {"CompletionHandle": {"Ref": handle}}
    resources = {
        handle: {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Bundle": bundle | {"Properties": properties},
        f"Done{number}": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": "Bundle",
            "Properties": {"Handle": {"Ref": handle}, "Timeout": "180"},
        },
    }
    data = {"Value": {"Fn::GetAtt": [f"Done{number}", "Data"]}}
    return {"Resources": resources, "Outputs": body["Outputs"] | {"Data": data}}


def _create(trial: Trial, body: dict[str, Any], **steering: str) -> Steps:
    trial.instance = trial.aws.instance(**{"seconds": "1", **steering})
    body["Resources"]["Bundle"]["Properties"]["InstanceId"] = trial.instance
    trial.create(body)
    yield trial.rests()


def _whole_life(scene: Scene, trial: Trial) -> Steps:
    body = _asking(trial, scene.policy(), OnDelete="Delete")
    yield from _create(trial, body)
    asked = body["Resources"]["Bundle"]["Properties"]
    asked["ServiceTimeout"] = "900"
    trial.update(body)
    yield trial.rests()
    asked["Storage"]["S3"] = asked["Storage"]["S3"] | {"Prefix": f"{trial.name}/two"}
    trial.update(body)
    yield trial.rests()
    trial.delete()
    yield trial.rests()


def _wrong_signature(scene: Scene, trial: Trial) -> Steps:
    wrong = base64.b64encode(secrets.token_bytes(20)).decode()
    scene.canaries.add_random("the wrong signature", wrong)
    s3 = {**scene.policy(), "UploadPolicySignature": wrong}
    yield from _create(trial, _asking(trial, s3))


def _signed_by_a_secret(scene: Scene, trial: Trial) -> Steps:
    arn = scene.secret(json.dumps(scene.access_key()))
    yield from _create(trial, _asking(trial, {}, UploadCredentials=arn))


def _unusable(name: str, content: Callable[[str], str | bytes]) -> Story:
    """A secret that can't sign; its content is made of a canary."""

    def story(scene: Scene, trial: Trial) -> Steps:
        arn = scene.secret(content(scene.random(f"what a secret holds that is {name}")))
        yield from _create(trial, _asking(trial, {}, UploadCredentials=arn))

    return story


def _of_a_session(scene: Scene, trial: Trial) -> Steps:
    token = scene.random("a session token")
    arn = scene.secret(json.dumps({**scene.access_key(), "SessionToken": token}))
    yield from _create(trial, _asking(trial, {}, UploadCredentials=arn))


def _dry_run(scene: Scene, trial: Trial) -> Steps:
    yield from _create(trial, _asking(trial, scene.policy(), DryRun=True))


def _deleted_while_it_is_made(scene: Scene, trial: Trial) -> Steps:
    steps = _create(trial, _asking(trial, scene.policy()), outcome="hang")
    next(steps)
    yield trial.is_between_polls()
    scene.read_tables()
    trial.delete()
    yield trial.rests()


def _overdue(scene: Scene, trial: Trial) -> Steps:
    body = _asking(trial, scene.policy(), ServiceTimeout=40)
    yield from _create(trial, body, outcome="hang")


def _polls_that_keep_crashing(scene: Scene, trial: Trial) -> Steps:
    steps = _create(trial, _asking(trial, scene.policy()), outcome="hang")
    next(steps)
    yield trial.is_between_polls()
    [task] = trial.bundles()
    poll = "ec2:DescribeBundleTasks"
    fault = set_fault(trial.aws, poll, "kill", trial.name, holding=task, times=OFTEN)
    yield lambda _: bool(trial.aws.responses(trial.stack_id))
    clear_faults(trial.aws, fault)
    yield trial.rests()


def _whole_life_with_handles(scene: Scene, trial: Trial) -> Steps:
    body = _asking(trial, scene.policy(), OnDelete="Delete")
    yield from _create(trial, _waited_for(body, 1))
    asked = body["Resources"]["Bundle"]["Properties"] | {"InstanceId": trial.instance}
    body["Resources"]["Bundle"]["Properties"] = asked | {"ServiceTimeout": "900"}
    trial.update(_waited_for(body, 2))
    yield trial.rests()
    s3 = asked["Storage"]["S3"] | {"Prefix": f"{trial.name}/two"}
    body["Resources"]["Bundle"]["Properties"] = asked | {"Storage": {"S3": s3}}
    trial.update(_waited_for(body, 2))
    yield trial.rests()
    trial.update(_waited_for(body, 3))
    yield trial.rests()
    trial.delete()
    yield trial.rests()


def _accepted_and_overdue(scene: Scene, trial: Trial) -> Steps:
    body = _asking(trial, scene.policy(), CompletionTimeout=10)
    yield from _create(trial, _waited_for(body), outcome="hang")


def _accepted_and_polls_keep_crashing(scene: Scene, trial: Trial) -> Steps:
    steps = _create(trial, _waited_for(_asking(trial, scene.policy())), outcome="hang")
    next(steps)
    yield trial.is_between_polls()
    scene.read_tables()
    [task] = trial.bundles()
    poll = "ec2:DescribeBundleTasks"
    fault = set_fault(trial.aws, poll, "kill", trial.name, holding=task, times=OFTEN)
    yield lambda _: trial.stack_id in {each["stackId"] for each in _signals(trial.aws)}
    clear_faults(trial.aws, fault)
    yield trial.rests()


def _signals(aws: Aws) -> list[dict[str, Any]]:
    signals: list[dict[str, Any]] = json_of(f"{aws.clients.endpoint}/sandbox/signals")
    return signals


def _echo_of_handle(scene: Scene, trial: Trial) -> Steps:
    """A task that fails with a message in which AWS repeats the handle's URL."""
    url = scene.handle()
    query, quoted = url.partition("?")[2], quote(url, safe="")
    body = _asking(trial, scene.policy(), CompletionHandle=url)
    error = f"Client.S3Error: PUT {url} failed. See ?to={quoted}&x; it is signed with {query}"
    yield from _create(trial, body, outcome="failed", error=error)
    yield lambda _: bool(_signals_of(trial.aws, url))


def _signals_of(aws: Aws, url: str) -> list[dict[str, Any]]:
    """The signals to the handle of this URL."""
    path = unquote(url.partition("?")[0])
    return [each for each in _signals(aws) if each["stackId"] in path]


def _misplaced_handle(scene: Scene, trial: Trial) -> Steps:
    trial.create(
        _asking(trial, scene.policy(), InstanceId=scene.handle(), WaitHandle=scene.handle())
    )
    yield trial.rests()


def _handle_of_elsewhere(scene: Scene, trial: Trial) -> Steps:
    url = f"https://example.com/handle?X-Amz-Signature={scene.random('a signature of elsewhere')}"
    yield from _create(trial, _asking(trial, scene.policy(), CompletionHandle=url))


Faults = tuple[tuple[str, str, int], ...]
"""Calls that are struck, in a row for each call: call, kind, and how many."""


def _strike(trial: Trial, faults: Faults) -> None:
    struck: dict[str, int] = {}
    for call, kind, times in faults:
        before = struck.get(call, 0)
        set_fault(trial.aws, call, kind, trial.name, nth=before + 1, times=times)
        struck[call] = before + times


def _met_by(*faults: tuple[str, str, int]) -> Story:
    """A Create that meets faults."""

    def story(scene: Scene, trial: Trial) -> Steps:
        _strike(trial, faults)
        yield from _create(trial, _asking(trial, scene.policy()))

    return story


def _met_while_accepted_by(*faults: tuple[str, str, int]) -> Story:
    """A Create with a handle that meets faults."""

    def story(scene: Scene, trial: Trial) -> Steps:
        _strike(trial, faults)
        yield from _create(trial, _waited_for(_asking(trial, scene.policy())))

    return story


def _echo(says: str, *faults: tuple[str, str, int], as_json: bool = False) -> Story:
    """A task that fails with a message in which AWS repeats what it was sent.

    Args:
        says: the message, with `{signature}`, `{quoted}` (as in a URL), `{base64}` or `{document}`.
        as_json: the policy is given as JSON, and not as its base64.
    """

    def story(scene: Scene, trial: Trial) -> Steps:
        policy = scene.policy()
        document = base64.b64decode(policy["UploadPolicy"]).decode()
        message = says.format(
            signature=policy["UploadPolicySignature"],
            quoted=quote(policy["UploadPolicySignature"], safe=""),
            base64=policy["UploadPolicy"],
            document=document,
        )
        s3 = {**policy, "UploadPolicy": document} if as_json else policy
        _strike(trial, faults)
        error = f"Client.S3Error: {message}"
        yield from _create(trial, _asking(trial, s3), outcome="failed", error=error)

    return story


def _misplaced(
    place: Callable[[dict[str, str], str], tuple[dict[str, str], dict[str, str]]],
) -> Story:
    """Somebody mistakes the properties: of policy and secret key, what is in S3 and next to it."""

    def story(scene: Scene, trial: Trial) -> Steps:
        # Most secret keys have a character that a key ID can't have.
        s3, misplaced = place(scene.policy(), scene.random("a misplaced secret key") + "/+")
        yield from _create(trial, _asking(trial, s3, **misplaced))

    return story


MADE, DELETED, FAILED = "CREATE_COMPLETE", "DELETE_COMPLETE", "ROLLBACK_COMPLETE"

STORIES: Mapping[str, tuple[Story, str]] = {
    "a policy that is given, from Create to Delete": (_whole_life, DELETED),
    "a wrong signature": (_wrong_signature, FAILED),
    "a policy that the function makes": (_signed_by_a_secret, MADE),
    "a secret that is no JSON": (_unusable("no JSON", '{{"SecretAccessKey": "{}'.format), FAILED),
    "a secret that is a text": (_unusable("a text", json.dumps), FAILED),
    "a secret of bytes": (_unusable("of bytes", lambda text: b"\xff" + text.encode()), FAILED),
    "a secret without a key ID": (
        _unusable("without a key ID", '{{"SecretAccessKey": "{}"}}'.format),
        FAILED,
    ),
    "a secret with a session token": (_of_a_session, FAILED),
    "a dry run": (_dry_run, MADE),
    "a Create that is deleted midway": (_deleted_while_it_is_made, DELETED),
    "a Create that is overdue": (_overdue, FAILED),
    "polls that keep crashing": (_polls_that_keep_crashing, FAILED),
    "an event that keeps crashing": (_met_by(("*", "kill", 3)), FAILED),
    "an event that crashes the failure handler too": (_met_by(("*", "kill", 6)), MADE),
    "an event that no ledger takes": (_met_by(("dynamodb:PutItem", "fail", 9)), MADE),
    "a ledger that is denied": (_met_by(("dynamodb:UpdateItem", "deny", 2)), MADE),
    "answers that meet 503s and cuts": (
        _met_by(("response:Put", "throttle", 3), ("response:Put", "cut", 3)),
        MADE,
    ),
    "a start that is denied": (_met_by(("ec2:BundleInstance", "deny", 1)), FAILED),
    "a start whose answer is lost": (_met_by(("ec2:BundleInstance", "cut-after", 1)), MADE),
    "a message that repeats signature and policy": (
        _echo("SignatureProvided={signature}, StringToSign {base64}"),
        FAILED,
    ),
    "a message that repeats a policy's base64 where JSON was given": (
        _echo("StringToSign {base64}", as_json=True),
        FAILED,
    ),
    "a message that repeats a policy's JSON where base64 was given": (
        _echo("Policy {document}"),
        FAILED,
    ),
    "a message that repeats a signature as it is in a URL": (
        _echo("UploadPolicySignature={quoted}&x"),
        FAILED,
    ),
    "a message that repeats them, about a start whose answer is lost": (
        _echo("{signature} {base64}", ("ec2:BundleInstance", "cut-after", 1)),
        FAILED,
    ),
    "signature and policy that changed places": (
        _misplaced(
            lambda policy, _: (
                {
                    **policy,
                    "UploadPolicy": policy["UploadPolicySignature"],
                    "UploadPolicySignature": policy["UploadPolicy"],
                },
                {},
            )
        ),
        FAILED,
    ),
    "a signature in the place of a key ID": (
        _misplaced(
            lambda policy, _: (
                {**policy, "AWSAccessKeyId": policy["UploadPolicySignature"]},
                {},
            )
        ),
        FAILED,
    ),
    "a secret key in the place of a key ID": (
        _misplaced(lambda policy, key: ({**policy, "AWSAccessKeyId": key}, {})),
        FAILED,
    ),
    "an access key in the place of its secret's ARN": (
        _misplaced(
            lambda _, key: (
                {},
                {"UploadCredentials": json.dumps({"SecretAccessKey": key})},
            )
        ),
        FAILED,
    ),
    "a secret key in a property of its own": (
        _misplaced(lambda _, key: ({}, {"SecretAccessKey": key})),
        FAILED,
    ),
    "handles, from Create to Delete": (_whole_life_with_handles, DELETED),
    "accepted work that is overdue": (_accepted_and_overdue, FAILED),
    "accepted work whose polls keep crashing": (_accepted_and_polls_keep_crashing, FAILED),
    "an acceptance and a signal that meet 503s and cuts": (
        _met_while_accepted_by(
            ("response:Put", "throttle", 3),
            ("response:Put", "cut", 3),
            ("signal:Put", "throttle", 3),
            ("signal:Put", "cut", 3),
        ),
        MADE,
    ),
    "a message that repeats a handle": (_echo_of_handle, MADE),
    "handles in the place of other properties": (_misplaced_handle, FAILED),
    "a handle of elsewhere": (_handle_of_elsewhere, FAILED),
}
"""What stacks go through, and their status in the end."""


def _invoked_directly(scene: Scene) -> str:
    """What the functions answer to events that are not CloudFormation's."""
    functions = scene.aws.clients.functions
    elsewhere = {
        "RequestType": "Create",
        "ResponseURL": f"http://169.254.169.254/latest?token={scene.random('a token')}",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/none/1",
        "RequestId": secrets.token_hex(8),
        "LogicalResourceId": "Bundle",
        "ResourceProperties": {"Storage": {"S3": scene.policy()}},
    }
    events: list[Any] = [
        elsewhere,
        {**elsewhere, "RequestType": "Read"},
        {**elsewhere, "ResponseURL": f"//[{scene.random('a broken URL')}"},
        [elsewhere],
    ]
    answers = []
    for function in functions.list_functions()["Functions"]:
        of_last_resort = function["FunctionArn"] != scene.aws.ready["service_token"]
        for event in events:
            answer = functions.invoke(
                FunctionName=function["FunctionName"],
                Payload=json.dumps({"requestPayload": event} if of_last_resort else event),
            )
            answers.append(answer["Payload"].read().decode())
    return "\n".join(answers)


# What a run has written


@dataclass(frozen=True)
class Run:
    """A run that is over.

    Attributes:
        written: all that it wrote, by its location.
        ends: the status of each story's stack.
        faults: those that were set, and what they struck.
    """

    scene: Scene
    written: Mapping[str, str]
    ends: Mapping[str, str]
    faults: Sequence[Mapping[str, Any]]


@pytest.fixture(scope="module")
def run(aws: Aws) -> Run:
    scene = Scene(aws)
    trials = {name: Trial(aws) for name in STORIES}
    steps = [_watched(scene, story(scene, trials[name])) for name, (story, _) in STORIES.items()]
    answers = _invoked_directly(scene)
    carry_out(aws, steps)
    wait_for_empty_queues(aws)
    wait_for(lambda: not texts_of_requests(aws) or None, "the requests' texts to be removed")
    faults = json_of(f"{aws.clients.endpoint}/sandbox/faults")
    clear_faults(aws)
    _add_what_was_made(scene)
    stacks = [trial.stack_id for trial in trials.values()]
    return Run(
        scene,
        {**_written(aws, stacks), "the answers to invocations": answers},
        {name: aws.stack(trial.stack_id)["StackStatus"] for name, trial in trials.items()},
        faults,
    )


def _watched(scene: Scene, steps: Steps) -> Steps:
    """The steps of a story; both tables are read after each."""
    for is_due in steps:
        scene.read_tables()
        yield is_due


def _add_what_was_made(scene: Scene) -> None:
    """Search for the ResponseURLs and handles too, and for the policies that the function made."""
    canaries = scene.canaries
    canaries.add_random("the functions' own secret key", CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    for text in OF_SIGNED_REQUESTS:
        canaries.add("what is next to a signature", text)
    for number, url in enumerate(sorted(_response_urls(scene.aws)), start=1):
        _add_url(canaries, f"ResponseURL {number}", url)
    for number, url in enumerate(sorted(_handles(scene.aws)), start=1):
        _add_url(canaries, f"handle {number}", url)
    for request in json_of(f"{scene.aws.clients.endpoint}/sandbox/bundle-requests"):
        asked = request["Storage"]["S3"]
        if "UploadPolicy" in asked:
            about = f"a request for {request['InstanceId']}"
            canaries.add(f"the policy of {about}", asked["UploadPolicy"])
            canaries.add_random(f"the signature of {about}", asked["UploadPolicySignature"])


def _add_url(canaries: Canaries, name: str, url: str) -> None:
    query = url.partition("?")[2]
    canaries.add(f"the query of {name}", query or url)
    for signature in parse_qs(query).get("X-Amz-Signature", []):
        canaries.add_random(f"the signature of {name}", signature)


def _response_urls(aws: Aws) -> set[str]:
    return {event["ResponseURL"] for event in _events_handed(aws) if "ResponseURL" in event}


def _handles(aws: Aws) -> set[str]:
    """The URLs that events gave as CompletionHandle, now or before."""
    kinds = ("ResourceProperties", "OldResourceProperties")
    asked = [event.get(kind, {}) for event in _events_handed(aws) for kind in kinds]
    return {each["CompletionHandle"] for each in asked if "CompletionHandle" in each}


def _events_handed(aws: Aws) -> Iterator[dict[str, Any]]:
    """CloudFormation's events that the functions received, those of invocation records too."""
    for file in Path(aws.ready["record"]).glob("*.json"):
        event = json.loads(file.read_text())
        while isinstance(event, dict) and "requestPayload" in event:
            event = event["requestPayload"]
        if isinstance(event, dict):
            yield event


def _written(aws: Aws, stacks: list[str]) -> dict[str, str]:
    report = f"{aws.clients.endpoint}/sandbox"
    made = resources(aws)
    event_queue = made["EventQueue"].rpartition("/")[2]
    messages = json_of(f"{report}/messages")
    of_events = [message["body"] for message in messages if message["queue"] == event_queue]
    others = [message["body"] for message in messages if message["queue"] != event_queue]
    events = [event for stack in stacks for event in aws.events(stack)]
    # CloudFormation shows a template's properties, and a handle's URL as the handle's physical ID,
    # to everyone who may see the stack's events.
    shown = [
        {**event, "ResourceProperties": "", **({"PhysicalResourceId": ""} if is_handle else {})}
        for event in events
        for is_handle in [event["ResourceType"] == "AWS::CloudFormation::WaitConditionHandle"]
    ]
    described = [aws.stack(stack) for stack in stacks]
    cloudwatch = aws.clients.client("cloudwatch")
    metrics = [
        metric
        for page in cloudwatch.get_paginator("list_metrics").paginate()
        for metric in page["Metrics"]
    ]
    dashboard = cloudwatch.get_dashboard(DashboardName=made["MetricsDashboard"])
    return {
        **_logs(aws),
        "the sandbox's own log": _without_what_to_paste(Path(aws.ready["log"]).read_text()),
        "the messages": "\n".join(others),
        "the event queue's messages": "\n".join(of_events),
        "the stacks' events": json.dumps(shown, default=str),
        "the stacks": json.dumps(described, default=str),
        "the answers": json.dumps(json_of(f"{report}/responses")),
        "the signals": json.dumps(json_of(f"{report}/signals")),
        "the bus's events": json.dumps(json_of(f"{report}/events")),
        "the ledger": json.dumps(ledger_items(aws)),
        "the requests' texts": json.dumps(texts_of_requests(aws)),
        "the metrics": json.dumps(metrics),
        "the dashboard": dashboard["DashboardBody"],
    }


def _without_what_to_paste(log: str) -> str:
    """The sandbox greets its user with credentials, which are no secret of anybody's."""
    return log.replace(CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "")


def _logs(aws: Aws) -> dict[str, str]:
    """The content of each log group."""
    logs = aws.clients.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    return {
        f"the log of {group}": "\n".join(
            event["message"] for page in pages(logGroupName=group) for event in page["events"]
        )
        for group in groups
    }


# What the result has to be


def test_the_run_went_through_what_it_had_to(run: Run) -> None:
    assert run.ends == {name: status for name, (_, status) in STORIES.items()}
    assert run.faults
    assert [fault for fault in run.faults if len(fault["hits"]) != fault["times"]] == []


def test_no_secret_appears_in_what_was_written(run: Run) -> None:
    hits = run.scene.canaries.found_in(run.written)

    assert not hits, "\n".join(hits)


def test_both_tables_forget_what_was_asked_once_it_is_answered(run: Run) -> None:
    items = json.loads(run.written["the ledger"])

    answered = [item for item in items if "answer" in item]
    assert len(answered) >= len(STORIES)
    assert [item for item in items if "undelivered" in item] == []
    assert json.loads(run.written["the requests' texts"]) == []


def test_at_no_time_does_the_ledger_hold_what_was_asked(run: Run) -> None:
    """So whatever moment a backup restores, it restores no ResponseURL, policy or signature."""
    items = [json.loads(item) for item in run.scene.items]

    assert len([item for item in items if "undelivered" in item]) >= len(STORIES)
    assert run.scene.canaries.found_in({"the ledger": "\n".join(run.scene.items)}) == []


def test_messages_hold_a_requests_key_and_generation(run: Run) -> None:
    bodies = [json.loads(line) for line in run.written["the messages"].splitlines()]

    assert len(bodies) >= len(STORIES)
    for body in bodies:
        assert {*body} == {"format", "generation", "key"}
        assert {*body["key"]} == {"stack_id", "logical_id", "request_id"}
        assert isinstance(body["generation"], int)


def test_messages_of_the_event_queue_are_events_of_objects(run: Run) -> None:
    events = [json.loads(line) for line in run.written["the event queue's messages"].splitlines()]

    assert events
    assert {(event["source"], event["detail-type"]) for event in events} == {
        ("aws.s3", "Object Created")
    }


def test_the_metrics_and_the_dashboard_name_what_is_counted(run: Run) -> None:
    metrics = json.loads(run.written["the metrics"])
    ours = [metric for metric in metrics if metric["Namespace"] == "InstanceBundle"]

    assert {"EventsReceived", "Failed", "TimeToAnswer"} <= {metric["MetricName"] for metric in ours}
    assert all(metric["Dimensions"] == [SERVICE] for metric in ours)
    assert "EventsReceived" in run.written["the dashboard"]


def test_both_functions_logged_at_debug(run: Run) -> None:
    logs = {place: text for place, text in run.written.items() if place.startswith("the log of ")}

    assert len(logs) == 2
    for place, text in logs.items():
        assert SAID in text, place
        assert '"level": "DEBUG"' in text or '"level":"DEBUG"' in text, place
        assert '"_aws"' in text, place


@pytest.mark.parametrize(
    "write",
    [
        str,
        quote,
        lambda text: quote(quote(text, safe="")),
        lambda text: json.dumps({"body": json.dumps({"text": text})}),
        lambda text: base64.b64encode(f"a{text}bc".encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"ab{text}c".encode()).decode(),
        lambda text: text[:25],
    ],
)
def test_a_canary_is_found_however_it_is_written(write: Callable[[str], str]) -> None:
    canaries = Canaries()
    text = canaries.add_random("it", '~"/+?>\xff' + secrets.token_urlsafe(30))

    assert canaries.found_in({"the log": f"x {write(text)} y", "elsewhere": text[1:]}) != []
    assert canaries.found_in({"elsewhere": write(text[1:])}) == []


def test_the_search_finds_what_is_there(run: Run) -> None:
    scene = run.scene
    requests = json_of(f"{scene.aws.clients.endpoint}/sandbox/bundle-requests")
    events = [file.read_text() for file in Path(scene.aws.ready["record"]).glob("*.json")]

    received = scene.canaries.found_in({"the requests": json.dumps(requests)})
    kept = scene.canaries.found_in({"the requests' texts": "\n".join(scene.texts)})
    handed = scene.canaries.found_in({"the events": "\n".join(events)})

    assert any("the signature of policy" in hit for hit in received)
    assert any("the base64 of policy" in hit for hit in kept)
    assert any("the signature of ResponseURL" in hit for hit in kept)
    assert any("the signature of handle" in hit for hit in kept)
    assert any("the query of ResponseURL" in hit for hit in handed)
    assert any("the query of handle" in hit for hit in handed)


def test_without_the_guards_the_log_does_hold_secrets(run: Run, aws: Aws) -> None:
    _set_variables(aws, aws.ready["service_token"], LOUD_UNGUARDED="yes")
    scene, trials = Scene(aws), [Trial(aws), Trial(aws)]
    stories = [_signed_by_a_secret, _met_while_accepted_by()]

    carry_out(
        aws,
        [story(scene, trial) for story, trial in zip(stories, trials, strict=True)],
    )
    wait_for_empty_queues(aws)

    assert {aws.stack(trial.stack_id)["StackStatus"] for trial in trials} == {MADE}
    _add_what_was_made(scene)
    hits = "\n".join(scene.canaries.found_in(_logs(aws)))
    for secret in (
        *("the secret key of", "the signature of a request"),
        *("the query of ResponseURL", "the query of handle"),
    ):
        assert secret in hits
