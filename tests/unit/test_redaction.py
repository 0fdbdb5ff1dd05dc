"""What people read holds no secret, whatever AWS repeats in its messages."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest

from instance_bundle.request.event import Request
from instance_bundle.request.redaction import conceal

from .test_lifecycle import HANDLE, POLICY_UNTIL_2028, request

S3 = POLICY_UNTIL_2028["S3"]


@pytest.fixture
def asked() -> Request:
    return request(Storage=POLICY_UNTIL_2028)


@pytest.mark.parametrize("given", ["JSON", "base64"])
@pytest.mark.parametrize("form", ["JSON", "base64", "signature"])
@pytest.mark.parametrize("encode", [str, lambda text: quote(text, safe="")])
def test_what_was_given_is_concealed_in_whatever_form_it_is_repeated(
    given: str, form: str, encode: Callable[[str], str]
) -> None:
    policy = S3["UploadPolicy"]
    forms = {
        "JSON": policy,
        "base64": base64.b64encode(policy.encode()).decode(),
        "signature": S3["UploadPolicySignature"],
    }
    asked = request(Storage={"S3": S3 | {"UploadPolicy": forms[given]}})

    assert conceal(f"Value={encode(forms[form])}&x", asked) == "Value=[concealed]&x"


def test_the_response_url_and_its_query_are_concealed() -> None:
    raw = request().as_event() | {"ResponseURL": "https://b.example/key?X-Amz-Signature=ab&c=d"}
    asked = Request.parse(raw)

    assert conceal("to https://b.example/key?X-Amz-Signature=ab&c=d!", asked) == "to [concealed]!"
    assert conceal("PUT /key?X-Amz-Signature=ab&c=d", asked) == "PUT /key?[concealed]"


@pytest.mark.parametrize(
    "text",
    [
        "SignatureProvided: {}, try again",
        "Signature={}&x",
        '("{}")',
    ],
)
@pytest.mark.parametrize(
    "signature", ["5+fBgpId0UNOuYtcHaGplKB//pE=", "5%2BfBgpId0UNOuYtcHaGplKB%2F%2FpE%3D"]
)
def test_a_signature_that_the_function_made_is_concealed(
    asked: Request, text: str, signature: str
) -> None:
    assert conceal(text.format(signature), asked) == text.format("[concealed]")


@pytest.mark.parametrize("mistake", ["", "a", "YQ==", "{}", "no policy"])
def test_a_mistake_in_the_place_of_a_secret_leaves_the_text_readable(mistake: str) -> None:
    asked = request(Storage={"S3": {"UploadPolicy": mistake, "UploadPolicySignature": mistake}})
    text = "Storage.S3.UploadPolicy: must be an S3 upload policy {} YQ== no policy"

    assert conceal(text, asked) == text


def test_all_else_stays(asked: Request) -> None:
    text = "Bundle task bun-0123456789abcdef0 failed. Client.S3Error: images/web/2026 (a=b)"

    assert conceal(text, asked) == text


@pytest.mark.parametrize(
    "raw", [None, [], {"Storage": []}, {"Storage": {"S3": {"UploadPolicy": 1}}}]
)
def test_properties_of_any_shape_are_no_obstacle(raw: object) -> None:
    asked = Request.parse(request().as_event() | {"ResourceProperties": raw})

    assert conceal("fine", asked) == "fine"


@pytest.mark.parametrize("encode", [str, lambda text: quote(text, safe="")])
def test_the_handles_url_and_its_query_are_concealed(encode: Callable[[str], str]) -> None:
    asked = request(CompletionHandle=HANDLE)
    query = HANDLE.partition("?")[2]

    assert conceal(f"to {encode(HANDLE)}!", asked) == "to [concealed]!"
    assert conceal(f"PUT /key?{encode(query)}", asked) == "PUT /key?[concealed]"


@pytest.mark.parametrize(
    "strange", ["https://[" + "x" * 20, "https://x]?" + "y" * 20, "\ud800" * 20, 7, ["x"], ""]
)
def test_a_secret_of_any_text_is_no_obstacle(strange: object) -> None:
    asked = request(
        CompletionHandle=strange,
        Storage={"S3": {"UploadPolicy": strange, "UploadPolicySignature": strange}},
    )

    assert conceal("fine", asked) == "fine"
    if isinstance(strange, str) and strange:
        assert conceal(f"is {strange}.", asked) == "is [concealed]."
