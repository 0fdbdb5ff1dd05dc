"""A tape gives each call the answers that it had when it was recorded, over HTTP as well."""

import pytest
import urllib3

from benchmarks.cold_start.tape import Answer, Endpoint, Request, Tape, forwarding

_SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/{}/aws4_request"


def _request(service: str, **headers: str) -> Request:
    return Request("POST", "/", {"Authorization": _SIGNED.format(service), **headers}, b"")


def test_a_call_is_named_as_people_name_it() -> None:
    json_call = _request("dynamodb", **{"X-Amz-Target": "DynamoDB_20120810.PutItem"})
    query_call = Request(
        "POST", "/", {"Authorization": _SIGNED.format("ec2")}, b"Action=BundleInstance&Version=1"
    )
    rest_call = Request("HEAD", "/b/k?x=1", {"Authorization": _SIGNED.format("s3")}, b"")

    assert json_call.call == "dynamodb:PutItem"
    assert query_call.call == "ec2:BundleInstance"
    assert rest_call.call == "s3:HEAD:/b/k"
    assert Request("PUT", "/response", {}, b"").call == "http:PUT:/response"


def test_what_was_recorded_is_played_in_order_and_again() -> None:
    tape = Tape()
    put = _request("dynamodb", **{"X-Amz-Target": "D.PutItem"})
    get = _request("dynamodb", **{"X-Amz-Target": "D.GetItem"})
    answers = iter([Answer(200, {}, b"1"), Answer(400, {}, b"2"), Answer(200, {}, b"3")])
    server = tape.recording(lambda _: next(answers))
    for request in (put, get, put):
        server(request)

    for _ in range(2):
        tape.rewind()
        assert not tape.is_played
        assert [tape.play(request).body for request in (put, put, get)] == [b"1", b"3", b"2"]
        assert tape.is_played
    with pytest.raises(IndexError):
        tape.play(get)
    assert tape.services == {"dynamodb"}


def test_an_endpoint_hands_on_what_another_answers() -> None:
    with Endpoint.open() as server, Endpoint.open() as proxy:
        server.server = lambda request: Answer(
            418, {"X-Seen": request.headers["X-Asked"]}, request.method.encode() + request.body
        )
        tape = Tape()
        proxy.server = tape.recording(forwarding(server.url))

        answer = urllib3.request("POST", proxy.url, body=b" it", headers={"X-Asked": "yes"})

    assert (answer.status, answer.headers["X-Seen"], answer.data) == (418, "yes", b"POST it")
    assert tape.calls == {"http:POST:/": 1}
