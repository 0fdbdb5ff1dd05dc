"""Removes what a run has made, and nothing else: stacks that have the run's name and its tag."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from tools.record.mailbox import Mailbox, put
from tools.record.playing import physical_id_of
from tools.record.site import PREFIX, TAG, Site

_ALIVE = [
    *("CREATE_IN_PROGRESS", "CREATE_FAILED", "CREATE_COMPLETE"),
    *("ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED", "ROLLBACK_COMPLETE"),
    *("DELETE_IN_PROGRESS", "DELETE_FAILED"),
    *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"),
    *("UPDATE_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"),
    *("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
]
"""All statuses but DELETE_COMPLETE and those of change sets and imports."""


APPLICATION = "application"
"""How the name of a smoke test's stack of the application ends: it has to be deleted after those
that need it, and leaves its ledger, a table, in whose name its own is."""


def runs(site: Site) -> set[str]:
    """The IDs of the runs that have stacks."""
    return {run for _, run in _tagged(site)}


def stacks(site: Site, run: str) -> dict[str, dict[str, Any]]:
    """The stacks of a run that are not deleted, by name, without nested ones."""
    return {stack["StackName"]: stack for stack, of in _tagged(site) if of == run}


def _tagged(site: Site) -> Iterator[tuple[dict[str, Any], str]]:
    """Each stack that a run has made, and the run."""
    client = site.client("cloudformation")
    for page in client.get_paginator("list_stacks").paginate(StackStatusFilter=_ALIVE):
        for summary in page["StackSummaries"]:
            if not summary["StackName"].startswith(f"{PREFIX}-"):
                continue
            [stack] = client.describe_stacks(StackName=summary["StackId"])["Stacks"]
            if "ParentId" in stack:
                continue
            for tag in stack.get("Tags", []):
                if tag["Key"] == TAG and stack["StackName"].startswith(f"{PREFIX}-{tag['Value']}"):
                    yield stack, tag["Value"]


def clean(
    site: Site,
    run: str,
    say: Callable[[str], None],
    mailbox: Mailbox | None = None,
    pause: float = 5,
    patience: float = 1200,
) -> list[str]:
    """Delete all stacks of a run, the recorder's own at last; what remained, for people to read.

    Args:
        site: where.
        run: its ID.
        say: takes lines for people to read.
        mailbox: of the run, if it is open. It has to be started.
        pause: seconds between two rounds.
        patience: seconds after which what is left is reported.
    """
    own = f"{PREFIX}-{run}"
    deadline = time.monotonic() + patience
    opened = mailbox or _mailbox(site, stacks(site, run).get(own))
    asked: dict[str, int] = {}
    try:
        while left := _next(stacks(site, run), own):
            if time.monotonic() > deadline:
                break
            if opened is not None:
                _answer_all(opened, pause)
            for name, stack in stacks(site, run).items():
                if name in left:
                    _delete(site, stack, asked, say)
            time.sleep(pause)
    finally:
        if opened is not None and mailbox is None:
            opened.close()
    if not left:
        _delete_images(site, run, say, pause, deadline)
        _delete_tables(site, run)
        _delete_own(site, stacks(site, run).get(own), pause, deadline)
    return remaining(site, run)


def remaining(site: Site, run: str) -> list[str]:
    """What there is of a run, for people to read."""
    return [
        *(f"stack {name}: {each['StackStatus']}" for name, each in stacks(site, run).items()),
        *(f"image {image_id}" for image_id in images(site, run)),
        *(f"snapshot {snapshot_id}" for snapshot_id in _snapshots(site, run)),
        *(f"table {table}" for table in _tables(site, run)),
    ]


def images(site: Site, run: str) -> list[str]:
    """The AMIs that have the run's tag."""
    found = site.client("ec2").describe_images(Owners=["self"], Filters=_of_run(run))
    return [image["ImageId"] for image in found["Images"]]


def _snapshots(site: Site, run: str) -> list[str]:
    found = site.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=_of_run(run))
    return [snapshot["SnapshotId"] for snapshot in found["Snapshots"]]


def _of_run(run: str) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{TAG}", "Values": [run]}]


