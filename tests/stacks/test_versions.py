"""`OnDelete: Delete` in buckets with versions and with Object Lock."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .support import MARK, Aws, Observers, created, deleted, shared, side_by_side, wait_for
from .test_no_harm import delete_failed, logged

Versions = dict[str, list[str]]
Make = Callable[[Aws, str], tuple[str, str]]


@pytest.fixture(scope="session")
def permitted(of_all_workers: Path) -> Iterator[Aws]:
    """A sandbox whose application may remove versions."""
    with shared(of_all_workers / "versions-sandbox", {"AllowVersionDeletion": "true"}) as ready:
        yield Aws(ready, Observers(ready["endpoint"]))


def new_bucket(aws: Aws, status: str = "Enabled", *, locks: bool = False) -> str:
    name = f"versions-{uuid.uuid4().hex}"
    aws.clients.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
    if not locks:
        versioning: Any = {"Status": status}
        aws.clients.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
    return name


def versions(aws: Aws, bucket: str) -> Versions:
    """The version IDs in a bucket by their keys, those of delete markers included."""
    found: Versions = {}
    for page in aws.clients.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            found.setdefault(each["Key"], []).append(each["VersionId"])
    return found


def template(aws: Aws, instance: str, s3: dict[str, str], **properties: Any) -> dict[str, Any]:
    given = {
        "ServiceToken": aws.ready["service_token"],
        "InstanceId": instance,
        "Storage": {"S3": s3},
        "OnDelete": "Delete",
    }
    return {
        "Resources": {
            "Bundle": {"Type": "Custom::InstanceBundle", "Properties": given | properties}
        },
        "Outputs": {"Ref": {"Value": {"Ref": "Bundle"}}},
    }


def bundled(aws: Aws, bucket: str) -> tuple[str, str]:
    """The ID of a new stack of a bundle, and the instance's."""
    instance = aws.instance(seconds="1")
    stack_id, _ = created(aws, template(aws, instance, {"Bucket": bucket, "Prefix": "team/web"}))
    return stack_id, instance


def stored(aws: Aws, bucket: str) -> tuple[str, str]:
    """The same of a stored image, which is marked as one of the instance."""
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")
    image = {"Tags": [{"Key": MARK, "Value": instance}]}
    body = template(aws, instance, {"Bucket": bucket}, Method="StoreImage", Image=image)
    return created(aws, body)[0], instance


METHODS: tuple[Make, ...] = (bundled, stored)


def test_no_version_is_left(permitted: Aws) -> None:
    side_by_side(
        *(partial(_removed, permitted, make, "Enabled") for make in METHODS),
        *(partial(_removed, permitted, make, "Suspended") for make in METHODS),
        *(partial(_below_what_others_put, permitted, make) for make in METHODS),
        partial(_unfinished, permitted),
    )


def test_what_object_lock_protects_stays_whole_until_it_no_longer_does(permitted: Aws) -> None:
    side_by_side(
        *(partial(_held, permitted, make) for make in METHODS),
        *(partial(_retained, permitted, make) for make in METHODS),
        partial(_unfinished_with_default_retention, permitted),
    )


def test_without_the_permission_versions_are_kept_and_named(aws: Aws) -> None:
    side_by_side(*(partial(_kept, aws, make) for make in METHODS))


def _removed(aws: Aws, make: Make, status: str) -> None:
    bucket = new_bucket(aws, status)
    stack_id, instance = make(aws, bucket)
    assert versions(aws, bucket)

    deleted(aws, stack_id)

    assert versions(aws, bucket) == {}
    assert (aws.images(instance), aws.snapshots(instance)) == ([], set())


def _below_what_others_put(aws: Aws, make: Make) -> None:
    bucket = new_bucket(aws)
    stack_id, _ = make(aws, bucket)
    s3, others = aws.clients.s3, {}
    for key in versions(aws, bucket):
        newer = s3.put_object(Bucket=bucket, Key=key, Body=b"another tool's")["VersionId"]
        others[key] = [newer, s3.delete_object(Bucket=bucket, Key=key)["VersionId"]]

    deleted(aws, stack_id)

    left = {key: sorted(ids) for key, ids in versions(aws, bucket).items()}
    assert left == {key: sorted(ids) for key, ids in others.items()}


