"""What people read holds no secret, whatever AWS repeats in its messages."""

import pytest

from instance_bundle.redaction import conceal
from instance_bundle.request import Request

from .test_lifecycle import POLICY_UNTIL_2028, request

S3 = POLICY_UNTIL_2028["S3"]


@pytest.fixture
def asked() -> Request:
    return request(Storage=POLICY_UNTIL_2028)


@pytest.mark.parametrize("name", ["UploadPolicy", "UploadPolicySignature"])
def test_what_was_given_is_concealed(asked: Request, name: str) -> None:
    assert conceal(f"Value ({S3[name]}) is invalid", asked) == "Value ([concealed]) is invalid"


def test_the_response_url_and_its_query_are_concealed() -> None:
    raw = request().as_event() | {"ResponseURL": "https://b.example/key?X-Amz-Signature=ab&c=d"}
    asked = Request.parse(raw)

    assert conceal("to https://b.example/key?X-Amz-Signature=ab&c=d!", asked) == "to [concealed]!"
    assert conceal("PUT /key?X-Amz-Signature=ab&c=d", asked) == "PUT /key?[concealed]"


def test_a_signature_that_the_function_made_is_concealed(asked: Request) -> None:
    text = "SignatureProvided: 5+fBgpId0UNOuYtcHaGplKB//pE=, try again"

    assert conceal(text, asked) == "SignatureProvided: [concealed], try again"


def test_all_else_stays(asked: Request) -> None:
    text = "Bundle task bun-0123456789abcdef0 failed. Client.S3Error: images/web/2026 (a=b)"

    assert conceal(text, asked) == text


@pytest.mark.parametrize(
    "raw", [None, [], {"Storage": []}, {"Storage": {"S3": {"UploadPolicy": 1}}}]
)
def test_properties_of_any_shape_are_no_obstacle(raw: object) -> None:
    asked = Request.parse(request().as_event() | {"ResourceProperties": raw})

    assert conceal("fine", asked) == "fine"
