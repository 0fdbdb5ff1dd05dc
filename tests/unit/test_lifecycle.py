"""The lifecycle with a real ledger and a simulated method."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from instance_bundle.aws import refusals
from instance_bundle.aws.objects import Written
from instance_bundle.errors import (
    Doubtful,
    ImageGone,
    InstanceBundleError,
    InvalidProperties,
    NotAllowed,
    NothingDone,
    NotRegistered,
    PassingFault,
    Refusal,
    Refused,
    Superseded,
    Throttled,
    UnusableSecret,
)
from instance_bundle.lifecycle.lifecycle import Lifecycle
from instance_bundle.methods.method import Bundle, Method, Outputs, Task, Work
from instance_bundle.methods.registry import Methods
from instance_bundle.request.event import Request, RequestKey
from instance_bundle.request.properties import Image, Location, Target
from instance_bundle.responses import response
from instance_bundle.settings import Limits
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Done, Failed, Outcome, Pending
from instance_bundle.state.records import Doubt, Record
from tests.fixtures import Clock

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/web/0a1b2c3d"
RUNNING = Task(
    "bun-1", "running", "bundling", "20%", "2027-01-15T08:00:00Z", "2027-01-15T08:00:05Z"
)
HERE = Location("images", "web")
FORBIDDEN = refusals.denied("s3:HeadObject", "403", "Forbidden")
HANDLE = (
    "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/arn%3Aaws%3Acloudformation"
    "%3Aus-east-1%3A123456789012%3Astack/web/0a1b2c3d/Handle1?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE"
    "&Expires=1800086400&Signature=aW%2FrE3dAcLgbjHclVHGmxJ4zq0%3D"
)
POLICY_UNTIL_2028 = {
    "S3": {
        "Bucket": "images",
        "Prefix": "web",
        "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "UploadPolicy": json.dumps(
            {
                "expiration": "2028-01-01T00:00:00Z",
                "conditions": [
                    {"bucket": "images"},
                    {"acl": "ec2-bundle-read"},
                    ["starts-with", "$key", "web"],
                ],
            }
        ),
        "UploadPolicySignature": "ynxybUMv9YuGbPl7HZ8AFJW/2t0=",
    }
}


@dataclass
class Ec2:
    """A simulated method: it starts one task after the other.

    Attributes:
        obstacle: raised by each call that starts or advances work, or updates what was made.
        hidden: raised by the call that reads a location.
        starts_all_the_same: the call that starts work raises `obstacle` after it had its effect.
        registered: the AMIs that were registered from bundles, by their names, or else by
            what was asked for.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    stored: set[Location] = field(default_factory=set)
    removed: list[tuple[Location, str]] = field(default_factory=list)
    swept: list[Location] = field(default_factory=list)
    started: list[Location] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    until: list[float] = field(default_factory=list)
    advanced: list[tuple[str, str]] = field(default_factory=list)
    updated: list[tuple[Bundle, Image | None, Image | None]] = field(default_factory=list)
    registered: dict[str, str] = field(default_factory=dict)
    obstacle: Exception | None = None
    hidden: Exception | None = None
    starts_all_the_same: bool = False
    hint_given: str = ""

    id_prefix: str = "bun-"

    def dry_run(self, work: Work) -> None:
        if self.obstacle is not None:
            raise self.obstacle

    def start(self, work: Work) -> Task:
        if self.obstacle is not None and not self.starts_all_the_same:
            raise self.obstacle
        self.started.append(work.target.location)
        self.until.append(work.until)
        task_id = f"{self.id_prefix}{len(self.started)}"
        is_image = self.id_prefix == "ami-"
        task = replace(RUNNING, id=task_id, image_id=task_id if is_image else "")
        self.tasks[task.id] = task
        if self.obstacle is not None:
            raise self.obstacle
        return task

    def find(self, target: Target, since: float) -> Task | None:
        found = target.location in self.started
        return next(reversed(self.tasks.values()), None) if found else None

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        return {id_: task for id_, task in self.tasks.items() if id_ in task_ids}

    def after_cancel(self, task: Task) -> str:
        return "its cancel was requested"

    def hint(self, target: Target) -> str:
        return self.hint_given

    def lost(self, task: Task, now: float) -> Refusal | None:
        return ImageGone(task.id, "Redeploy") if task.id.startswith("ami-") else None

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        self.advanced.append((last.state, seen.state))
        if self.obstacle is not None:
            raise self.obstacle
        if seen.phase != "complete" or self.id_prefix == "ami-":
            return seen
        return replace(seen, image_id=self._registered(work.properties.image))

    def update_image(
        self, made: Bundle, key: RequestKey, old: Image | None, new: Image | None
    ) -> str:
        self.updated.append((made, old, new))
        if self.obstacle is not None:
            raise self.obstacle
        return made.physical_id if self.id_prefix == "ami-" else self._registered(new)

    def _registered(self, image: Image | None) -> str:
        if image is None:
            return ""
        number = len(self.registered) + 1
        return self.registered.setdefault(image.name or repr(image), f"ami-registered{number}")

    def cancel(self, task_id: str) -> bool:
        self.cancelled.append(task_id)
        return True

    def has_next(self, work: Work, seen: Task) -> bool:
        return seen.phase == "complete" and work.properties.image is not None

    def is_taken(self, location: Location) -> bool:
        if self.hidden is not None:
            raise self.hidden
        return location in self.stored

    def has_finished(self, location: Location) -> bool:
        return location in self.stored

    def outputs(self, location: Location, task: Task) -> Outputs:
        if self.id_prefix == "ami-":
            key = f"{location.bucket}/{task.id}.bin"
            return Outputs("", f"s3://{key}", key)
        manifest = f"{location.bucket}/{location.manifest_key}"
        return Outputs(location.prefix, location.s3_uri, manifest)

    def finished(self, location: Location, task: Task) -> Written | None:
        return Written(f"what {task.id} finished") if location in self.stored else None

    def removable(self, made: Bundle) -> Bundle:
        return made

    def remove(self, made: Bundle) -> bool:
        self.removed.append((made.location, made.etag))
        return True

    def remove_leftovers(self, target: Target, task: Task) -> None:
        self.swept.append(target.location)


@pytest.fixture
def ec2() -> Ec2:
    return Ec2()


@pytest.fixture
def life(ledger: Ledger, ec2: Ec2, clock: Clock) -> Lifecycle:
    return Lifecycle(ledger, methods(ec2), Limits(), asks=False, clock=clock)


def methods(ec2: Ec2) -> Methods:
    """Both methods, simulated."""
    method: Method = ec2
    return Methods({"BundleInstance": method, "StoreImage": replace(ec2, id_prefix="ami-")})


def request(
    kind: str = "Create",
    request_id: str = "r1",
    physical_id: str = "",
    *,
    old: Mapping[str, Any] | None = None,
    **properties: Any,
) -> Request:
    return Request.parse(
        {
            "RequestType": kind,
            "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x",
            "StackId": STACK,
            "LogicalResourceId": "Bundle",
            "RequestId": request_id,
            "PhysicalResourceId": physical_id,
            "ResourceProperties": {
                "InstanceId": "i-1234567890abcdef0",
                "Storage": {"S3": {"Bucket": "images", "Prefix": "web"}},
            }
            | properties,
            "OldResourceProperties": old or {},
        }
    )


def of_another_resource() -> Request:
    """A Create of another resource, with the same location."""
    return replace(request(), key=replace(request().key, logical_id="Other"))


def opened(ledger: Ledger, asked: Request) -> Record:
    record, is_new = ledger.receive(asked, lease=30)
    assert is_new
    return record


def stored_record(ledger: Ledger, record: Record) -> Record:
    """The record as it is stored, with its text."""
    found = ledger.read(record.key)
    assert found is not None
    return replace(found, request=ledger.texts.of(found)) if found.undelivered else found


@contextmanager
def refused(ledger: Ledger, record: Record, clock: Clock) -> Iterator[None]:
    """The block raises `Refused`; the doubt is stored, as each invocation does."""
    with pytest.raises(Refused) as raised:
        yield
    doubt, reason = stored_record(ledger, record).doubt, str(raised.value)
    if doubt is None or not doubt.is_about(reason, clock.now):
        ledger.note_doubt(record, Doubt(reason, clock.now))


