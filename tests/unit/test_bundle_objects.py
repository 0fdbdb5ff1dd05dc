"""Which objects go with a bundle, in moto's S3."""

from collections.abc import Iterator

import pytest
import time_machine
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from instance_bundle import aws
from instance_bundle.aws import bundle_objects, objects
from instance_bundle.aws.objects import Written
from instance_bundle.errors import Denied, PassingFault, Unsuitable
from instance_bundle.request.properties import Location

from .test_manifest import BOMB, identity

HERE = Location("images", "team/web")
START = "2027-01-15T08:00:00Z"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


@pytest.fixture(autouse=True)
def clock(cloud: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        aws.s3().create_bucket(Bucket="images")
        yield traveller


def put(key: str, body: bytes = b"x") -> None:
    aws.s3().put_object(Bucket="images", Key=key, Body=body)


def keys() -> set[str]:
    listed = aws.s3().list_objects_v2(Bucket="images")
    return {item["Key"] for item in listed.get("Contents", [])}


def finish(*parts: str) -> Written:
    """Write a bundle as EC2 does; its manifest."""
    for part in parts:
        put(f"team/{part}")
    put("team/web.manifest.xml", identity(*parts))
    return manifest()


def manifest() -> Written:
    found = objects.read("images", "team/web.manifest.xml")
    assert found is not None
    return found


def test_a_bundle_goes_with_its_parts_and_nothing_else() -> None:
    written = finish("web.part.0", "web.part.1")
    others = {
        *("team/web.part.9", "team/web.part.0.bak", "team/web2.part.0", "team/web"),
        *("web.part.0", "team/web.manifest.xml.old"),
    }
    for other in others:
        put(other)

    bundle_objects.remove(HERE, written, START)

    assert keys() == others


def test_removing_it_again_does_nothing() -> None:
    written = finish("web.part.0")
    bundle_objects.remove(HERE, written, START)
    put("team/web.part.0")

    bundle_objects.remove(HERE, written, START)

    assert keys() == {"team/web.part.0"}


def test_a_bundle_that_another_has_overwritten_stays_whole() -> None:
    written = finish("web.part.0", "web.part.1")
    put("team/web.part.0", b"another's")
    put("team/web.manifest.xml", identity("web.part.0", "web.part.1") + b"\n")

    bundle_objects.remove(HERE, written, START)

    assert keys() == {"team/web.part.0", "team/web.part.1", "team/web.manifest.xml"}


def test_a_part_that_is_newer_than_the_manifest_is_anothers(
    clock: time_machine.Traveller,
) -> None:
    written = finish("web.part.0", "web.part.1")
    clock.shift(60)
    put("team/web.part.1", b"another bundle is being written")

    bundle_objects.remove(HERE, written, START)

    assert keys() == {"team/web.part.1"}


@pytest.mark.parametrize(
    "text", [BOMB, b"", identity("web.part.0")[:-9], identity("web.part.0") + b" " * 20_000_000]
)
def test_by_a_manifest_that_is_none_nothing_is_removed(text: bytes) -> None:
    put("team/web.part.0")
    put("team/web.manifest.xml", text)
    written = manifest()

    for act in (bundle_objects.require_removable, bundle_objects.remove):
        with pytest.raises(Unsuitable, match="does not show which objects are the bundle's"):
            act(HERE, written, START)

    assert keys() == {"team/web.part.0", "team/web.manifest.xml"}


def test_by_a_manifest_that_names_parts_elsewhere_nothing_is_removed() -> None:
    put("secrets/web.part.0")
    put("team/other.part.0")
    finish("web.part.0")
    put(
        "team/web.manifest.xml",
        identity("../secrets/web.part.0", "secrets/web.part.0", "other.part.0", "web.part.0"),
    )
    written = manifest()
    there = keys()

    with pytest.raises(Unsuitable, match="names 4 parts, of which 1 are known"):
        bundle_objects.remove(HERE, written, START)

    assert keys() == there


def test_more_parts_than_one_call_takes_are_removed() -> None:
    names = [f"web.part.{number}" for number in range(1003)]
    for name in names[1:]:
        # Through the API, each would take as long as many a test.
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("images", f"team/{name}", b"x")
    put("team/web.part.0")
    put("team/web.manifest.xml", identity(*names))
    assert len(keys()) == 1000  # as many as one call lists
    written = manifest()

    bundle_objects.remove(HERE, written, START)

    assert keys() == set()


def test_what_a_task_has_finished_is_not_what_was_written_since(
    clock: time_machine.Traveller,
) -> None:
    assert bundle_objects.finished(HERE, START) is None
    clock.move_to(NOW + 4)
    written = finish("web.part.0")
    assert bundle_objects.finished(HERE, START) == written

    clock.move_to(NOW + 60)
    finish("web.part.0")
    assert bundle_objects.finished(HERE, START) is None


def test_leftovers_are_parts_by_name_and_newer_than_the_tasks_start(
    clock: time_machine.Traveller,
) -> None:
    clock.move_to(NOW - 60)
    put("team/web.part.7")
    clock.move_to(NOW + 1)
    for key in ("web.part.0", "web.part.1", "web.part.1.bak", "web.part.x", "web2.part.0"):
        put(f"team/{key}")

    bundle_objects.remove_leftovers(HERE, START, versions=False)

    assert keys() == {
        *("team/web.part.7", "team/web.part.1.bak", "team/web.part.x", "team/web2.part.0")
    }


def test_a_part_after_a_gap_is_another_tools(
    clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    clock.move_to(NOW + 1)
    for number in ("0", "1", "02", "17"):
        put(f"team/web.part.{number}")

    bundle_objects.remove_leftovers(HERE, START, versions=False)

    assert keys() == {"team/web.part.02", "team/web.part.17"}
    assert "Parts after a gap are kept" in caplog.text


def test_where_there_is_a_manifest_nothing_is_left_over(clock: time_machine.Traveller) -> None:
    clock.move_to(NOW + 1)
    finish("web.part.0")

    bundle_objects.remove_leftovers(HERE, START, versions=False)

    assert keys() == {"team/web.part.0", "team/web.manifest.xml"}


def test_in_a_bucket_that_is_gone_nothing_is_left_over() -> None:
    nowhere = Location("nobodys-bucket", "team/web")

    bundle_objects.remove_leftovers(nowhere, START, versions=False)
    bundle_objects.remove(nowhere, Written('"tag"'), START)


@pytest.mark.parametrize(
    ("code", "meaning"), [("AccessDenied", Denied), ("SlowDown", PassingFault)]
)
def test_an_object_that_s3_does_not_remove_is_no_success(
    monkeypatch: pytest.MonkeyPatch, code: str, meaning: type[Exception]
) -> None:
    written = finish("web.part.0")
    error = {"Key": "team/web.part.0", "Code": code, "Message": "No."}
    monkeypatch.setattr(aws.s3(), "delete_objects", lambda **_: {"Errors": [error]})

    with pytest.raises(meaning, match="s3:DeleteObject"):
        bundle_objects.remove(HERE, written, START)


@pytest.mark.parametrize("code", ["PreconditionFailed", "NoSuchKey"])
def test_an_object_that_has_changed_or_gone_meanwhile_is_let_be(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    written = finish("web.part.0")
    asked: list[dict[str, str]] = []

    def refuse(**request: dict[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
        asked.extend(request["Delete"]["Objects"])
        return {"Errors": [{"Key": asked[-1]["Key"], "Code": code}]}

    monkeypatch.setattr(aws.s3(), "delete_objects", refuse)

    bundle_objects.remove(HERE, written, START)

    assert [item["Key"] for item in asked] == ["team/web.part.0", "team/web.manifest.xml"]
    assert all(item["ETag"] for item in asked)
