"""A forecast is what the lifecycle does."""

from typing import Any

import pytest

from instance_bundle.lifecycle import Forecast, Planned, forecast
from instance_bundle.methods import Bundle
from instance_bundle.request import Location
from instance_bundle.request.properties import Properties
from instance_bundle.state import Resource, Tombstone

from .test_lifecycle import STACK, request

BASE: dict[str, Any] = request().properties
STORED = BASE | {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}


def bundle(properties: dict[str, Any] = BASE, id_: str = "bun-1", on_delete: str = "") -> Bundle:
    identity = Properties.parse(properties).identity
    return Bundle(id_, "r0", Location("images", "web"), identity=identity, on_delete=on_delete)


def said(
    kind: Any, new: dict[str, Any] | None = None, *bundles: Bundle, old: dict[str, Any] = BASE
) -> Forecast:
    resource = Resource((), bundles, (), ())
    physical_id = "" if kind == "Create" else bundles[0].physical_id
    return forecast(Planned(kind, physical_id, new, old), resource, STACK, "Bundle")


def test_a_create_makes_a_bundle_and_releases_what_was_retained() -> None:
    made = said("Create", BASE)
    assert (made.makes, made.instance, made.released) == (True, "shut down", ())
    assert said("Create", BASE, bundle()).released == (bundle(),)


@pytest.mark.parametrize(
    ("properties", "instance"),
    [
        (STORED, "rebooted"),
        (STORED | {"Image": {"NoReboot": True}}, "keeps running"),
        (BASE | {"DryRun": True}, ""),
    ],
)
def test_what_happens_to_the_instance_is_said(properties: dict[str, Any], instance: str) -> None:
    assert said("Create", properties).instance == instance


def test_an_update_of_the_identity_replaces() -> None:
    new = BASE | {"Storage": {"S3": {"Bucket": "images", "Prefix": "other"}}}

    found = said("Update", new, bundle())

    assert (found.makes, found.replaces, found.stays) == (True, bundle(), None)


def test_an_update_back_to_an_identity_releases_the_bundle_that_has_it() -> None:
    new = BASE | {"Storage": {"S3": {"Bucket": "images", "Prefix": "other"}}}
    was = bundle(new, "bun-0")

    found = said("Update", new, bundle(), was)

    assert (found.makes, found.released) == (True, (was,))


@pytest.mark.parametrize(
    ("base", "old", "new", "image"),
    [
        (BASE, None, None, ""),
        (BASE, None, {"Name": "one"}, "another"),
        (BASE, {"Name": "one"}, {"Name": "one", "Description": "d"}, "changed"),
        (BASE, {"Name": "one"}, {"Name": "one", "Architecture": "i386"}, "another"),
        (BASE, {"Description": "c"}, {"Description": "d"}, "another"),
        (BASE, {"Name": "one"}, None, "dropped"),
        (STORED, {"Description": "c"}, {"Description": "d"}, "changed"),
        (STORED, {"Description": "c"}, None, "changed"),
        (STORED, {}, {"ObjectTags": [{"Key": "a", "Value": "b"}]}, ""),
    ],
)
def test_an_update_in_place_is_about_the_ami_only(
    base: dict[str, Any], old: Any, new: Any, image: str
) -> None:
    before = base | ({} if old is None else {"Image": old})
    after = base | ({} if new is None else {"Image": new}) | {"OnDelete": "Delete"}

    found = said("Update", after, bundle(before), old=before)

    assert (found.makes, found.stays, found.image) == (False, bundle(before), image)


def test_invalid_properties_are_failed_with_all_problems() -> None:
    found = said("Update", BASE | {"InstanceId": "x", "Colour": "red"}, bundle())

    assert [problem.partition(":")[0] for problem in found.problems] == ["Colour", "InstanceId"]


@pytest.mark.parametrize(
    ("on_delete", "is_removed"),
    [("Delete", True), ("Retain", False), ("", False), ("RetainExceptOnCreate", False)],
)
def test_a_delete_removes_as_on_delete_says(on_delete: str, is_removed: bool) -> None:
    mine = bundle(on_delete=on_delete)

    found = said("Delete", None, mine, bundle(id_="bun-2", on_delete="Delete"))

    assert (found.removed, found.kept) == (((mine,), ()) if is_removed else ((), (mine,)))


def test_a_resource_that_was_deleted_is_not_updated() -> None:
    stone = Tombstone("bun-1", "20270115T080000Z", unseen=False)
    planned = Planned("Update", "bun-1", BASE, BASE)

    found = forecast(planned, Resource((), (), (), (stone,)), STACK, "Bundle")

    assert "A later request about this resource" in found.problems[0]
