"""No identifier survives the replacement, in whatever text it is."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.record.replacement import Replacement

BEGAN = datetime(2026, 12, 1, tzinfo=UTC)

UUIDS = st.uuids().map(str)
ACCOUNTS = st.from_regex(r"\A[0-9]{12}\Z")
KEYS = st.from_regex(r"\A(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\Z")
SIGNATURES = st.from_regex(r"\A[0-9a-f]{64}\Z")
ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda address: address.exploded)
)

URLS = st.builds(
    lambda account, uuid, key, signature: (
        f"https://responses.s3.amazonaws.com/arn%3Aaws%3Acloudformation%3Aus-east-1%3A{account}"
        f"%3Astack%2Fone%2F{uuid}%7CBundle%7C{uuid}?X-Amz-Date=20261201T000000Z"
        f"&X-Amz-Credential={key}%2F20261201%2Fus-east-1%2Fs3%2Faws4_request"
        f"&X-Amz-Signature={signature}"
    ),
    *(ACCOUNTS, UUIDS, KEYS, SIGNATURES),
)
OLD_URLS = st.builds(
    lambda key, signature: (
        f"https://b.s3.amazonaws.com/k?AWSAccessKeyId={key}&Expires=1796083200"
        f"&Signature={quote(signature, safe='')}"
    ),
    *(KEYS, st.from_regex(r"\A[A-Za-z0-9+/]{27}=\Z")),
)
ARNS = st.builds(
    lambda account, uuid: f"arn:aws:cloudformation:us-east-1:{account}:stack/one/{uuid}",
    *(ACCOUNTS, UUIDS),
)
TEXTS = st.one_of(UUIDS, ACCOUNTS, KEYS, ADDRESSES, URLS, OLD_URLS, ARNS, st.just("Bundle"))
SENTENCES = st.lists(TEXTS, min_size=1, max_size=4).map(" and ".join)
JSON: st.SearchStrategy[Any] = st.recursive(
    SENTENCES | SENTENCES.map(lambda text: json.dumps({"in": text})),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SENTENCES, inner, max_size=3),
    max_leaves=6,
)

IDENTIFYING = re.compile(
    r"(?<!\d)\d{12}(?!\d)|[0-9a-f]{8}-[0-9a-f]{4}-|A(?:KIA|SIA|ROA|IDA)[A-Z0-9]{16}|[0-9a-f]{64}"
    r"|Signature=(?!\{)|Credential=(?!\{)|AWSAccessKeyId=(?!\{)"
    r"|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|(?:[0-9a-f]{4}:){7}"
)


def replaced(value: Any) -> Any:
    return Replacement({}, BEGAN).of(value)


@given(JSON)
def test_no_identifier_is_left(value: Any) -> None:
    assert IDENTIFYING.findall(json.dumps(replaced(value))) == []


@given(JSON)
def test_what_is_replaced_is_not_replaced_again(value: Any) -> None:
    assert replaced(replaced(value)) == replaced(value)


@given(st.lists(st.one_of(UUIDS, ACCOUNTS, KEYS), unique=True))
def test_the_same_text_has_the_same_placeholder_and_others_have_others(texts: list[str]) -> None:
    replacement = Replacement({}, BEGAN)
    first = replacement.of(texts)

    assert len(set(first)) == len(texts)
    assert replacement.of(texts) == first


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        (
            "arn:aws:lambda:us-east-1:111122223333:function:cfn-recorder-0123abcd-Function-1A2B3C4D5E6F",
            "arn:aws:lambda:us-east-1:{account-1}:function:{function}",
        ),
        ("cfn-recorder-0123abcd-create", "cfn-recorder-{run}-create"),
        ("shop-Bundle-1QME47VHTNAA", "shop-Bundle-{suffix-1}"),
        ("2026-12-01T00:00:02.500000+00:00", "{time+2.500}"),
        ("Bundle-CREATE_COMPLETE-2026-12-01T00:00:01.250Z", "Bundle-CREATE_COMPLETE-{time+1.250}"),
        ("http://127.0.0.1:4580/a", "http://{ip-1}:{port}/a"),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", None),
        ("Custom::Recorded of arn:aws:iam::aws:policy/ReadOnly, us-east-1", None),
        ("update-failed-rollback-disabled", None),
    ],
)
def test_a_text(text: str, becomes: str | None) -> None:
    known = {"cfn-recorder-0123abcd-Function-1A2B3C4D5E6F": "{function}", "0123abcd": "{run}"}

    assert Replacement(known, BEGAN).of(text) == (becomes or text)
