"""Which URLs an answer may be PUT to: CloudFormation's own, and no other."""

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache

from botocore.loaders import Loader

# Amazon S3 takes a PUT's header up to 8 KB (Amazon S3 User Guide, Working with object metadata).
_LONGEST = 8192

# One expression over the whole text, not a parser: urllib3's reads the URL again when the answer
# is sent, and where two parsers differ, the second would go to another host than the first has
# seen. So whatever parsers differ about, or normalise, has no place in it.
_CHARACTER = r"[A-Za-z0-9._~!$&'()*+,;=:@-]"
_ENCODED = r"%(?!2[Ee]|2[Ff]\.|5[Cc]|7[Ff])[2-7][0-9A-Fa-f]"  # no dot segment, \ or control
_SEGMENT = rf"(?!\.)(?:{_CHARACTER}|{_ENCODED})+"
_QUERY = rf"(?:\?(?:{_CHARACTER}|[/?]|%[0-9A-Fa-f]{{2}})*)?"
_TARGET = re.compile(rf"(?:/{_SEGMENT})+{_QUERY}")
_URL = re.compile(
    rf"https://(?P<host>[a-z0-9.-]+)(?::443)?"
    rf"/(?P<first>{_SEGMENT})(?P<others>(?:/{_SEGMENT})*){_QUERY}"
)

# The regions that opened before March 20, 2019: the endpoint that names no region serves no later
# ones (Amazon S3 User Guide, Virtual hosting of general purpose buckets). With a region to come,
# it would lead to whoever has taken, in one of these, the name that CloudFormation's bucket needs.
_OF_GLOBAL_ENDPOINT = re.compile(
    "ap-(northeast-[123]|south-1|southeast-[12])|ca-central-1|eu-(central-1|north-1|west-[123])"
    "|sa-east-1|us-(east|west)-[12]"
)
_NEW_REGIONS_SUFFIX = "amazonaws.com"
_GLOBAL_ENDPOINT = f"s3.{_NEW_REGIONS_SUFFIX}"


def may_be_answered(url: str, allowed_origin: str | None) -> bool:
    """Whether a ResponseURL leads to CloudFormation, so that an answer may be PUT to it.

    It does where it is an HTTPS URL of an object in one of the buckets that CloudFormation has in
    each region: `cloudformation-custom-resource-response-<region>`, with a region without
    hyphens, and `cloudformation-waitcondition-<region>`, with them (CloudFormation User Guide,
    Access CloudFormation using an interface endpoint). Anyone can make a bucket whose name only
    begins so; hence the region must be one that botocore knows, or that of this function
    (`AWS_REGION`), and the host an endpoint of that region's (Amazon S3 endpoints and quotas, in
    the AWS General Reference). Whether the URL is signed is not looked at.

    Args:
        url: any text.
        allowed_origin: `scheme://host:port` that may be answered as well; None on AWS.
    """
    if len(url) > _LONGEST:
        return False
    return _is_of(allowed_origin, url) or _is_of_cloudformation(url)


def _is_of(origin: str | None, url: str) -> bool:
    if not origin or not url.startswith(origin):
        return False
    return _TARGET.fullmatch(url, len(origin)) is not None


def _is_of_cloudformation(url: str) -> bool:
    parts = _URL.fullmatch(url)
    if parts is None:
        return False
    buckets = _buckets(os.environ.get("AWS_REGION", ""))
    if parts["host"] in buckets:
        return True
    return f"{parts['host']}/{parts['first']}" in buckets and parts["others"] != ""


@cache
def _buckets(own_region: str) -> frozenset[str]:
    """All that a URL of CloudFormation's can have between `https://` and the object's key."""
    return frozenset(
        address
        for region, suffix in _dns_suffixes(own_region).items()
        for bucket in _names(region)
        for endpoint in _endpoints(region, suffix)
        for address in (f"{bucket}.{endpoint}", f"{endpoint}/{bucket}")
    )


def _names(region: str) -> tuple[str, str]:
    return (
        f"cloudformation-custom-resource-response-{region.replace('-', '')}",
        f"cloudformation-waitcondition-{region}",
    )


def _endpoints(region: str, suffix: str) -> Iterator[str]:
    for service in ("s3", "s3-fips"):
        yield f"{service}.{region}.{suffix}"
        yield f"{service}-{region}.{suffix}"
        yield f"{service}.dualstack.{region}.{suffix}"
    if _OF_GLOBAL_ENDPOINT.fullmatch(region):
        yield _GLOBAL_ENDPOINT


def _dns_suffixes(own_region: str) -> Mapping[str, str]:
    """Each region's DNS suffix: of the regions that botocore knows, and of this function's."""
    partitions = Loader().load_data("partitions")["partitions"]
    suffixes = {
        region: partition["outputs"]["dnsSuffix"]
        for partition in partitions
        for region in (*partition["regions"], own_region)
        # It matches no pseudo-region, such as aws-global, nor another partition's own region.
        if re.fullmatch(partition["regionRegex"], region)
    }
    if own_region not in suffixes and re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9]+", own_region):
        # A kind of region that is newer than the data: its stacks must not be left to wait.
        suffixes[own_region] = _NEW_REGIONS_SUFFIX
    return suffixes