def test_a_create_starts_a_task_and_polls_it(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    record = opened(ledger, request())

    outcome = life.drive(record)

    assert isinstance(outcome, Pending)
    assert ec2.started == [Location("images", "web")]
    assert stored_record(ledger, record).task == ec2.tasks["bun-1"]


def test_a_complete_task_answers_every_attribute(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    record = opened(ledger, request())
    life.drive(record)
    complete = replace(ec2.tasks["bun-1"], phase="complete", state="complete", progress="100%")

    outcome = life.drive(stored_record(ledger, record), lambda: complete)

    assert outcome == Done(
        "bun-1",
        {
            "BundleId": "bun-1",
            "InstanceId": "i-1234567890abcdef0",
            "Bucket": "images",
            "Prefix": "web",
            "S3Uri": "s3://images/web",
            "ManifestLocation": "images/web.manifest.xml",
            "State": "complete",
            "Progress": "100%",
            "StartTime": "2027-01-15T08:00:00Z",
            "UpdateTime": "2027-01-15T08:00:05Z",
            **dict.fromkeys(("ImageId", "ImageArn", "SnapshotIds"), ""),
        },
    )
    assert [bundle.physical_id for bundle in ledger.resource(record.key).bundles] == ["bun-1"]


def test_a_failed_task_is_failed_with_its_own_id_and_ec2s_words(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    failed = replace(
        RUNNING, phase="failed", error_code="Client.S3Error", error_message="No such bucket"
    )

    outcome = life.drive(stored_record(ledger, record), lambda: failed)

    assert outcome == Failed("bun-1", "Task bun-1 failed. Client.S3Error: No such bucket")
    assert ledger.locations.claim(HERE, request(request_id="r2").key) is None


@pytest.mark.parametrize(
    "code", ["InvalidInstanceID.NotFound", "IncorrectInstanceState", "BundlingInProgress"]
)
def test_a_refusal_is_failed_with_advice_and_releases_the_location(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, code: str
) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", code, "EC2 says no.")

    outcome = life.drive(opened(ledger, request()))

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(f"ec2:BundleInstance was refused. {code}: EC2 says no. ")
    assert outcome.physical_id == "Bundle-r1"
    assert ledger.locations.claim(HERE, request(request_id="r2").key) is None


def test_a_location_that_another_resource_has_is_not_overwritten(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    other = opened(ledger, of_another_resource())
    assert isinstance(life.drive(other), Pending)

    outcome = life.drive(opened(ledger, request()))

    assert isinstance(outcome, Failed)
    assert "the resource Other of the stack web has a bundle at s3://images/web" in outcome.reason
    assert len(ec2.started) == 1


@pytest.mark.parametrize("is_there", [True, False])
def test_a_claim_counts_as_long_as_the_bundle_is_there_that_it_protects(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, is_there: bool
) -> None:
    """The bundle was retained and its stack deleted: no Delete was sent."""
    ledger.bundles.put(of_another_resource().key, Bundle("bun-0", "r1", Location("images", "web")))
    ec2.stored |= {Location("images", "web")} if is_there else set()

    outcome = life.drive(opened(ledger, request()))

    assert isinstance(outcome, Failed if is_there else Pending)
    assert len(ec2.started) == (0 if is_there else 1)


def test_a_location_that_has_a_bundle_is_not_overwritten(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    ec2.stored.add(Location("images", "web"))

    outcome = life.drive(opened(ledger, request()))

    assert isinstance(outcome, Failed)
    assert (
        "there is a bundle, or a key of one of its parts, already at s3://images/web"
        in outcome.reason
    )
    assert ec2.started == []


def test_a_prefix_that_is_not_given_is_made_once_for_each_request(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    asked = request(Storage={"S3": {"Bucket": "images"}})

    life.drive(opened(ledger, asked))

    assert ec2.started == [Location("images", "web/Bundle/r1")]


def test_work_whose_answer_was_lost_is_found_and_not_started_again(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request())
    ec2.obstacle, ec2.starts_all_the_same = PassingFault("cut off"), True
    with pytest.raises(PassingFault):
        life.drive(record)
    ec2.obstacle = None

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Pending)
    assert outcome.task is not None
    assert outcome.task.id == "bun-1"
    assert len(ec2.started) == 1


def test_a_call_whose_answer_was_lost_is_repeated_only_after_its_task_would_be_listed(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request())
    ec2.obstacle = PassingFault("cut off")
    with pytest.raises(PassingFault):
        life.drive(record)
    ec2.obstacle = None

    assert life.drive(stored_record(ledger, record), lambda: None) == Pending(10)
    assert ec2.started == []
    clock.now += 31
    assert isinstance(life.drive(stored_record(ledger, record), lambda: None), Pending)
    assert len(ec2.started) == 1


def test_throttling_is_retried(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    record = opened(ledger, request())
    ec2.obstacle = Throttled("RequestLimitExceeded")
    with pytest.raises(Throttled):
        life.drive(record)
    ec2.obstacle = None

    assert isinstance(life.drive(stored_record(ledger, record), lambda: None), Pending)
    assert len(ec2.started) == 1


def test_a_task_that_ec2_no_longer_lists_is_complete_where_its_manifest_is(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    ec2.stored.add(Location("images", "web"))

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Done)
    assert outcome.attributes["State"] == "complete"


def test_a_refused_read_is_final_when_it_is_repeated(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    """A permission that was just added takes effect later, and nothing has been started."""
    record = opened(ledger, request())
    ec2.hidden = Doubtful(FORBIDDEN)
    for later in (0, 10):
        clock.now += later
        with refused(ledger, record, clock):
            life.drive(stored_record(ledger, record))
    clock.now += 5

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Failed)
    assert outcome.reason == str(FORBIDDEN)
    assert ec2.started == []
    assert ledger.locations.claim(HERE, request(request_id="another").key) is None


def test_a_read_that_was_refused_once_is_forgotten(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request())
    ec2.hidden = Doubtful(FORBIDDEN)
    with refused(ledger, record, clock):
        life.drive(record)
    clock.now += 10
    ec2.hidden = Doubtful(refusals.denied("ec2:DescribeImages", "UnauthorizedOperation", "No."))
    with refused(ledger, record, clock):
        life.drive(stored_record(ledger, record), lambda: None)
    clock.now += 10
    ec2.hidden = Doubtful(FORBIDDEN)
    with refused(ledger, record, clock):
        life.drive(stored_record(ledger, record), lambda: None)
    clock.now += 121
    with refused(ledger, record, clock):
        life.drive(stored_record(ledger, record), lambda: None)
    clock.now += 15
    ec2.hidden = None

    assert isinstance(life.drive(stored_record(ledger, record), lambda: None), Pending)
    assert len(ec2.started) == 1


def test_what_was_started_is_no_failure_because_that_can_not_be_written_down(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the write is denied again, as before anything was started."""
    denied = refusals.denied("dynamodb:UpdateItem", "AccessDeniedException", "No.")

    def deny(*_: object) -> None:
        raise Doubtful(denied)

    record = opened(ledger, request())
    ledger.note_doubt(record, Doubt(str(denied), clock.now - 20))
    monkeypatch.setattr(ledger, "merge_task", deny)

    with pytest.raises(Refused):
        life.drive(stored_record(ledger, record))

    assert len(ec2.started) == 1
    assert ledger.locations.claim(HERE, request(request_id="another").key) is not None


def test_an_image_that_is_gone_is_failed_when_it_was_missed_twice(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(Method="StoreImage", Storage={"S3": {"Bucket": "images"}}))
    life.drive(record)
    with refused(ledger, record, clock):
        life.drive(stored_record(ledger, record), lambda: None)
    clock.now += 15

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Failed)
    assert outcome.physical_id == "ami-1"
    assert "the AMI ami-1 no longer exists" in outcome.reason


def test_a_finished_bundle_that_may_not_be_read_is_done_when_that_is_repeated(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbid(location: Location, task: Task) -> None:
        raise Doubtful(FORBIDDEN)

    record = opened(ledger, request())
    life.drive(record)
    done = replace(RUNNING, phase="complete", state="complete")
    monkeypatch.setattr(ec2, "finished", forbid)
    with refused(ledger, record, clock):
        life.drive(stored_record(ledger, record), lambda: done)
    clock.now += 15

    assert isinstance(life.drive(stored_record(ledger, record), lambda: done), Done)


def test_a_task_that_ec2_does_not_list_is_unknown_not_gone(life: Lifecycle, ledger: Ledger) -> None:
    record = opened(ledger, request())
    life.drive(record)

    assert isinstance(life.drive(stored_record(ledger, record), lambda: None), Pending)


def test_at_the_deadline_the_task_is_cancelled_and_the_reason_has_its_progress(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="600"))
    life.drive(record)
    clock.now += 600 - 30

    outcome = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])

    assert isinstance(outcome, Failed)
    assert outcome.physical_id == "bun-1"
    assert "ServiceTimeout (600 s): task bun-1 is bundling at 20%" in outcome.reason
    assert ec2.cancelled == ["bun-1"]


def test_no_poll_is_later_than_the_deadline(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="600"))
    life.drive(record)
    clock.now += 600 - 30 - 7

    outcome = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])

    assert isinstance(outcome, Pending)
    assert outcome.seconds == 7


def test_a_dry_run_starts_nothing_and_answers_every_attribute(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    outcome = life.drive(opened(ledger, request(DryRun="true")))

    assert isinstance(outcome, Done)
    assert outcome.physical_id == "dryrun-r1"
    assert outcome.attributes["S3Uri"] == "s3://images/web"
    assert ec2.started == []


def test_a_dry_run_that_ec2_refuses_is_failed(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", "UnauthorizedOperation", "No.")

    assert isinstance(life.drive(opened(ledger, request(DryRun="true"))), Failed)


def completed(life: Lifecycle, ledger: Ledger, ec2: Ec2, **properties: Any) -> Record:
    record = opened(ledger, request(**properties))
    life.drive(record)
    ec2.tasks["bun-1"] = replace(RUNNING, phase="complete", state="complete")
    done = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])
    assert isinstance(done, Done)
    ledger.store_answer(record, done)
    return record


@pytest.mark.parametrize("on_delete", ["Retain", "Delete"])
def test_a_delete_leaves_the_claim_of_a_bundle_that_is_retained(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, on_delete: str
) -> None:
    record = completed(life, ledger, ec2, OnDelete=on_delete)

    outcome = life.drive(opened(ledger, request("Delete", "r2", "bun-1")))

    assert outcome == Done("bun-1")
    assert ledger.resource(record.key).bundles == ()
    holder = ledger.locations.claim(HERE, of_another_resource().key)
    assert holder == (record.key if on_delete == "Retain" else None)
    assert ec2.cancelled == []


def test_a_delete_leaves_the_claim_of_a_stored_image_that_is_retained(
    life: Lifecycle, ledger: Ledger
) -> None:
    here, attributes = Location("images", "web/Bundle/r1"), {"Prefix": "", "S3Uri": "s3://images/1"}
    made = Bundle("ami-1", "r1", here, "etag", "identity", attributes, "Retain")
    ledger.bundles.put(request().key, made)

    outcome = life.drive(opened(ledger, request("Delete", "r2", "ami-1")))

    assert outcome == Done("ami-1")
    assert ledger.locations.claim(here, of_another_resource().key) == request().key


def test_a_delete_after_a_create_that_started_nothing_is_done_at_once(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", "IncorrectInstanceState", "Stopped.")
    record = opened(ledger, request())
    failed = life.drive(record)
    assert isinstance(failed, Failed)
    ledger.store_answer(record, failed)

    outcome = life.drive(opened(ledger, request("Delete", "r2", failed.physical_id)))

    assert outcome == Done("Bundle-r1")


@pytest.mark.parametrize("physical_id", ["bun-1", "web-Bundle-MADEUPBYCFN1"])
def test_a_delete_cancels_the_running_task_and_waits_for_its_end(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, physical_id: str
) -> None:
    life.drive(opened(ledger, request()))
    record = opened(ledger, request("Delete", "r2", physical_id))

    assert isinstance(life.drive(record), Pending)
    assert ec2.cancelled == ["bun-1"]

    ec2.tasks["bun-1"] = replace(RUNNING, phase="failed", error_code="Client.Cancelled")
    assert life.drive(record, lambda: None) == Done(physical_id)


def test_a_delete_releases_the_location_of_work_that_timed_out(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="60"))
    life.drive(record)
    clock.now += 60
    failed = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])
    assert isinstance(failed, Failed)
    ledger.store_answer(record, failed)
    ec2.tasks["bun-1"] = replace(RUNNING, phase="failed", error_code="Client.Cancelled")

    assert life.drive(opened(ledger, request("Delete", "r2", "bun-1"))) == Done("bun-1")

    assert ledger.locations.claim(HERE, replace(record.key, logical_id="Other")) is None


def test_a_delete_finds_work_whose_answer_was_lost(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    ec2.obstacle, ec2.starts_all_the_same = PassingFault("cut off"), True
    with pytest.raises(PassingFault):
        life.drive(opened(ledger, request()))

    outcome = life.drive(opened(ledger, request("Delete", "r2", "invented")))

    assert isinstance(outcome, Pending)
    assert ec2.cancelled == ["bun-1"]


def test_an_update_that_names_the_same_bundle_starts_nothing(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)

    outcome = life.drive(
        opened(ledger, request("Update", "r2", "bun-1", ServiceTimeout="60", DryRun="false"))
    )

    assert isinstance(outcome, Done)
    assert outcome.physical_id == "bun-1"
    assert outcome.attributes["S3Uri"] == "s3://images/web"
    assert len(ec2.started) == 1


def test_an_update_that_names_another_bundle_makes_it(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    elsewhere = {"S3": {"Bucket": "images", "Prefix": "elsewhere"}}

    outcome = life.drive(opened(ledger, request("Update", "r2", "bun-1", Storage=elsewhere)))

    assert isinstance(outcome, Pending)
    assert ec2.started == [Location("images", "web"), Location("images", "elsewhere")]


@pytest.mark.parametrize(
    ("bucket", "prefix"), [("b" * 63, '"' * 450), ("B" * 255, "p" * 708), ("B" * 255, '"' * 354)]
)
def test_the_longest_names_that_are_allowed_still_make_an_answer_that_cloudformation_takes(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, bucket: str, prefix: str
) -> None:
    asked = request(Storage={"S3": {"Bucket": bucket, "Prefix": prefix}})
    key = RequestKey(
        stack_id=f"arn:aws:cloudformation:us-east-1:123456789012:stack/{'s' * 128}/{'0' * 36}",
        logical_id="L" * 255,
        request_id="0" * 36,
    )
    record = opened(ledger, replace(asked, key=key))
    life.drive(record)
    task = replace(RUNNING, id="bun-0123456789abcdef0", phase="complete", state="complete")

    done = life.drive(stored_record(ledger, record), lambda: task)

    assert isinstance(done, Done)
    assert len(response.body(key, done)) <= response.LIMIT


# Requests in order, and late requests


ELSEWHERE = {"S3": {"Bucket": "images", "Prefix": "elsewhere"}}


def image_attributes(image_id: str) -> dict[str, str]:
    return {"ImageId": image_id, "ImageArn": f"arn:aws:ec2:us-east-1::image/{image_id}"}


def answered(ledger: Ledger, record: Record, outcome: Outcome) -> Done | Failed:
    assert isinstance(outcome, Done | Failed)
    _, stored = ledger.store_answer(record, outcome)
    ledger.delivered(record.key)
    return stored


def replaced(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    """A bundle bun-1 at `web`, replaced by bun-2 at `elsewhere`."""
    completed(life, ledger, ec2)
    ledger.delivered(request().key)
    record = opened(ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE))
    life.drive(record)
    ec2.tasks["bun-2"] = replace(ec2.tasks["bun-2"], phase="complete", state="complete")
    done = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-2"])
    assert answered(ledger, record, done).physical_id == "bun-2"


@pytest.mark.parametrize("first", ["Update", "Delete"])
def test_a_rollback_answers_the_old_bundle_whichever_of_its_requests_comes_first(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, first: str
) -> None:
    replaced(life, ledger, ec2)
    update = request("Update", "r3", "bun-2")
    delete = request("Delete", "r4", "bun-2", Storage=ELSEWHERE)

    for asked in (update, delete) if first == "Update" else (delete, update):
        record = opened(ledger, asked)
        outcome = life.drive(record)
        answer = answered(ledger, record, outcome)
        assert isinstance(answer, Done)
        assert answer.physical_id == ("bun-1" if asked is update else "bun-2")

    assert [bundle.physical_id for bundle in ledger.resource(update.key).bundles] == ["bun-1"]
    assert len(ec2.started) == 2


def test_a_failure_names_what_could_not_be_checked_before(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    ec2.hint_given = "s3:HeadBucket was refused."
    ec2.tasks["bun-1"] = replace(
        ec2.tasks["bun-1"], phase="failed", state="failed", error_code="S3Error"
    )

    answer = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])

    assert isinstance(answer, Failed)
    assert "S3Error" in answer.reason
    assert answer.reason.endswith("Not checked before: s3:HeadBucket was refused.")


def test_a_dry_run_is_refused_where_a_bundle_would_be_overwritten(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    ec2.stored.add(Location("images", "web"))

    answer = life.drive(opened(ledger, request(DryRun=True)))

    assert isinstance(answer, Failed)
    assert "it is not overwritten" in answer.reason


@pytest.mark.parametrize("known_as", ["bun-1", "bun-2"])
def test_a_failed_update_leaves_the_old_bundle_and_its_rollback_ends_the_new_task(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, known_as: str
) -> None:
    completed(life, ledger, ec2)
    record = opened(ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE))
    life.drive(record)
    clock.now += 3600
    answered(ledger, record, life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-2"]))
    back = opened(ledger, request("Update", "r3", known_as))

    assert isinstance(life.drive(back), Pending)
    ec2.tasks["bun-2"] = replace(ec2.tasks["bun-2"], phase="failed")
    done = life.drive(back, lambda: None)

    assert isinstance(done, Done)
    assert done.physical_id == "bun-1"
    assert done.attributes["S3Uri"] == "s3://images/web"
    assert ec2.swept == [Location("images", "elsewhere")]
    assert len(ec2.started) == 2


def test_an_update_whose_answer_never_arrived_leaves_no_bundle_owned(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    replaced(life, ledger, ec2)

    done = life.drive(opened(ledger, request("Update", "r3", "bun-1")))

    assert isinstance(done, Done)
    assert done.physical_id == "bun-1"
    assert [bundle.physical_id for bundle in ledger.resource(request().key).bundles] == ["bun-1"]


def test_what_a_rollback_may_not_remove_is_removed_by_the_delete(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CloudFormation gave the update up before its answer came."""

    def denied(_: Bundle) -> None:
        raise refusals.denied("s3:DeleteObjects", "AccessDenied", "No.")

    answered_bundle(life, ledger, ec2)
    update = request("Update", "r2", "bun-1", old=request().properties, Storage=ELSEWHERE)
    record = opened(ledger, replace(update, properties=update.properties | {"OnDelete": "Delete"}))
    life.drive(record)
    ec2.tasks["bun-2"] = replace(ec2.tasks["bun-2"], phase="complete", state="complete")
    answered(ledger, record, life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-2"]))
    clock.now += 60
    assert record.request is not None
    back = opened(ledger, request("Update", "r3", "bun-1", old=record.request.properties))
    with monkeypatch.context() as patch:
        patch.setattr(ec2, "remove", denied)
        answer = answered(ledger, back, life.drive(back))
    assert (answer.physical_id, type(answer)) == ("bun-1", Done)
    clock.now += 60

    assert life.drive(opened(ledger, request("Delete", "r4", "bun-1"))) == Done("bun-1")

    assert [location for location, _ in ec2.removed] == [Location("images", "elsewhere")]
    assert ledger.resource(request().key).bundles == ()


def test_the_old_bundle_stays_owned_until_its_own_delete(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    replaced(life, ledger, ec2)

    assert life.drive(opened(ledger, request("Delete", "r3", "bun-1"))) == Done("bun-1")

    assert [bundle.physical_id for bundle in ledger.resource(request().key).bundles] == ["bun-2"]


@pytest.mark.parametrize("sent", ["", "20270115T080000Z"])
def test_a_create_that_comes_after_its_resources_delete_starts_nothing(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, sent: str
) -> None:
    delete, create = request("Delete", "r2", "web-Bundle-MADEUPBYCFN1"), request()
    if sent:
        delete = replace(delete, response_url=f"{delete.response_url}?X-Amz-Date={sent}")
        create = replace(create, response_url=f"{create.response_url}?X-Amz-Date={sent}")
    record = opened(ledger, delete)
    answered(ledger, record, life.drive(record))

    outcome = life.drive(opened(ledger, create))

    assert isinstance(outcome, Failed)
    assert "has replaced this one" in outcome.reason
    assert ec2.started == []


def test_a_create_that_was_sent_after_a_delete_is_another_resources(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    delete = request("Delete", "r2", "web-Bundle-MADEUPBYCFN1")
    delete = replace(delete, response_url=f"{delete.response_url}?X-Amz-Date=20270115T080000Z")
    life.drive(opened(ledger, delete))
    create = request()
    create = replace(create, response_url=f"{create.response_url}?X-Amz-Date=20270115T080001Z")

    assert isinstance(life.drive(opened(ledger, create)), Pending)


def test_a_resource_that_was_deleted_can_be_created_again(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    life.drive(opened(ledger, request("Delete", "r2", "bun-1")))

    assert isinstance(life.drive(opened(ledger, request(request_id="r3"))), Pending)


def test_an_update_that_comes_after_its_resources_delete_starts_nothing(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    life.drive(opened(ledger, request("Delete", "r2", "bun-1")))

    outcome = life.drive(opened(ledger, request("Update", "r3", "bun-1", Storage=ELSEWHERE)))

    assert isinstance(outcome, Failed)
    assert len(ec2.started) == 1


def test_a_create_that_is_superseded_between_two_calls_starts_nothing(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = opened(ledger, request())

    def meanwhile(_: Location) -> bool:
        ledger.supersede(record)
        return False

    monkeypatch.setattr(ec2, "is_taken", meanwhile)

    outcome = life.drive(record)

    assert outcome == Failed("Bundle-r1", str(Superseded()))
    assert ec2.started == []
    assert isinstance(life.drive(stored_record(ledger, record), lambda: None), Failed)


def test_a_delete_waits_until_a_task_whose_start_was_not_answered_would_be_listed(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    create = opened(ledger, request())
    ec2.obstacle = PassingFault("cut off")
    with pytest.raises(PassingFault):
        life.drive(create)
    record = opened(ledger, request("Delete", "r2", "web-Bundle-MADEUPBYCFN1"))

    assert isinstance(life.drive(record), Pending)
    clock.now += 31
    assert life.drive(record, lambda: None) == Done("web-Bundle-MADEUPBYCFN1")


def test_a_delete_that_can_not_end_the_work_in_time_is_failed_and_names_it(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    life.drive(opened(ledger, request()))
    record = opened(ledger, request("Delete", "r2", "bun-1"))
    life.drive(record)
    clock.now += 3600

    outcome = life.drive(record, lambda: None)

    assert isinstance(outcome, Failed)
    assert outcome.physical_id == "bun-1"
    assert "Not ended within ServiceTimeout (3600 s): task bun-1 is bundling" in outcome.reason


@pytest.mark.parametrize("on_delete", ["Delete", "Retain", None])
def test_a_finished_bundle_is_removed_only_where_that_is_asked_for(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, on_delete: str | None
) -> None:
    here = Location("images", "web")
    asked: dict[str, Any] = {"OnDelete": on_delete} if on_delete else {}
    record = opened(ledger, request(**asked))
    life.drive(record)
    ec2.stored.add(here)
    ec2.tasks["bun-1"] = replace(RUNNING, phase="complete", state="complete")
    answered(ledger, record, life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"]))

    life.drive(opened(ledger, request("Delete", "r2", "bun-1")))

    removed = [(here, "what bun-1 finished")] if on_delete == "Delete" else []
    assert ec2.removed == removed
    assert ec2.swept == []


def test_a_bundle_whose_location_is_anothers_now_is_not_touched(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    here = Location("images", "web")
    ec2.stored.add(here)
    ledger.bundles.put(
        request().key,
        Bundle("bun-1", "r0", here, "etag", "identity"),
    )
    ledger.locations.release(here, replace(request().key, request_id="r0"))
    assert ledger.locations.claim(here, replace(request().key, logical_id="Other")) is None

    life.drive(opened(ledger, request("Delete", "r2", "bun-1", OnDelete="Delete")))

    assert ec2.removed == []


def test_what_a_failed_task_left_is_not_touched_where_its_location_is_anothers_now(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    ec2.tasks["bun-1"] = replace(RUNNING, phase="failed")
    answered(ledger, record, life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"]))
    assert ledger.locations.claim(HERE, replace(record.key, logical_id="Other")) is None

    life.drive(opened(ledger, request("Delete", "r2", "bun-1")))

    assert ec2.swept == []


def test_what_a_timed_out_task_left_is_removed_when_its_resource_is_deleted(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="60"))
    life.drive(record)
    clock.now += 60
    answered(ledger, record, life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"]))
    ec2.tasks["bun-1"] = replace(RUNNING, phase="failed")

    life.drive(opened(ledger, request("Delete", "r2", "bun-1")))

    assert ec2.swept == [Location("images", "web")]
    assert ec2.removed == []


@pytest.mark.parametrize("on_delete", ["Delete", "Retain"])
def test_a_bundle_that_was_finished_but_not_answered_is_removed_only_where_that_is_asked_for(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, on_delete: str
) -> None:
    life.drive(opened(ledger, request(OnDelete=on_delete)))
    ec2.tasks["bun-1"] = replace(RUNNING, phase="complete", state="complete")
    ec2.stored.add(Location("images", "web"))
    clock.now += 30

    done = life.drive(opened(ledger, request("Delete", "r2", "invented")))

    assert done == Done("invented")
    finished = [(Location("images", "web"), "what bun-1 finished")]
    assert ec2.removed == (finished if on_delete == "Delete" else [])
    assert ec2.swept == []


def test_a_cancel_that_fails_does_not_delay_the_answer(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = opened(ledger, request(ServiceTimeout="60"))
    life.drive(record)
    clock.now += 60

    def fail(task_id: str) -> None:
        raise PassingFault("ec2:CancelBundleTask: ReadTimeoutError")

    monkeypatch.setattr(ec2, "cancel", fail)
    outcome = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])

    assert isinstance(outcome, Failed)
    assert "task bun-1 is bundling at 20%; it was not cancelled" in outcome.reason


def test_a_task_that_was_started_unseen_is_cancelled_at_the_deadline(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="60"))
    ec2.obstacle, ec2.starts_all_the_same = PassingFault("cut off"), True
    with pytest.raises(PassingFault):
        life.drive(record)
    ec2.obstacle = None
    clock.now += 60

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Failed)
    assert outcome.physical_id == "bun-1"
    assert ec2.cancelled == ["bun-1"]


@pytest.mark.parametrize("error", [Doubtful(FORBIDDEN), PassingFault("S3")])
def test_a_finished_bundle_that_can_not_be_read_is_no_failure(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    complete = replace(RUNNING, phase="complete", state="complete")

    def fail(location: Location, task: Task) -> None:
        raise error

    monkeypatch.setattr(ec2, "finished", fail)
    clock.now += 3600

    assert isinstance(life.drive(stored_record(ledger, record), lambda: complete), Done)


def test_an_update_that_starts_nothing_is_not_held_to_what_a_new_bundle_must_fit(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    """The template's policy has long expired; neither its bucket nor its `OnDelete: Delete` is
    allowed any more."""
    asked: dict[str, Any] = {"Storage": POLICY_UNTIL_2028, "OnDelete": "Delete"}
    record = opened(ledger, request(**asked))
    life.drive(record)
    seen = replace(RUNNING, phase="complete", state="complete")
    done = life.drive(stored_record(ledger, record), lambda: seen)
    assert isinstance(done, Done)
    ledger.store_answer(record, done)
    clock.now += 3 * 365 * 24 * 3600
    narrow = Lifecycle(
        ledger,
        methods(ec2),
        Limits(buckets=("others",), deletes_objects=False),
        asks=False,
        clock=clock,
    )

    update = opened(ledger, request("Update", "r2", "bun-1", old=asked, **asked))

    assert narrow.drive(update) == done


def test_a_replacement_is_held_to_what_a_new_bundle_must_fit(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    clock.now += 3 * 365 * 24 * 3600

    update = opened(ledger, request("Update", "r2", "bun-1", Storage=POLICY_UNTIL_2028))

    with pytest.raises(InvalidProperties, match="UploadPolicy: expires before 2030-"):
        life.drive(update)
    assert ec2.started == []


@pytest.mark.parametrize("dry_run", ["true", "false"])
@pytest.mark.parametrize("refusal", [NotAllowed("i-1", "a=b"), UnusableSecret("arn", "no")])
def test_a_refusal_before_the_call_releases_the_location(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, refusal: Refusal, dry_run: str
) -> None:
    ec2.obstacle = refusal
    record = opened(ledger, request(DryRun=dry_run))

    outcome = life.drive(record)

    assert outcome == Failed("Bundle-r1", str(refusal))
    assert ledger.locations.claim(HERE, replace(record.key, request_id="another")) is None


def test_the_policy_is_given_until_the_deadline(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="600"))
    life.drive(record)

    assert ec2.until == [record.deadline]
    assert clock() + 500 < record.deadline < clock() + 600


def test_work_that_goes_on_is_advanced_and_what_has_ended_or_is_overdue_is_not(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    record = stored_record(ledger, record)

    life.drive(record, lambda: RUNNING)
    assert ec2.advanced == [("bundling", "bundling")]

    clock.now = record.deadline
    life.drive(record, lambda: RUNNING)
    life.drive(record, lambda: replace(RUNNING, phase="failed", state="failed"))
    assert ec2.advanced == [("bundling", "bundling")]


def test_a_next_stage_that_is_refused_fails_with_the_tasks_id(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request())
    life.drive(record)
    ec2.obstacle = refusals.denied(
        "ec2:CreateStoreImageTask", "InvalidParameterValue", "No such bucket."
    )

    outcome = life.drive(stored_record(ledger, record), lambda: RUNNING)

    assert outcome == Failed("bun-1", str(ec2.obstacle))


def test_what_completes_although_its_end_was_asked_for_is_removed_whatever_on_delete_says(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    life.drive(opened(ledger, request()))
    delete = opened(ledger, request("Delete", "r2", "Bundle-made-up"))

    assert isinstance(life.drive(delete), Pending)
    assert ec2.cancelled == ["bun-1"]
    ec2.tasks["bun-1"] = replace(RUNNING, phase="complete", state="complete")
    ec2.stored.add(Location("images", "web"))
    clock.now += 31  # the lease of the process that started it has expired
    assert isinstance(life.drive(delete), Done)

    assert ec2.swept == [Location("images", "web")]
    assert ec2.removed == []


def test_an_update_in_place_updates_the_finished_bundle(
    ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    images = replace(ec2, id_prefix="ami-")
    life = Lifecycle(
        ledger,
        Methods({"BundleInstance": ec2, "StoreImage": images}),
        Limits(),
        asks=False,
        clock=clock,
    )
    asked: dict[str, Any] = {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}
    record = opened(ledger, request(**asked))
    life.drive(record)
    seen = replace(images.tasks["ami-1"], phase="complete", state="complete")
    done = life.drive(stored_record(ledger, record), lambda: seen)
    assert isinstance(done, Done)
    ledger.store_answer(record, done)
    old = {"Description": "old", "Tags": [{"Key": "a", "Value": "b"}]}
    before = request(**asked, Image=old).properties
    update = request("Update", "r2", "ami-1", old=before, **asked, Image={"Description": "new"})

    outcome = life.drive(opened(ledger, update))

    assert outcome == done
    [(made, described, described_now)] = images.updated
    assert (made.physical_id, made.made_by) == ("ami-1", "r1")
    assert described == Image(description="old", tags={"a": "b"})
    assert described_now == Image(description="new")


@pytest.mark.parametrize("is_rollback", [True, False])
def test_an_update_of_the_image_that_is_refused_fails_no_rollback(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, *, is_rollback: bool
) -> None:
    """The first update fails; the second asks for the properties from before it, or for others."""
    record = opened(ledger, request())
    life.drive(record)
    done = life.drive(stored_record(ledger, record), lambda: complete(ec2))
    assert isinstance(done, Done)
    ledger.store_answer(record, done)
    first = request("Update", "r2", "bun-1", old=request().properties, Image=WEB)
    ec2.obstacle = Refused(refusals.denied("ec2:RegisterImage", "UnauthorizedOperation", "No."))
    failed = opened(ledger, first)
    with pytest.raises(Refused):
        life.drive(failed)
    ledger.store_answer(failed, Failed("bun-1", "It was refused to the end."))
    clock.now += 60
    image = {} if is_rollback else {"Image": OTHER}
    second = opened(ledger, request("Update", "r3", "bun-1", old=first.properties, **image))

    with refused(ledger, second, clock):
        life.drive(second)
    clock.now += 20
    with nullcontext() if is_rollback else refused(ledger, second, clock):
        assert life.drive(stored_record(ledger, second)) == done


def test_each_task_is_dealt_with_by_its_own_method(ec2: Ec2) -> None:
    ways = methods(ec2)
    bundle, image = ways.named("BundleInstance"), ways.named("StoreImage")

    assert (ways.of("bun-1"), ways.of("ami-1")) == (bundle, image)
    ec2.tasks["bun-1"] = RUNNING
    assert ways.describe(["bun-1"]) == {"bun-1": RUNNING}
    assert ways.describe([]) == {}


def test_a_describe_that_fails_concerns_the_tasks_of_its_method_alone(ec2: Ec2) -> None:
    def throttled(task_ids: Collection[str]) -> Mapping[str, InstanceBundleError]:
        return dict.fromkeys(task_ids, fault)

    fault, images = Throttled("ec2:DescribeImages: RequestLimitExceeded"), Ec2(id_prefix="ami-")
    images.describe = throttled  # type: ignore[method-assign]
    ec2.tasks["bun-1"] = RUNNING
    ways = Methods({"BundleInstance": ec2, "StoreImage": images})

    assert ways.describe(["bun-1", "bun-2", "ami-1", "ami-2"]) == {
        "bun-1": RUNNING,
        "ami-1": fault,
        "ami-2": fault,
    }


# AMIs of a bundle


WEB, OTHER = {"Name": "web"}, {"Name": "other"}


def complete(ec2: Ec2, task_id: str = "bun-1") -> Task:
    ec2.tasks[task_id] = replace(ec2.tasks[task_id], phase="complete", state="complete")
    return ec2.tasks[task_id]


def with_image(life: Lifecycle, ledger: Ledger, ec2: Ec2, **properties: Any) -> Done:
    """A bundle bun-1 at `web`, with an AMI of this name."""
    record = opened(ledger, request(Image=WEB, **properties))
    life.drive(record)
    ec2.stored.add(Location("images", "web"))
    outcome = life.drive(stored_record(ledger, record), lambda: complete(ec2))
    done = answered(ledger, record, outcome)
    assert isinstance(done, Done)
    return done


def update_image(
    ledger: Ledger,
    request_id: str,
    old: Mapping[str, str] | None,
    new: Mapping[str, str] | None,
    **properties: Any,
) -> Record:
    """An Update that asks for another AMI of bun-1, or for none."""
    before: dict[str, Any] = properties | ({"Image": old} if old else {})
    now: dict[str, Any] = properties | ({"Image": new} if new else {})
    old_properties = request(**before).properties
    return opened(ledger, request("Update", request_id, "bun-1", old=old_properties, **now))


def test_a_complete_bundle_is_done_once_its_ami_is_there(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    done = with_image(life, ledger, ec2)

    assert ec2.advanced == [("bundling", "complete")]
    assert done.attributes["ImageId"] == "ami-registered1"
    assert done.attributes["S3Uri"] == "s3://images/web"
    [bundle] = ledger.resource(request().key).bundles
    assert bundle.attributes == done.attributes


def test_a_bundle_that_ec2_no_longer_lists_gets_its_ami_too(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request(Image=WEB))
    life.drive(record)
    ec2.stored.add(Location("images", "web"))

    done = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(done, Done)
    assert done.attributes["ImageId"] == "ami-registered1"


def unregistered(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> Failed:
    """A Create whose bundle bun-1 is complete, and whose AMI EC2 refuses."""
    record = opened(ledger, request(Image=WEB))
    life.drive(record)
    ec2.stored.add(Location("images", "web"))
    ec2.obstacle = NotRegistered("bun-1", "s3://images/web", "EC2 says no.")
    outcome = life.drive(stored_record(ledger, record), lambda: complete(ec2))
    ec2.obstacle = None
    failed = answered(ledger, record, outcome)
    assert isinstance(failed, Failed)
    return failed


def test_a_refused_registration_fails_with_the_tasks_id_and_keeps_the_bundle_and_its_location(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    failed = unregistered(life, ledger, ec2)

    assert failed.physical_id == "bun-1"
    assert failed.reason == (
        "Image: the bundle bun-1 is complete and kept at s3://images/web, but no AMI could be "
        "registered from it. EC2 says no."
    )
    assert (ec2.removed, ec2.swept) == ([], [])
    assert (
        ledger.locations.claim(
            Location("images", "web"), replace(request().key, logical_id="Other")
        )
        is not None
    )


@pytest.mark.parametrize("on_delete", ["Delete", "Retain"])
def test_the_delete_after_a_refused_registration_cleans_up_the_bundle(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, on_delete: str
) -> None:
    """It waits until an AMI would be listed, if one was made."""
    unregistered(life, ledger, ec2)
    delete = opened(ledger, request("Delete", "r2", "bun-1", OnDelete=on_delete))
    assert isinstance(life.drive(delete), Pending)
    clock.now += 31

    outcome = life.drive(delete)

    assert outcome == Done("bun-1")
    finished = [(Location("images", "web"), "what bun-1 finished")]
    assert ec2.removed == (finished if on_delete == "Delete" else [])
    assert ec2.swept == []
    holder = ledger.locations.claim(
        Location("images", "web"), replace(request().key, logical_id="Other")
    )
    assert holder == (request().key if on_delete == "Retain" else None)


def test_an_ami_that_is_not_available_yet_is_polled(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request(Image=WEB))
    life.drive(record)
    ec2.obstacle = NothingDone("the AMI ami-registered1 is not available yet")

    with pytest.raises(NothingDone):
        life.drive(stored_record(ledger, record), lambda: complete(ec2))
    assert ledger.resource(record.key).bundles == ()

    ec2.obstacle = None
    assert isinstance(life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"]), Done)


def test_an_update_of_the_image_alone_gives_the_bundle_of_before_another_ami(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    before = with_image(life, ledger, ec2)

    outcome = life.drive(update_image(ledger, "r2", WEB, OTHER))

    expected = Done("bun-1", {**before.attributes, **image_attributes("ami-registered2")})
    assert outcome == expected
    assert len(ec2.started) == 1
    [(made, old, new)] = ec2.updated
    assert (made.physical_id, made.made_by, made.etag) == ("bun-1", "r1", "what bun-1 finished")
    assert made.location == Location("images", "web")
    assert (old, new) == (Image(name="web"), Image(name="other"))
    [bundle] = ledger.resource(request().key).bundles
    assert bundle.made_by == "r1"
    assert bundle.attributes == expected.attributes


def test_another_ami_leaves_the_bundles_location_to_the_request_that_made_it(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, caplog: pytest.LogCaptureFixture
) -> None:
    with_image(life, ledger, ec2, OnDelete="Delete")
    update = update_image(ledger, "r2", WEB, OTHER, OnDelete="Delete")
    answered(ledger, update, life.drive(update))
    here = Location("images", "web")

    assert "Another request has claimed" not in caplog.text
    assert ledger.locations.claim(here, update.key) is not None
    life.drive(opened(ledger, request("Delete", "r3", "bun-1")))
    assert ec2.removed == [(here, "what bun-1 finished")]
    assert ledger.locations.claim(here, update.key) is None


def test_a_rollback_finds_the_ami_of_before(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    before = with_image(life, ledger, ec2)
    record = update_image(ledger, "r2", WEB, OTHER)
    answered(ledger, record, life.drive(record))

    assert life.drive(update_image(ledger, "r3", OTHER, WEB)) == before
    [bundle] = ledger.resource(request().key).bundles
    assert bundle.attributes["ImageId"] == "ami-registered1"


def test_an_update_that_asks_for_no_ami_any_more_names_none(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    with_image(life, ledger, ec2)

    outcome = life.drive(update_image(ledger, "r2", WEB, None))

    assert isinstance(outcome, Done)
    assert outcome.attributes["ImageId"] == ""
    assert ec2.removed == []


@pytest.mark.parametrize("later", ["Update", "Delete"])
def test_an_update_that_comes_late_changes_no_ami(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, later: str
) -> None:
    before = with_image(life, ledger, ec2)
    if later == "Update":
        other = request("Update", "r3", "bun-1", Image=WEB)
    else:
        other = request("Delete", "r3", "bun-elsewhere", Image=WEB)
    url = f"{other.response_url}?X-Amz-Date=20270115T080001Z"
    opened(ledger, replace(other, response_url=url))
    late = request("Update", "r2", "bun-1", Image=OTHER, old=request(Image=WEB).properties)
    late = replace(late, response_url=f"{late.response_url}?X-Amz-Date=20270115T080000Z")

    outcome = life.drive(opened(ledger, late))

    assert outcome == before
    assert ec2.updated == []


def test_an_update_whose_ami_is_refused_is_failed_and_leaves_the_one_of_before(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    before = with_image(life, ledger, ec2)
    ec2.obstacle = NotRegistered("bun-1", "s3://images/web", "EC2 says no.")

    with pytest.raises(NotRegistered):
        life.drive(update_image(ledger, "r2", WEB, OTHER))

    [bundle] = ledger.resource(request().key).bundles
    assert bundle.attributes == before.attributes


def test_an_update_waits_for_its_ami_too(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    with_image(life, ledger, ec2)
    record = update_image(ledger, "r2", WEB, OTHER)
    ec2.obstacle = NothingDone("the AMI ami-registered2 is not available yet")
    with pytest.raises(NothingDone):
        life.drive(record)
    ec2.obstacle = None

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Done)
    assert outcome.attributes["ImageId"] == "ami-registered2"


def test_a_bundle_without_an_etag_is_deleted_too(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    here = Location("images", "web")
    ledger.bundles.put(request().key, Bundle("bun-1", "r1", here, identity="identity"))

    life.drive(opened(ledger, request("Delete", "r2", "bun-1", OnDelete="Delete")))

    assert ec2.removed == [(here, "")]


# Handles that are signalled at the end


def accepted(life: Lifecycle, ledger: Ledger, asked: Request) -> Record:
    """A request whose work is accepted, as another process reads its record."""
    record = opened(ledger, asked)
    outcome = life.drive(record)
    assert isinstance(outcome, Pending)
    assert outcome.acceptance is not None
    ledger.store_acceptance(record, outcome.acceptance)
    return stored_record(ledger, record)


def test_work_with_a_handle_is_accepted_with_every_attribute(
    life: Lifecycle, ledger: Ledger
) -> None:
    outcome = life.drive(opened(ledger, request(CompletionHandle=HANDLE)))

    assert isinstance(outcome, Pending)
    assert outcome.acceptance == Done(
        "bun-1",
        {
            "BundleId": "bun-1",
            "InstanceId": "i-1234567890abcdef0",
            "Bucket": "images",
            "Prefix": "web",
            "S3Uri": "s3://images/web",
            "ManifestLocation": "images/web.manifest.xml",
            "State": "bundling",
            "Progress": "20%",
            "StartTime": "2027-01-15T08:00:00Z",
            "UpdateTime": "2027-01-15T08:00:05Z",
            **dict.fromkeys(("ImageId", "ImageArn", "SnapshotIds"), ""),
        },
    )


def test_a_stored_image_is_accepted_under_its_own_id(life: Lifecycle, ledger: Ledger) -> None:
    asked: dict[str, Any] = {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}

    outcome = life.drive(opened(ledger, request(CompletionHandle=HANDLE, **asked)))

    assert isinstance(outcome, Pending)
    assert outcome.acceptance is not None
    assert outcome.acceptance.physical_id == outcome.acceptance.attributes["ImageId"] == "ami-1"


def test_work_without_a_handle_is_not_accepted(life: Lifecycle, ledger: Ledger) -> None:
    outcome = life.drive(opened(ledger, request()))

    assert isinstance(outcome, Pending)
    assert outcome.acceptance is None


def test_work_is_accepted_until_cloudformation_has_the_answer(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = accepted(life, ledger, request(CompletionHandle=HANDLE))

    again = life.drive(record, lambda: ec2.tasks["bun-1"])
    ledger.acceptance_sent(record)
    later = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])

    assert isinstance(again, Pending)
    assert isinstance(later, Pending)
    assert (again.acceptance, later.acceptance) == (record.acceptance, None)


def test_work_whose_start_was_not_answered_is_accepted_when_it_is_found(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    record = opened(ledger, request(CompletionHandle=HANDLE))
    ec2.obstacle, ec2.starts_all_the_same = PassingFault("cut off"), True
    with pytest.raises(PassingFault):
        life.drive(record)
    ec2.obstacle = None

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Pending)
    assert outcome.acceptance is not None
    assert outcome.acceptance.physical_id == "bun-1"


@pytest.mark.parametrize(
    ("properties", "seconds"),
    [({}, 43200 - 30), ({"CompletionTimeout": "7200"}, 7200 - 30), ({"CompletionTimeout": 60}, 48)],
)
def test_accepted_work_has_the_time_that_its_handle_waits(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    properties: dict[str, Any],
    seconds: int,
) -> None:
    record = accepted(life, ledger, request(CompletionHandle=HANDLE, **properties))
    clock.now += seconds - 1
    assert isinstance(life.drive(record, lambda: ec2.tasks["bun-1"]), Pending)

    clock.now += 1
    outcome = life.drive(record, lambda: ec2.tasks["bun-1"])

    given = properties.get("CompletionTimeout", 43200)
    assert outcome == Failed(
        "bun-1",
        f"Not complete within CompletionTimeout ({given} s): task bun-1 is bundling at 20%; its "
        "cancel was requested. Raise CompletionTimeout (43200 s at most), or bundle a smaller "
        "volume.",
    )
    assert ec2.cancelled == ["bun-1"]


def test_until_work_is_accepted_the_service_timeout_holds(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(CompletionHandle=HANDLE, ServiceTimeout="600"))
    ec2.obstacle, ec2.starts_all_the_same = PassingFault("cut off"), True
    with pytest.raises(PassingFault):
        life.drive(record)
    ec2.obstacle = None
    clock.now += 600 - 30

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("Not complete within ServiceTimeout (600 s): task bun-1 is")
    assert "use a CompletionHandle for work of up to 12 hours" in outcome.reason
    assert ec2.cancelled == ["bun-1"]


def test_the_work_is_started_with_the_time_that_its_handle_waits(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    life.drive(opened(ledger, request(CompletionHandle=HANDLE, ServiceTimeout="60")))

    assert ec2.until == [clock() + 43200]


@pytest.mark.parametrize(("seconds", "is_good"), [("7000", True), ("7300", False)])
def test_a_policy_must_be_valid_until_the_completion_timeout(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, seconds: str, *, is_good: bool
) -> None:
    clock.now = 1_830_297_600.0 - 7200  # two hours before the policy expires
    asked = request(Storage=POLICY_UNTIL_2028, CompletionHandle=HANDLE, CompletionTimeout=seconds)
    record = opened(ledger, asked)

    if is_good:
        assert isinstance(life.drive(record), Pending)
    else:
        with pytest.raises(InvalidProperties, match="UploadPolicy: expires before 2028-01-01T"):
            life.drive(record)


def test_a_new_bundle_can_not_have_the_same_handle(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    before = request(CompletionHandle=HANDLE).properties
    update = request(
        "Update", "r2", "bun-1", old=before, Storage=ELSEWHERE, CompletionHandle=HANDLE
    )

    with pytest.raises(InvalidProperties, match="CompletionHandle: is that of the earlier bundle"):
        life.drive(opened(ledger, update))

    assert len(ec2.started) == 1


def test_an_update_in_place_may_have_the_same_handle(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    before = request(CompletionHandle=HANDLE).properties
    update = request("Update", "r2", "bun-1", old=before, CompletionHandle=HANDLE)

    assert isinstance(life.drive(opened(ledger, update)), Done)


def test_an_update_in_place_with_the_same_handle_lets_accepted_work_continue(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    create = accepted(life, ledger, request(CompletionHandle=HANDLE))
    ledger.acceptance_sent(create)
    before = request(CompletionHandle=HANDLE).properties
    update = request(
        "Update", "r2", "bun-1", old=before, CompletionHandle=HANDLE, OnDelete="Delete"
    )

    answer = life.drive(opened(ledger, update))

    assert answer == create.acceptance
    assert ec2.cancelled == []


def test_what_was_finished_is_removed_by_its_delete_also_where_ec2_no_longer_lists_its_task(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    create = opened(ledger, request(OnDelete="Delete"))
    life.drive(create)
    ec2.tasks.clear()
    ec2.stored.add(Location("images", "web"))
    clock.now += 600

    outcome = life.drive(opened(ledger, request("Delete", "r2", "bun-1", OnDelete="Delete")))

    assert outcome == Done("bun-1")
    assert ec2.removed == [(Location("images", "web"), "what bun-1 finished")]
    assert ec2.swept == []


def test_a_replacement_with_a_new_handle_is_accepted(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    before = request(CompletionHandle=HANDLE.replace("Handle1", "Handle0")).properties
    update = request(
        "Update", "r2", "bun-1", old=before, Storage=ELSEWHERE, CompletionHandle=HANDLE
    )

    record = accepted(life, ledger, update)

    assert record.acceptance is not None
    assert record.acceptance.physical_id == "bun-2"


def test_a_delete_ends_and_cleans_up_accepted_work_and_its_create_is_superseded(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    create = accepted(life, ledger, request(CompletionHandle=HANDLE))
    ledger.acceptance_sent(create)
    delete = opened(ledger, request("Delete", "r2", "bun-1", CompletionHandle=HANDLE))

    assert isinstance(life.drive(delete), Pending)
    assert ec2.cancelled == ["bun-1"]
    failed = life.drive(stored_record(ledger, create), lambda: ec2.tasks["bun-1"])
    assert isinstance(failed, Failed)
    assert failed.physical_id == "bun-1"
    assert "has replaced this one" in failed.reason
    answered(ledger, create, failed)
    ec2.tasks["bun-1"] = replace(RUNNING, phase="failed")

    assert life.drive(delete, lambda: None) == Done("bun-1")
    assert ec2.swept == [Location("images", "web")]
    assert (
        ledger.locations.claim(
            Location("images", "web"), replace(request().key, logical_id="Other")
        )
        is None
    )


def test_a_delete_has_no_more_time_than_cloudformation_gives_it(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    accepted(life, ledger, request(CompletionHandle=HANDLE))
    delete = opened(ledger, request("Delete", "r2", "bun-1", CompletionHandle=HANDLE))
    life.drive(delete)
    clock.now += 3600

    outcome = life.drive(delete, lambda: None)

    assert isinstance(outcome, Failed)
    assert "Not ended within ServiceTimeout (3600 s)" in outcome.reason


def test_a_rollback_of_a_replacement_that_was_accepted_goes_back_to_the_old_bundle(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    completed(life, ledger, ec2)
    update = accepted(
        life, ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE, CompletionHandle=HANDLE)
    )
    ec2.tasks["bun-2"] = replace(ec2.tasks["bun-2"], phase="failed")
    answered(ledger, update, life.drive(update, lambda: ec2.tasks["bun-2"]))

    rollback = opened(ledger, request("Update", "r3", "bun-2"))
    back = answered(ledger, rollback, life.drive(rollback))
    gone = life.drive(opened(ledger, request("Delete", "r4", "bun-2", Storage=ELSEWHERE)))

    assert isinstance(back, Done)
    assert (back.physical_id, gone) == ("bun-1", Done("bun-2"))
    assert ec2.swept == [Location("images", "elsewhere")]
    assert [bundle.physical_id for bundle in ledger.resource(request().key).bundles] == ["bun-1"]


def test_a_delete_of_the_earlier_bundle_lets_accepted_work_continue(
    life: Lifecycle, ledger: Ledger, ec2: Ec2
) -> None:
    """If no condition waits for the handle, the old bundle is deleted meanwhile."""
    completed(life, ledger, ec2)
    update = accepted(
        life, ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE, CompletionHandle=HANDLE)
    )
    ledger.acceptance_sent(update)

    assert life.drive(opened(ledger, request("Delete", "r3", "bun-1"))) == Done("bun-1")

    assert ec2.cancelled == []
    update = stored_record(ledger, update)
    assert not update.superseded
    assert isinstance(life.drive(update, lambda: complete(ec2, "bun-2")), Done)
    assert [bundle.physical_id for bundle in ledger.resource(request().key).bundles] == ["bun-2"]


def test_a_delete_waits_for_an_acceptance_that_is_being_sent_and_lets_the_work_continue(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    """CloudFormation has the acceptance before the process has stored that it was sent."""
    completed(life, ledger, ec2)
    update = accepted(
        life, ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE, CompletionHandle=HANDLE)
    )
    delete = opened(ledger, request("Delete", "r3", "bun-1"))

    assert isinstance(life.drive(delete), Pending)
    ledger.acceptance_sent(update)
    assert life.drive(delete, lambda: None) == Done("bun-1")

    assert ec2.cancelled == []
    assert not stored_record(ledger, update).superseded


def test_a_delete_ends_what_no_process_is_accepting_any_more(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    completed(life, ledger, ec2)
    accepted(
        life, ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE, CompletionHandle=HANDLE)
    )
    clock.now += 31  # the lease of the process that was accepting it has expired

    assert isinstance(life.drive(opened(ledger, request("Delete", "r3", "bun-1"))), Pending)

    assert ec2.cancelled == ["bun-2"]


@pytest.mark.parametrize("physical_id", ["bun-1", "web-Bundle-MADEUPBYCFN1"])
def test_a_delete_ends_accepted_work_whose_acceptance_came_too_late(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, physical_id: str
) -> None:
    create = accepted(life, ledger, request(CompletionHandle=HANDLE))
    ledger.acceptance_sent(create)

    assert isinstance(life.drive(opened(ledger, request("Delete", "r2", physical_id))), Pending)

    assert ec2.cancelled == ["bun-1"]
    assert stored_record(ledger, create).superseded


# At the deadline, before any task of the request is known


def test_what_could_not_be_started_in_time_is_failed_and_not_started_any_more(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="60"))
    ec2.obstacle = Throttled("RequestLimitExceeded")
    with pytest.raises(Throttled):
        life.drive(record)
    ec2.obstacle = None
    clock.now = record.deadline

    outcome = life.drive(stored_record(ledger, record), lambda: None)

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(
        "Not complete within ServiceTimeout (60 s): the task could not be started."
    )
    assert ec2.started == []


def test_a_call_that_may_have_been_lost_is_not_repeated_at_the_deadline(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    record = opened(ledger, request(ServiceTimeout="60"))
    ec2.obstacle = PassingFault("cut off")
    with pytest.raises(PassingFault):
        life.drive(record)
    ec2.obstacle = None
    clock.now = record.deadline

    assert isinstance(life.drive(stored_record(ledger, record), lambda: None), Failed)
    assert ec2.started == []


def test_a_rollback_is_answered_at_its_deadline_although_the_work_before_runs_on(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    before = answered_bundle(life, ledger, ec2)
    life.drive(opened(ledger, request("Update", "r2", "bun-1", Storage=ELSEWHERE)))
    back = opened(ledger, request("Update", "r3", "bun-1", ServiceTimeout="60"))
    assert isinstance(life.drive(back), Pending)
    clock.now = back.deadline

    assert life.drive(back, lambda: None) == before


def test_the_reason_of_an_update_names_the_ami_that_is_not_available_in_time(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock
) -> None:
    """The Reason names the fault that the last poll met."""
    with_image(life, ledger, ec2)
    record = update_image(ledger, "r2", WEB, OTHER)
    ec2.obstacle = NothingDone("the AMI ami-registered2 is not available yet")
    with pytest.raises(NothingDone):
        life.drive(record)
    clock.now = record.deadline

    with pytest.raises(NothingDone):
        life.drive(stored_record(ledger, record), lambda: None)


def answered_bundle(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> Done:
    """A bundle bun-1 at `web`, finished and answered."""
    answer = stored_record(ledger, completed(life, ledger, ec2)).answer
    assert isinstance(answer, Done)
    return answer
