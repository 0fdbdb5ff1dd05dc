"""S3 asks IAM for each object, and for the bucket of an object that is missing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.authorization.conftest import SESSION, Account, code

BUCKET = "vault"
KEY = "web/windows.part.0"
OBJECT = f"arn:aws:s3:::{BUCKET}/{KEY}"
PLACE: dict[str, Any] = {"Bucket": BUCKET, "Key": KEY}


@pytest.fixture(autouse=True)
def vault(account: Account) -> None:
    """A bucket with one object."""
    account.owner.s3.create_bucket(Bucket=BUCKET)
    account.owner.s3.put_object(**PLACE, Body=b"part")


def test_a_refusal_names_the_object(account: Account) -> None:
    account.allow("s3:GetObject", resource="arn:aws:s3:::other/*")

    error = account.refusal("s3", "get_object", **PLACE)

    assert code(error) == (403, "AccessDenied")
    assert error.response["Error"]["Message"] == (
        f'User: {SESSION} is not authorized to perform: s3:GetObject on resource: "{OBJECT}" '
        "because no identity-based policy allows the s3:GetObject action"
    )


def test_a_refusal_of_head_object_has_a_status_alone(account: Account) -> None:
    assert code(account.refusal("s3", "head_object", **PLACE)) == (403, "403")


@pytest.mark.parametrize(
    ("call", "hidden", "missing"),
    [
        ("head_object", (403, "403"), (404, "404")),
        ("get_object", (403, "AccessDenied"), (404, "NoSuchKey")),
    ],
)
def test_only_who_may_list_the_bucket_learns_that_a_key_is_missing(
    account: Account, call: str, hidden: tuple[int, str], missing: tuple[int, str]
) -> None:
    account.allow("s3:GetObject", resource="arn:aws:s3:::vault/*")
    getattr(account.client("s3"), call)(**PLACE)
    nowhere = {**PLACE, "Key": "nothing"}
    assert code(account.refusal("s3", call, **nowhere)) == hidden

    account.allow(
        "s3:GetObject", "s3:ListBucket", resource=["arn:aws:s3:::vault/*", "arn:aws:s3:::vault"]
    )

    assert code(account.refusal("s3", call, **nowhere)) == missing


def test_a_bucket_that_is_missing_is_missing_to_everybody(account: Account) -> None:
    error = account.refusal("s3", "get_object", Bucket="no-such-vault", Key=KEY)

    assert code(error) == (404, "NoSuchBucket")


def test_the_buckets_owner_is_known_to_conditions(account: Account) -> None:
    def allow(owner: str) -> None:
        account.allow("s3:GetObject", Condition={"StringEquals": {"s3:ResourceAccount": owner}})

    allow("999999999999")
    assert account.missing("s3", "get_object", **PLACE) == "s3:GetObject"
    allow("123456789012")
    assert account.client("s3").get_object(**PLACE)["Body"].read() == b"part"


def test_a_denial_of_all_resources_but_some_prevails(account: Account) -> None:
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    names = ["arn:*:s3:::vault", "arn:*:s3:::vault/*"]
    account.put(allowed, {"Effect": "Deny", "Action": "s3:*", "NotResource": names})
    account.owner.s3.create_bucket(Bucket="elsewhere")

    account.client("s3").get_object(**PLACE)
    words = account.refusal("s3", "list_objects_v2", Bucket="elsewhere").response["Error"][
        "Message"
    ]

    assert words.endswith("with an explicit deny in an identity-based policy")


def delete(account: Account, *objects: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = account.client("s3").delete_objects(
        Bucket=BUCKET, Delete={"Objects": list(objects)}
    )
    return answer


def test_delete_objects_answers_for_each_object(account: Account) -> None:
    account.owner.s3.put_object(Bucket=BUCKET, Key="a & b", Body=b"")
    account.allow("s3:DeleteObject", resource=OBJECT)

    answer = delete(account, {"Key": KEY}, {"Key": "a & b"})

    assert [deleted["Key"] for deleted in answer["Deleted"]] == [KEY]
    [error] = answer["Errors"]
    assert (error["Key"], error["Code"]) == ("a & b", "AccessDenied")
    left = account.owner.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [each["Key"] for each in left] == ["a & b"]


def test_deletion_by_etag_needs_permission_to_read(account: Account) -> None:
    etag = account.owner.s3.head_object(**PLACE)["ETag"]
    account.allow("s3:DeleteObject")

    answer = delete(account, {"Key": KEY, "ETag": etag})

    assert "Deleted" not in answer
    assert "perform: s3:GetObject on" in answer["Errors"][0]["Message"]
    account.allow("s3:DeleteObject", "s3:GetObject")
    assert "Errors" not in delete(account, {"Key": KEY, "ETag": etag})


def test_a_call_that_is_not_known_needs_the_action_of_its_name(account: Account) -> None:
    assert account.missing("s3", "put_object", **PLACE) == "s3:PutObject"
    assert account.missing("s3", "list_objects", Bucket=BUCKET) == "s3:ListBucket"
    account.allow("s3:PutObject", resource=OBJECT)

    account.client("s3").put_object(**PLACE)
