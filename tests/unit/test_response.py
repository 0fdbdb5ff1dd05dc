"""The answer's text, and its way to the ResponseURL."""

import json
import logging

import pytest
import urllib3

from instance_bundle import budget
from instance_bundle.errors import PassingFault
from instance_bundle.request.event import RequestKey
from instance_bundle.responses import response
from instance_bundle.state.outcome import Done, Failed

from .conftest import Answers

KEY = RequestKey("arn:aws:cloudformation:us-east-1:123456789012:stack/web/1", "Bundle", "r1")


@pytest.fixture(autouse=True)
def _no_pause_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_PAUSES", (0, 0))


def test_success_carries_id_and_attributes() -> None:
    assert json.loads(response.body(KEY, Done("bun-1", {"State": "complete"}))) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "bun-1",
        "StackId": KEY.stack_id,
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "Data": {"State": "complete"},
    }


@pytest.mark.parametrize("character", ["x", "é", '"', "\N{PERSONAL COMPUTER}", "\ud800"])
def test_a_reason_that_is_too_long_keeps_its_head(character: str) -> None:
    text = response.body(KEY, Failed("bun-1", "Bucket: is wrong. " + character * 9000))

    assert len(text) <= response.LIMIT
    assert len(text) > response.LIMIT - 40
    reason = json.loads(text)["Reason"]
    assert reason.startswith("Bucket: is wrong. ")
    assert reason.endswith("…")


def test_a_reason_that_fits_is_whole() -> None:
    assert json.loads(response.body(KEY, Failed("bun-1", "No.")))["Reason"] == "No."


def test_the_answer_is_put_without_a_content_type(answers: Answers) -> None:
    response.deliver(answers.url, b'{"Status": "SUCCESS"}', answers.origin)

    assert answers.bodies == [{"Status": "SUCCESS"}]
    assert answers.headers[0]["Content-Type"] == ""


def test_a_server_fault_is_tried_again(answers: Answers) -> None:
    answers.statuses += [500, 503]

    response.deliver(answers.url, b"{}", answers.origin)

    assert len(answers.bodies) == 3


def test_a_fault_that_stays_is_given_back_after_a_bounded_number_of_attempts(
    answers: Answers,
) -> None:
    answers.statuses += [500] * 100

    with pytest.raises(PassingFault):
        response.deliver(answers.url, b"{}", answers.origin)

    assert len(answers.bodies) == 3


def test_no_answer_at_all_is_a_passing_fault() -> None:
    with pytest.raises(PassingFault) as raised:
        response.deliver("http://127.0.0.1:9/a?secret", b"{}", "http://127.0.0.1:9")

    assert "secret" not in str(raised.value)


def test_an_expired_url_is_given_up_with_a_log_line(
    answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    answers.statuses.append(403)

    with caplog.at_level(logging.ERROR):
        response.deliver(answers.url, b"{}", answers.origin)

    assert len(answers.bodies) == 1
    assert "403" in caplog.text
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("status", [307, 400, 404, 409, 429, 500, 503])
def test_whatever_else_s3_answers_is_tried_again(answers: Answers, status: int) -> None:
    """S3 answers RequestTimeout with 400 (Amazon S3 API Reference, Error responses)."""
    answers.statuses += [status]
    response.deliver(answers.url, b"{}", answers.origin)
    assert len(answers.bodies) == 2

    answers.statuses += [status] * 3
    with pytest.raises(PassingFault, match=f"status {status}"):
        response.deliver(answers.url, b"{}", answers.origin)


def test_a_put_that_hangs_is_not_repeated_in_the_same_invocation(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, puts = [30.0], []

    def hang(url: str, text: bytes) -> int:
        puts.append(url)
        left[0] -= budget.CONNECT + budget.READ
        raise urllib3.exceptions.ReadTimeoutError(None, "", "timed out")  # type: ignore[arg-type]

    monkeypatch.setattr(response, "_put", hang)
    with (
        budget.invocation(lambda: int(left[0] * 1000)),
        pytest.raises(PassingFault, match="ReadTimeoutError"),
    ):
        response.deliver(answers.url, b"{}", answers.origin)

    assert len(puts) == 1


def test_no_proxy_of_the_environment_gets_to_see_the_answer(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    response.deliver(answers.url, b"{}", answers.origin)

    assert answers.bodies == [{}]


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:1"])
def test_another_host_is_refused_unless_it_is_the_origin_that_is_set(
    answers: Answers, origin: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response.deliver(answers.url, b"{}", origin)

    assert answers.bodies == []
    assert "not one of CloudFormation's" in caplog.text
