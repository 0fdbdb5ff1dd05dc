"""Texts that nearly are CloudFormation's URLs: urllib3 sends no answer anywhere else."""

import re
import sys
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from instance_bundle.request.response_url import may_be_answered

ORIGIN = "http://127.0.0.1:4580"
KEY = "arn%3Aaws%3Acloudformation%3Aus-east-1%3A123456789012%3Astack/web/2d213470%7CBundle%7C5c8b"
SIGNED = "?X-Amz-Date=20261124T065541Z&X-Amz-SignedHeaders=host&X-Amz-Signature=1984"
RESPONSES = "cloudformation-custom-resource-response"
WAITS = "cloudformation-waitcondition"
BUCKETS_AND_HOSTS = [
    (f"{RESPONSES}-useast1", "s3.amazonaws.com"),
    (f"{RESPONSES}-useast1", "s3.us-east-1.amazonaws.com"),
    (f"{RESPONSES}-uswest2", "s3-us-west-2.amazonaws.com"),
    (f"{RESPONSES}-euwest1", "s3.dualstack.eu-west-1.amazonaws.com"),
    (f"{RESPONSES}-usgovwest1", "s3-fips.us-gov-west-1.amazonaws.com"),
    (f"{RESPONSES}-cnnorth1", "s3.cn-north-1.amazonaws.com.cn"),
    (f"{RESPONSES}-euscdeeast1", "s3.eusc-de-east-1.amazonaws.eu"),
    (f"{WAITS}-us-east-1", "s3.amazonaws.com"),
    (f"{WAITS}-eu-west-3", "s3.eu-west-3.amazonaws.com"),
    (f"{WAITS}-us-iso-east-1", "s3.us-iso-east-1.c2s.ic.gov"),
]
PORTS = ("", ":443")
GOOD = [
    url
    for bucket, host in BUCKETS_AND_HOSTS
    for port in PORTS
    for url in (
        f"https://{bucket}.{host}{port}/{KEY}{SIGNED}",
        f"https://{host}{port}/{bucket}/{KEY}{SIGNED}",
    )
]

