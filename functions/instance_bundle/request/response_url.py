"""Which URLs an answer may be PUT to (only CloudFormation's), and for which request each is."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

# The header of a PUT may have 8 KB (Amazon S3 User Guide, Working with object metadata).
_LONGEST = 8192

# One expression over the whole text, not a parser: urllib3 parses the URL again when the answer is
# sent. If two parsers differed, the answer would go to another host than the one that was checked.
# So the expression excludes everything that parsers treat differently, or normalise.
_CHARACTER = r"[A-Za-z0-9._~!$&'()*+,;=:@-]"
_ENCODED = r"%(?!2[Ee]|2[Ff]\.|5[Cc]|7[Ff])[2-7][0-9A-Fa-f]"  # no dot segment, \ or control
_SEGMENT = rf"(?!\.)(?:{_CHARACTER}|{_ENCODED})+"
_QUERY = rf"(?:\?(?:{_CHARACTER}|[/?]|%[0-9A-Fa-f]{{2}})*)?"
_TARGET = re.compile(rf"(?P<path>(?:/{_SEGMENT})+){_QUERY}")
_URL = re.compile(rf"https://(?P<host>[a-z0-9.-]+)(?::443)?(?P<path>(?:/{_SEGMENT})+){_QUERY}")

# The forms of Amazon S3's endpoints in each Region (AWS General Reference, Amazon S3 endpoints and
# quotas), and the endpoint without a Region.
_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9-]+)\.)?"
    r"(?P<service>s3(?:-fips)?)(?:(?:\.dualstack\.|[.-])(?P<region>[a-z]+(?:-[a-z]+)+-[0-9]+))?"
    r"\.(?P<suffix>[a-z][a-z0-9.-]+)"
)

_NEW_REGIONS_SUFFIX = "amazonaws.com"
_GLOBAL_ENDPOINT_SUFFIX = _NEW_REGIONS_SUFFIX

# The Regions that opened before March 20, 2019: the endpoint without a Region serves no later ones
# (Amazon S3 User Guide, Virtual hosting of general purpose buckets). For a future Region, anyone
# could have created a bucket in one of these with the name that CloudFormation's bucket will need.
_OF_GLOBAL_ENDPOINT = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1"),
    *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)

_KEY = re.compile(r"(?P<stack_id>arn:[^|]+)\|(?P<logical_id>[^|]+)\|(?P<request_id>[^|]+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A Region of a partition, such as us-gov-west-1 of aws-us-gov."""

    partition: str
    region: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The request that a ResponseURL is signed for, as its key names it."""

    stack_id: str
    logical_id: str
    request_id: str


def may_be_answered(url: str, allowed_origin: str | None) -> bool:
    """Whether a ResponseURL is one of CloudFormation's, so that an answer may be PUT to it.

    It must be an HTTPS URL of an object in one of the buckets that CloudFormation has in each
    Region: `cloudformation-custom-resource-response-<region>`, with the Region's hyphens removed,
    or `cloudformation-waitcondition-<region>`, with its hyphens (CloudFormation User Guide, Access
    CloudFormation using an interface endpoint). Anyone can create a bucket whose name only begins
    like that. So the Region must be one that botocore lists, or that of this function
    (`AWS_REGION`), and the host an S3 endpoint of the Region in the bucket's name. The signature is
    not checked.

    Args:
        url: any text.
        allowed_origin: `scheme://host:port` that may be answered too; None on AWS.
    """
    return _path(url, allowed_origin) is not None or place(url) is not None


def place(url: str) -> Place | None:
    """Where the bucket of a URL of CloudFormation's is; None if the URL is not CloudFormation's."""
    parts = _URL.fullmatch(url) if len(url) <= _LONGEST else None
    host = _HOST.fullmatch(parts["host"]) if parts else None
    if parts is None or host is None:
        return None
    bucket, key = host["bucket"], parts["path"][1:]
    if bucket is None:
        bucket, _, key = key.partition("/")
    if not key:
        return None
    return _place(bucket, host["service"], host["region"], host["suffix"])


def subject(url: str, allowed_origin: str | None) -> Subject | None:
    """The request that a ResponseURL is signed for; None if its key does not name one.

    In public logs and in AWS's example, keys are `<stack ARN>|<logical ID>|<request ID>`,
    percent-encoded (AWS Lambda Developer Guide, Using AWS Lambda with CloudFormation). AWS does not
    specify this form, so a key in another form is not refused.

    Args:
        url: one that may be answered.
        allowed_origin: as for `may_be_answered`.
    """
    path = _path(url, allowed_origin)
    if path is None:
        parts = _URL.fullmatch(url)
        path = parts["path"] if parts else ""
    # The key follows the bucket, unless the host has the bucket; no bucket's name is like an ARN.
    key = unquote(path[1:])
    if not key.startswith("arn:"):
        key = key.partition("/")[2]
    named = _KEY.fullmatch(key)
    return Subject(**named.groupdict()) if named else None


def _path(url: str, origin: str | None) -> str | None:
    """The path of a URL of the allowed origin."""
    if not origin or len(url) > _LONGEST or not url.startswith(origin):
        return None
    target = _TARGET.fullmatch(url, len(origin))
    return target["path"] if target else None


def _place(bucket: str, service: str, region: str | None, suffix: str) -> Place | None:
    """Where a bucket is, if it is one of CloudFormation's, at one of S3's endpoints."""
    if region is None:
        if service != "s3" or suffix != _GLOBAL_ENDPOINT_SUFFIX:
            return None
        found = next((each for each in _OF_GLOBAL_ENDPOINT if bucket in _names(each)), None)
        return Place("aws", found) if found else None
    partition, own_suffix = _partitions(os.environ.get("AWS_REGION", "")).get(region, ("", ""))
    if suffix != own_suffix or bucket not in _names(region):
        return None
    return Place(partition, region)


def _names(region: str) -> tuple[str, str]:
    return (
        f"cloudformation-custom-resource-response-{region.replace('-', '')}",
        f"cloudformation-waitcondition-{region}",
    )


@cache
def _partitions(own_region: str) -> Mapping[str, tuple[str, str]]:
    """Name and DNS suffix of each Region's partition: for the Regions that botocore lists, and for
    this function's Region."""
    # Imported here, so that the rules for cfn-lint need no botocore for the formats of this room.
    from botocore.loaders import Loader

    partitions = Loader().load_data("partitions")["partitions"]
    found = {
        region: (partition["id"], partition["outputs"]["dnsSuffix"])
        for partition in partitions
        for region in (*partition["regions"], own_region)
        # This excludes pseudo-regions, such as aws-global, and this function's Region in others.
        if re.fullmatch(partition["regionRegex"], region)
    }
    if own_region not in found and re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9]+", own_region):
        # A form of Region that is newer than the data: its stacks must be answered too.
        found[own_region] = ("aws", _NEW_REGIONS_SUFFIX)
    return found
