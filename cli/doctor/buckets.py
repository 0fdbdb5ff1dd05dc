"""A bucket for bundles: its Region, whether the functions may use it, and its events."""

import json
import re
from collections.abc import Iterator

from cli.doctor.findings import Finding, aws, problem, warning
from cli.doctor.site import Site


def exists(site: Site, bucket: str) -> Iterator[Finding]:
    """Whether the bucket is there, in the Region of the application, and allowed by it.

    HeadBucket says in which Region a bucket is (Amazon S3 API Reference, HeadBucket).
    """
    found = site.reader.read(
        "s3:ListBucket",
        absent=("404", "NoSuchBucket"),
        Bucket=bucket,
        ExpectedBucketOwner=site.template.place.account,
    )
    region = site.template.place.region
    if found is None:
        yield problem(
            f"The bucket {bucket} does not exist.",
            "Requests that name it are FAILED.",
            aws("s3", "mb", f"s3://{bucket}"),
        )
    elif found.get("BucketRegion", region) != region:
        yield problem(
            f"The bucket {bucket} is in {found['BucketRegion']}, the application in {region}.",
            "EC2 writes to buckets of its own Region. Use another bucket, or install the"
            " application there.",
        )
    allowed = [name for name in site.template.parameters["AllowedBuckets"].split(",") if name]
    if allowed and not any(_fits(pattern, bucket) for pattern in allowed):
        yield problem(
            f"The parameter AllowedBuckets does not have {bucket}.",
            "Requests that name it are FAILED. Add it to the parameter, if stacks may use it.",
        )


def _fits(pattern: str, bucket: str) -> bool:
    """With * and ? as in IAM."""
    regex = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(regex, bucket) is not None


def events(site: Site, bucket: str) -> Iterator[Finding]:
    """Whether the bucket sends events to EventBridge.

    The correction has all that the bucket's configuration has now, since putting one replaces the
    whole of it (Amazon S3 API Reference, PutBucketNotificationConfiguration).
    """
    found = site.reader.read("s3:GetBucketNotification", absent=("NoSuchBucket",), Bucket=bucket)
    if found is None or "EventBridgeConfiguration" in found:
        return
    kept = {name: value for name, value in found.items() if name != "ResponseMetadata"}
    yield warning(
        f"The bucket {bucket} sends no events to EventBridge.",
        "Bundles in it are found by polls alone, so they end later. The command keeps the bucket's"
        " other notifications, as they are now.",
        aws(
            *("s3api", "put-bucket-notification-configuration", "--bucket", bucket),
            "--notification-configuration",
            json.dumps({**kept, "EventBridgeConfiguration": {}}),
        ),
    )


def ownership(site: Site, bucket: str) -> Iterator[Finding]:
    """Whether the bucket takes the ACL of bundles, which Method StoreImage does not need.

    A bucket with the setting "Bucket owner enforced" refuses requests that set an ACL (Amazon S3
    User Guide, Controlling ownership of objects and disabling ACLs for your bucket).
    """
    found = site.reader.read(
        "s3:GetBucketOwnershipControls",
        absent=("NoSuchBucket", "OwnershipControlsNotFoundError"),
        Bucket=bucket,
    )
    rules = (found or {}).get("OwnershipControls", {}).get("Rules", [])
    if any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules):
        yield warning(
            f"The bucket {bucket} has no ACLs: its Object Ownership is BucketOwnerEnforced.",
            "It takes images of StoreImage, and refuses bundles of BundleInstance.",
            aws(
                *("s3api", "put-bucket-ownership-controls", "--bucket", bucket),
                *("--ownership-controls", "Rules=[{ObjectOwnership=BucketOwnerPreferred}]"),
            ),
        )