# Where an answer may go, decided independently of the implementation: by a bucket's name, and by an
# endpoint of the bucket's region.
REGION = r"(?P<region>(?:us|eu|eusc|ap|sa|ca|me|af|il|mx|cn)-[a-z0-9-]+-[0-9]+)"
SUFFIX = (
    r"(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov"
    r"|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
ENDPOINT = re.compile(rf"s3(?:-fips)?(?:(?:\.|\.dualstack\.|-){REGION})?\.{SUFFIX}")

# What parsers trip over, in addition to any character.
PIECES = [
    *("/", "//", "\\", "?", "#", "@", ":", ":80", ".", "..", "/../", "/./", "/.", "x/../"),
    *("%", "%2e", "%2F", "%2e%2E", "%40", "%5C", "%00", "%0d%0a", " ", "\t", "\n", "\0"),
    *("[", "]", "[::1]", ";", "evil.example", "@evil.example", "evil.", ".evil", "-evil"),
    *("-", "1", "X", "169.254.169.254", "us-east-1", "useast1", "s3.", "amazonaws.com", ".cn"),
    *("\u3002", "\uff0f", "\u017f", "\u00ad", "\ud800", "http://", "https://", "/x/"),
]


def assert_is_of_cloudformation(bucket: str, endpoint: str) -> None:
    named = ENDPOINT.fullmatch(endpoint)
    assert named, endpoint
    if named["region"] is None:
        assert re.fullmatch(rf"{RESPONSES}-[a-z]+\d|{WAITS}-[a-z]+-[a-z]+-\d", bucket)
        assert endpoint == "s3.amazonaws.com"
    else:
        bare = named["region"].replace("-", "")
        assert bucket in (f"{RESPONSES}-{bare}", f"{WAITS}-{named['region']}")


def assert_is_sent_to_cloudformation(url: str) -> None:
    """Follow urllib3: which host it connects to, and which path it asks for there."""
    parts = parse_url(url)
    assert parts.scheme == "https"
    assert parts.auth is None
    assert parts.port in (None, 443)
    assert parts.fragment is None
    host, path = parts.host or "", parts.path or ""
    if host.startswith("cloudformation-"):
        bucket, _, endpoint = host.partition(".")
    else:
        endpoint = host
        _, bucket, key = path.split("/", 2)
        assert key
    assert_is_of_cloudformation(bucket, endpoint)
    # The host and the bucket are in the text as urllib3 sends them, and no segment was resolved.
    assert url.startswith(f"https://{host}")
    written = url.partition("?")[0].removeprefix("https://").partition("/")[2]
    assert written
    assert path.lower() == f"/{written}".lower()


def piece(chance: Random) -> str:
    """What parsers trip over, or up to three characters of any kind."""
    if chance.random() < 0.5:
        return chance.choice(PIECES)
    return "".join(chr(chance.randrange(sys.maxunicode + 1)) for _ in range(chance.randrange(4)))


def mutated(chance: Random, url: str) -> str:
    """A URL after some insertions, replacements and deletions."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        seams = [match.end() for match in re.finditer(r"^|[/.:?]+|(?=[/.:?])|$", url)]
        where = chance.choice([chance.choice(seams), chance.randint(0, len(url))])
        skipped = chance.choice([0, 0, 0, 1, 2, 5])
        url = url[:where] + chance.choice([piece(chance), ""]) + url[where + skipped :]
    return url


def reassembled(chance: Random) -> str:
    """Parts of CloudFormation's URLs in an order of their own, with pieces between them."""
    bucket, host = chance.choice(BUCKETS_AND_HOSTS)
    other_bucket, other_host = chance.choice(BUCKETS_AND_HOSTS)
    parts = ["https://", bucket, ".", host, "/", other_bucket, other_host, KEY, SIGNED, ""]
    drawn = [chance.choice([parts, PIECES]) for _ in range(chance.randrange(9))]
    return "https://" + "".join(chance.choice(each) for each in drawn)


# Hypothesis would take as long for one URL as these take for fifty.
CHANCE = st.integers().map(Random)
AT_ONCE = 50


@given(CHANCE)
def test_what_may_be_answered_is_sent_to_cloudformation(chance: Random) -> None:
    for _ in range(AT_ONCE):
        for url in (mutated(chance, chance.choice(GOOD)), reassembled(chance)):
            if may_be_answered(url, None):
                assert_is_sent_to_cloudformation(url)


@given(
    st.sampled_from(BUCKETS_AND_HOSTS),
    st.sampled_from(PORTS),
    st.booleans(),
    st.from_regex(r"(/[A-Za-z0-9~_-]([A-Za-z0-9._~-]|%3A|%7C|%2F[a-z])*){1,4}", fullmatch=True),
)
def test_any_key_of_cloudformations_may_be_answered(
    place: tuple[str, str], port: str, hosted: bool, path: str
) -> None:
    bucket, host = place
    address = f"{bucket}.{host}{port}" if hosted else f"{host}{port}/{bucket}"
    url = f"https://{address}{path}"

    assert may_be_answered(url, None)
    assert_is_sent_to_cloudformation(url)


@given(CHANCE)
def test_what_may_be_answered_in_a_sandbox_is_sent_there(chance: Random) -> None:
    for _ in range(AT_ONCE):
        url = mutated(chance, f"{ORIGIN}/{RESPONSES}-us-east-1/{KEY}{SIGNED}")
        assert not may_be_answered(url, None)
        if may_be_answered(url, ORIGIN):
            parts = parse_url(url)
            assert (parts.scheme, parts.auth, parts.host, parts.port, parts.fragment) == (
                *("http", None, "127.0.0.1", 4580, None),
            )


@given(
    st.text() | st.text(st.characters()) | st.binary().map(lambda raw: raw.decode("latin-1")),
    st.sampled_from([None, "", ORIGIN]) | st.text(),
)
def test_any_text_is_taken_or_refused(url: str, origin: str | None) -> None:
    assert may_be_answered(url, origin) in (True, False)
    assert may_be_answered(f"https://{url}", None) is False
