"""Which versions go with a bundle, in buckets with versions and with Object Lock."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from instance_bundle import aws
from instance_bundle.aws import bundle_objects, objects
from instance_bundle.aws.objects import Written
from instance_bundle.errors import Denied, Doubtful, PassingFault, Unsuitable
from instance_bundle.methods import Bundle, BundleInstance, StoreImage, Task
from instance_bundle.request import Location, Target
from instance_bundle.settings import Limits
from sandbox.ec2 import api as ec2
from sandbox.upstream import conditional_deletes, object_locks, object_versions

from .test_manifest import identity

HERE = Location("images", "team/web")
START = "2027-01-15T08:00:00Z"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
ON, OFF = Limits(deletes_versions=True), Limits()
IMAGE = "ami-0123456789abcdef0"
KEPT = "Versions are kept"


@pytest.fixture(autouse=True)
def clock(cloud: None) -> Iterator[time_machine.Traveller]:
    with ExitStack() as patches:
        for each in (object_locks, object_versions, conditional_deletes):
            patches.enter_context(each.enforced())
        patches.enter_context(ec2.install(time.time, delay=0))
        traveller = patches.enter_context(time_machine.travel(NOW + 1, tick=False))
        aws.s3().create_bucket(Bucket="images")
        set_versioning("Enabled")
        yield traveller


@pytest.fixture
def lockable(clock: time_machine.Traveller) -> None:
    aws.s3().put_object_lock_configuration(
        Bucket="images", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )


def set_versioning(status: str) -> None:
    configuration: Any = {"Status": status}
    aws.s3().put_bucket_versioning(Bucket="images", VersioningConfiguration=configuration)


def put(key: str, body: bytes = b"x") -> str:
    answer = aws.s3().put_object(Bucket="images", Key=key, Body=body)
    return answer.get("VersionId", "null")


def listed() -> dict[str, list[str]]:
    """The version IDs in the bucket, those of delete markers included, by their keys."""
    found: dict[str, list[str]] = {}
    for page in aws.s3().get_paginator("list_object_versions").paginate(Bucket="images"):
        for each in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            found.setdefault(each["Key"], []).append(each["VersionId"])
    return found


def finish(*parts: str) -> Bundle:
    """Write a bundle as EC2 does; the bundle, as the ledger stores it."""
    for part in parts:
        put(f"team/{part}")
    put("team/web.manifest.xml", identity(*parts))
    written = bundle_objects.finished(HERE, START)
    assert written is not None
    started = {"StartTime": START}
    return Bundle("bun-1", "r1", HERE, written.etag, attributes=started, version=written.version)


def store() -> Bundle:
    put(f"{IMAGE}.bin")
    written = StoreImage(ON).finished(HERE, Task(IMAGE, "complete", "", "", START, START))
    assert written is not None
    return Bundle(IMAGE, "r1", HERE, written.etag, version=written.version)


def delete(made: Bundle, limits: Limits = ON) -> None:
    """As a Delete does."""
    method = BundleInstance(limits) if made.physical_id.startswith("bun-") else StoreImage(limits)
    method.remove(method.removable(made))


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
def test_no_version_of_a_bundle_is_left_and_those_of_others_are(
    clock: time_machine.Traveller, versioning: str
) -> None:
    clock.move_to(NOW - 60)
    older = put("team/web.part.0", b"an earlier bundle's")
    clock.move_to(NOW + 1)
    set_versioning(versioning)
    made = finish("web.part.0", "web.part.1")
    foreign = put("team/web.part.9")
    assert made.version

    delete(made)

    assert listed() == {"team/web.part.0": [older], "team/web.part.9": [foreign]}


@pytest.mark.parametrize("make", [lambda: finish("web.part.0"), store])
@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
@pytest.mark.parametrize("known", [True, False])
def test_no_version_is_left_also_of_what_earlier_versions_of_the_application_stored(
    make: Any, versioning: str, *, known: bool
) -> None:
    set_versioning(versioning)
    made = make()
    if not known:
        made = Bundle(made.physical_id, "r1", HERE, made.etag, attributes=made.attributes)

    delete(made)

    assert listed() == {}


@pytest.mark.parametrize("make", [lambda: finish("web.part.0"), store])
@pytest.mark.parametrize("known", [True, False])
def test_a_newer_version_and_a_delete_marker_of_others_stay(
    clock: time_machine.Traveller, make: Any, *, known: bool
) -> None:
    made = make()
    if not known:
        made = Bundle(made.physical_id, "r1", HERE, made.etag, attributes=made.attributes)
    clock.shift(60)
    keys = [*listed()]
    newer = {keys[0]: [put(keys[0], b"another's")]}
    for key in keys:
        marker = aws.s3().delete_object(Bucket="images", Key=key)["VersionId"]
        newer[key] = [*newer.get(key, []), marker]

    delete(made)

    assert listed() == newer


@pytest.mark.parametrize("make", [lambda: finish("web.part.0"), store])
def test_a_bucket_without_versions_is_as_before(make: Any) -> None:
    aws.s3().delete_bucket(Bucket="images")
    aws.s3().create_bucket(Bucket="images")
    made = make()
    assert made.version == ""

    delete(made)

    assert listed() == {}


@pytest.mark.parametrize("make", [lambda: finish("web.part.0", "web.part.1"), store])
def test_without_the_permission_versions_are_kept_and_named_once(
    caplog: pytest.LogCaptureFixture, make: Any
) -> None:
    made = make()
    there = {key: {*ids} for key, ids in listed().items()}

    delete(made, OFF)

    assert all(ids < {*listed()[key]} for key, ids in there.items())
    assert "Contents" not in aws.s3().list_objects_v2(Bucket="images")
    [line] = [each for each in caplog.records if KEPT in each.message]
    assert "AllowVersionDeletion is false" in line.message
    assert line.__dict__["version"] == made.version
    assert line.__dict__["objects"] == len(there)
    assert "aws s3api list-object-versions --bucket images" in line.__dict__["shown_by"]


def test_where_versioning_is_suspended_a_deletion_keeps_no_version(
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_versioning("Suspended")
    made = finish("web.part.0")

    delete(made, OFF)

    assert KEPT not in caplog.text
    assert {version for ids in listed().values() for version in ids} == {"null"}


@pytest.mark.parametrize("make", [lambda: finish("web.part.0"), store])
def test_a_delete_marker_that_has_taken_the_place_of_the_version_stays(make: Any) -> None:
    set_versioning("Suspended")
    made = make()
    for key in [*listed()]:
        aws.s3().delete_object(Bucket="images", Key=key)
    there = listed()

    delete(made)

    assert listed() == there


def test_an_interrupted_removal_is_continued(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.move_to(NOW - 60)
    older = put("team/web.part.0")
    clock.move_to(NOW + 1)
    made = BundleInstance(ON).removable(finish("web.part.0"))
    with monkeypatch.context() as patch:
        patch.setattr(aws.s3(), "delete_objects", _after_the_first(aws.s3().delete_objects))
        with pytest.raises(PassingFault):
            BundleInstance(ON).remove(made)
    assert listed().keys() == {"team/web.part.0", "team/web.manifest.xml"}

    for _ in range(2):
        BundleInstance(ON).remove(made)

    assert listed() == {"team/web.part.0": [older]}


def _after_the_first(call: Any) -> Any:
    calls: list[Any] = []

    def fail(**given: Any) -> Any:
        calls.append(given)
        if len(calls) > 1:
            raise PassingFault("cut off")
        return call(**given)

    return fail


def test_more_versions_than_one_call_takes_are_removed() -> None:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    names = [f"web.part.{number}" for number in range(1003)]
    for name in names:
        backend.put_object("images", f"team/{name}", b"x")

    delete(finish("web.part.0", *names[1:]))

    # What was written twice since the task began is the task's.
    assert listed() == {}


def test_leftovers_are_versions_that_are_newer_than_the_tasks_start(
    clock: time_machine.Traveller,
) -> None:
    clock.move_to(NOW - 60)
    older = put("team/web.part.0")
    clock.move_to(NOW + 1)
    put("team/web.part.0")
    put("team/web.part.1")
    foreign = put("team/web.part.17")

    sweep(ON, "cancelled")

    assert listed() == {"team/web.part.0": [older], "team/web.part.17": [foreign]}


def sweep(limits: Limits, phase: Any) -> None:
    target = Target("BundleInstance", "r1", "i-1", HERE)
    task = Task("bun-1", phase, "", "", START, START)
    BundleInstance(limits).remove_leftovers(target, task)


def test_leftovers_of_a_finished_task_leave_no_version() -> None:
    finish("web.part.0")

    sweep(ON, "complete")

    assert listed() == {}


def test_of_leftovers_too_versions_are_named_that_are_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    put("team/web.part.0")

    sweep(OFF, "cancelled")

    assert KEPT in caplog.text


@pytest.mark.parametrize("make", [lambda: finish("web.part.0"), store])
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE", "legal hold"])
def test_what_object_lock_protects_stays_whole_until_it_no_longer_does(
    clock: time_machine.Traveller, lockable: None, make: Any, mode: str
) -> None:
    made = make()
    there = listed()
    key = [*there][-1]  # the part, or the one object
    place: Any = {"Bucket": "images", "Key": key, "VersionId": there[key][0]}
    if mode == "legal hold":
        aws.s3().put_object_legal_hold(**place, LegalHold={"Status": "ON"})
        until = "until its legal hold is removed"
    else:
        end = datetime.fromtimestamp(NOW, UTC) + timedelta(days=1)
        retention: Any = {"Mode": mode, "RetainUntilDate": end}
        aws.s3().put_object_retention(**place, Retention=retention)
        until = f"until 2027-01-16T08:00:00Z (mode {mode})"

    with pytest.raises(Unsuitable) as refused:
        delete(made)

    reason = str(refused.value)
    assert f"s3://images/{key} (version {there[key][0]}) {until}" in reason
    assert "nothing was removed" in reason
    assert "delete again; or retain the resource" in reason
    assert listed() == there
    clock.shift(2 * 86400)
    if mode == "legal hold":
        aws.s3().put_object_legal_hold(**place, LegalHold={"Status": "OFF"})
    delete(made)
    assert listed() == {}


def test_a_lock_that_comes_after_the_check_is_no_success(lockable: None) -> None:
    made = BundleInstance(ON).removable(finish("web.part.0"))
    hold("team/web.part.0", "ON")

    with pytest.raises(Unsuitable, match=r"protects team/web\.part\.0, and what it"):
        BundleInstance(ON).remove(made)

    assert listed().keys() == {"team/web.part.0", "team/web.manifest.xml"}
    hold("team/web.part.0", "OFF")
    delete(made)
    assert listed() == {}


def hold(key: str, status: Any) -> None:
    aws.s3().put_object_legal_hold(Bucket="images", Key=key, LegalHold={"Status": status})


@pytest.mark.parametrize("phase", ["complete", "failed"])
def test_leftovers_that_object_lock_protects_are_kept_and_named(
    lockable: None, caplog: pytest.LogCaptureFixture, phase: str
) -> None:
    put("team/web.part.0")
    if phase == "complete":
        finish("web.part.0")
    hold("team/web.part.0", "ON")

    sweep(ON, phase)

    assert "team/web.part.0" in listed()
    assert "Object Lock protects leftovers: kept" in caplog.text


def test_a_removal_whose_versions_may_not_be_listed_is_refused_before_anything_is_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = finish("web.part.0")
    there = listed()
    deny(monkeypatch, "ListObjectVersions")

    with pytest.raises(Doubtful, match="Allow s3:ListBucketVersions in the role"):
        BundleInstance(ON).removable(made)

    monkeypatch.undo()
    assert listed() == there


def test_whether_a_bucket_has_object_lock_may_be_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    made = finish("web.part.0")
    deny(monkeypatch, "GetObjectRetention")

    delete(made)

    monkeypatch.undo()
    assert listed() == {}


def deny(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    client: Any = aws.s3()
    call = client._make_api_call

    def answer(name: str, given: Any) -> Any:
        if name == operation:
            error = {"Code": "AccessDenied", "Message": "No."}
            metadata: Any = {"HTTPStatusCode": 403}
            denied: Any = {"Error": error, "ResponseMetadata": metadata}
            raise client.exceptions.ClientError(denied, name)
        return call(name, given)

    monkeypatch.setattr(client, "_make_api_call", answer)


def test_a_version_that_s3_does_not_delete_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    made = finish("web.part.0")
    key = "team/web.part.0"
    for answer, means in (
        ({"Errors": [{"Key": key, "Code": "AccessDenied", "Message": "Access Denied"}]}, Denied),
        ({}, PassingFault),
    ):
        monkeypatch.setattr(aws.s3(), "delete_objects", lambda answer=answer, **_: answer)
        with pytest.raises(means, match=r"s3:DeleteObjects|does not say"):
            BundleInstance(ON).remove(made)


def test_an_object_is_found_by_its_etag_or_its_version() -> None:
    first, second = put("web", b"1"), put("web", b"2")
    put("web2", b"1")
    found = objects.read("images", "web", first)
    assert found is not None

    assert objects.find("images", "web", Written(found.etag)) == Written(found.etag, first)
    assert objects.find("images", "web", Written("", first)) == found
    assert objects.find("images", "web", Written('"other"', second)) is None
    assert objects.find("images", "web", Written('"other"')) is None
    assert objects.find("images", "gone", found) is None