def _tables(site: Site, run: str) -> list[str]:
    pages = site.client("dynamodb").get_paginator("list_tables").paginate()
    names = [name for page in pages for name in page["TableNames"]]
    return [name for name in names if name.startswith(f"{PREFIX}-{run}-{APPLICATION}-")]


def _delete_images(
    site: Site, run: str, say: Callable[[str], None], pause: float, deadline: float
) -> None:
    """Delete AMIs and snapshots that no stack has deleted. A snapshot is in use for a while after
    its AMI has gone, and EC2 may describe both for longer."""
    ec2 = site.client("ec2")
    while (left := [*images(site, run), *_snapshots(site, run)]) and time.monotonic() < deadline:
        for each in left:
            try:
                if each.startswith("ami-"):
                    ec2.deregister_image(ImageId=each)
                else:
                    ec2.delete_snapshot(SnapshotId=each)
            except ClientError as error:
                say(f"{each} is not deleted yet: {error}")
        time.sleep(pause)


def _delete_tables(site: Site, run: str) -> None:
    """Delete the ledger, which outlives its stack."""
    for table in _tables(site, run):
        site.client("dynamodb").delete_table(TableName=table)
        site.client("dynamodb").get_waiter("table_not_exists").wait(TableName=table)


def _next(found: dict[str, dict[str, Any]], own: str) -> set[str]:
    """The names of the stacks to be deleted now."""
    last = {own, f"{own}-{APPLICATION}"}
    return ({*found} - last) or ({*found} - {own})


def _mailbox(site: Site, own: dict[str, Any] | None) -> Mailbox | None:
    """A new mailbox for the queue of the recorder's own stack, if there is one."""
    url = outputs_of(own or {}).get("Queue")
    if url is None:
        return None
    mailbox = Mailbox(site.client("sqs"), url)
    mailbox.start()
    return mailbox


def _answer_all(mailbox: Mailbox, pause: float) -> None:
    """Answer SUCCESS to all requests that have come, until none comes for a while."""
    while True:
        try:
            request = mailbox.rest.get(timeout=pause)
        except queue.Empty:
            return
        try:
            put(request, "SUCCESS", physical_id_of(request), "")
        except HTTPError:
            continue
        mailbox.done(request)


def _delete(
    site: Site, stack: dict[str, Any], asked: dict[str, int], say: Callable[[str], None]
) -> None:
    """Delete a stack if that is possible now; the second time without what can't be deleted."""
    name, status = stack["StackName"], stack["StackStatus"]
    if status.endswith("_IN_PROGRESS") and status != "CREATE_IN_PROGRESS":
        return
    client = site.client("cloudformation")
    kept = {}
    if status == "DELETE_FAILED" and asked.get(name, 0):
        resources = client.describe_stack_resources(StackName=name)["StackResources"]
        failed = [r for r in resources if r["ResourceStatus"] == "DELETE_FAILED"]
        kept = {"RetainResources": [each["LogicalResourceId"] for each in failed]}
    if name not in asked:
        say(f"Deleting stack {name}")
    asked[name] = asked.get(name, 0) + 1
    try:
        client.delete_stack(StackName=name, **kept)
    except ClientError as error:
        say(f"{name} is not deleted yet: {error}")


def _delete_own(site: Site, own: dict[str, Any] | None, pause: float, deadline: float) -> None:
    """Empty the recorder's bucket, and delete the recorder's stack."""
    if own is None:
        return
    client = site.client("cloudformation")
    bucket = outputs_of(own).get("Bucket")
    if bucket is not None:
        empty(site, bucket)
    client.delete_stack(StackName=own["StackId"])
    while time.monotonic() < deadline:
        [stack] = client.describe_stacks(StackName=own["StackId"])["Stacks"]
        if stack["StackStatus"] in ("DELETE_COMPLETE", "DELETE_FAILED"):
            return
        time.sleep(pause)


def empty(site: Site, bucket: str) -> None:
    """Delete all objects of a bucket that has no versions."""
    s3 = site.client("s3")
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def outputs_of(stack: dict[str, Any]) -> dict[str, str]:
    """The outputs of a stack, as DescribeStacks has them."""
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