def _unfinished(aws: Aws) -> None:
    bucket = new_bucket(aws)

    deleted(aws, _hanging(aws, bucket))

    assert versions(aws, bucket) == {}


def _hanging(aws: Aws, bucket: str) -> str:
    """The ID of a stack whose bundle hangs after its first part."""
    instance = aws.instance(outcome="hang")
    stack_id = aws.create_stack(template(aws, instance, {"Bucket": bucket, "Prefix": "team/web"}))
    wait_for(lambda: aws.tasks(instance) or None, "the task")
    aws.clients.s3.put_object(Bucket=bucket, Key="team/web.part.0", Body=b"a part")
    return stack_id


def _held(aws: Aws, make: Make) -> None:
    bucket = new_bucket(aws, locks=True)
    stack_id, instance = make(aws, bucket)
    there = versions(aws, bucket)
    key = [*there][-1]
    place: Any = {"Bucket": bucket, "Key": key, "VersionId": there[key][0]}
    aws.clients.s3.put_object_legal_hold(**place, LegalHold={"Status": "ON"})

    _stays_whole(aws, stack_id, instance, f"{key} (version {there[key][0]}) until its legal hold")

    aws.clients.s3.put_object_legal_hold(**place, LegalHold={"Status": "OFF"})
    deleted(aws, stack_id)
    assert versions(aws, bucket) == {}


def _stays_whole(aws: Aws, stack_id: str, instance: str, locked: str) -> None:
    """A Delete is refused, names what is locked, and removes nothing."""
    properties = aws.clients.cloudformation.get_template(StackName=stack_id)["TemplateBody"]
    bucket = properties["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"]

    def there() -> Any:
        return aws.images(instance), aws.snapshots(instance), versions(aws, bucket)

    before = there()
    reason = delete_failed(aws, stack_id)
    assert f"Object Lock protects s3://{bucket}/" in reason
    assert locked in reason
    assert "nothing was removed" in reason
    assert there() == before


def _retained(aws: Aws, make: Make) -> None:
    """By the bucket's default, and until somebody who may bypass it removes the retention."""
    bucket = new_bucket(aws, locks=True)
    _set_default_retention(aws, bucket)
    stack_id, instance = make(aws, bucket)
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    _stays_whole(aws, stack_id, instance, f" until {tomorrow:%Y-%m-%dT}")

    for key, ids in versions(aws, bucket).items():
        place: Any = {"Bucket": bucket, "Key": key, "VersionId": ids[0]}
        none: Any = {}
        aws.clients.s3.put_object_retention(**place, Retention=none, BypassGovernanceRetention=True)
    deleted(aws, stack_id)
    assert versions(aws, bucket) == {}


def _set_default_retention(aws: Aws, bucket: str) -> None:
    configuration: Any = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
    }
    aws.clients.s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration=configuration
    )


def _unfinished_with_default_retention(aws: Aws) -> None:
    """Leftovers do not fail the Delete of work that was not finished."""
    bucket = new_bucket(aws, locks=True)
    _set_default_retention(aws, bucket)

    deleted(aws, _hanging(aws, bucket))

    assert [*versions(aws, bucket)] == ["team/web.part.0"]
    assert logged(aws, "Object Lock protects leftovers: kept", "team/web.part.0")


def _kept(aws: Aws, make: Make) -> None:
    bucket = new_bucket(aws)
    stack_id, _ = make(aws, bucket)
    before = versions(aws, bucket)

    deleted(aws, stack_id)

    after = versions(aws, bucket)
    assert all({*ids} < {*after[key]} for key, ids in before.items())
    assert "Contents" not in aws.clients.s3.list_objects_v2(Bucket=bucket)
    command = f"aws s3api list-object-versions --bucket {bucket}"
    assert logged(aws, "AllowVersionDeletion is false", command)
