"""How large it is what a request leaves in AWS's services, seen in a sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from benchmarks.ceilings import requests, stock_crhelper
from benchmarks.ceilings.requests import Event
from benchmarks.ceilings.stock_crhelper import Refused
from instance_bundle.polling import messages
from sandbox import deployment
from sandbox.clients import Clients
from sandbox.instances import run_like
from sandbox.serve import Ready

STOCK_FUNCTION = "cfn-instance-bundle-StockFunction-8YVD1TH8DPV1"
"""A name as CloudFormation makes it, of stack, logical ID and 12 characters."""

_PATIENCE = 90.0
"""Seconds to wait for an answer, which comes when the bundle is complete and the AMI registered."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What crhelper leaves, and when that is refused. Sizes are in bytes.

    Attributes:
        statement: the statement that it adds to its function's policy for a request.
        envelope: the policy without its statements.
        adds: what it adds to an event that it gives a rule's target.
        refused: its request that was refused.
        rules: that it has made by then, and not removed.
    """

    statement: int
    envelope: int
    adds: int
    refused: Refused
    rules: int


@dataclass(frozen=True, slots=True)
class Ours:
    """What this application leaves. Sizes are in bytes, batches in messages.

    Attributes:
        event: the largest request.
        item: the ledger's item of an ordinary request.
        largest_item: of the items of the largest request, the larger one.
        message: the poll's message of the largest.
        answer: the response to the largest.
        batch: the polls that an invocation gathers for one Describe call, at the most.
        handed: those of them that Lambda delivers, at the most.
    """

    event: int
    item: int
    largest_item: int
    message: int
    answer: int
    batch: int
    handed: int


def of_stock(clients: Clients) -> Stock:
    """Have stock crhelper begin ordinary requests until one is refused."""
    properties = requests.ordinary("i-1234567890abcdef0", "instance-bundles")
    event = requests.create(clients.endpoint, properties)
    given = _bytes(event)
    with stock_crhelper.deployed(clients, STOCK_FUNCTION) as stock:
        before = stock_crhelper.rules(clients)
        stock.begin(event)
        [rule] = stock_crhelper.rules(clients) - before
        target_input = stock_crhelper.target_input(clients, rule)
        refused = stock.begin_until_refused(
            lambda: requests.create(clients.endpoint, properties), begun=1
        )
        policy = stock_crhelper.policy(clients, STOCK_FUNCTION)
        made = stock_crhelper.rules(clients) - before
    return Stock(
        statement=_compact(policy["Statement"][0]),
        envelope=_compact({**policy, "Statement": []}),
        adds=len(target_input) - given,
        refused=refused,
        rules=len(made),
    )


def of_ours(ready: Ready, clients: Clients) -> Ours:
    """Have this application handle an ordinary request, and the largest."""
    [ordinary, other] = run_like(clients.ec2, ready.instance_id, {"seconds": "2"}, 2)
    create = requests.create(ready.endpoint, requests.ordinary(ordinary, ready.bucket))
    largest = requests.largest_update(ready.endpoint, other, ready.bucket, "largest")
    for event in (create, largest):
        clients.functions.invoke(FunctionName=ready.service_token, Payload=json.dumps(event))
    items = _items(clients, ready.service_token, "LEDGER_TABLE")
    texts = _items(clients, ready.service_token, "REQUEST_TABLE")
    return Ours(
        event=_bytes(largest),
        item=items[create["RequestId"]],
        largest_item=max(each[largest["RequestId"]] for each in (items, texts)),
        message=_message(ready.endpoint, largest["RequestId"]),
        answer=_answer(ready.endpoint, largest["RequestId"]),
        batch=messages.MOST,
        handed=deployment.template()["Resources"]["PollSource"]["Properties"]["BatchSize"],
    )


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item of DynamoDB's, as DynamoDB's client gives it
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).

    It is of texts, numbers and booleans.
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    match value:
        case {"S": text}:
            return len(text.encode())
        case {"N": number}:
            return (len(number.strip("0")) + 1) // 2 + 1
        case {"BOOL": _}:
            return 1
    raise ValueError(f"Not counted: {value}")


def _bytes(event: Event) -> int:
    return len(json.dumps(event).encode())


def _compact(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":")).encode())


def _items(clients: Clients, function: str, variable: str) -> dict[str, int]:
    """The sizes of the items of requests, by request ID, in the table that a variable names."""
    settings = clients.functions.get_function_configuration(FunctionName=function)
    table = settings["Environment"]["Variables"][variable]
    found = clients.client("dynamodb").scan(TableName=table)["Items"]
    kinds = [(*item["item"]["S"].partition("|"), item) for item in found]
    return {request: item_bytes(item) for kind, _, request, item in kinds if kind == "request"}


def _message(endpoint: str, request_id: str) -> int:
    bodies = [message["body"] for message in _record(endpoint, "messages")]
    return max(len(body.encode()) for body in bodies if request_id in body)


def _answer(endpoint: str, request_id: str) -> int:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        for answer in _record(endpoint, "responses"):
            if answer["requestId"] == request_id:
                return _answer_bytes(answer["body"])
        time.sleep(0.5)
    raise TimeoutError(f"No answer came within {_PATIENCE:.0f} s")


def _answer_bytes(body: Mapping[str, Any]) -> int:
    if body["Status"] != "SUCCESS":
        raise RuntimeError(f"The largest request failed: {body['Reason']}")
    return len(json.dumps(body, ensure_ascii=False).encode())


def _record(endpoint: str, name: str) -> list[dict[str, Any]]:
    """What the sandbox has on record under `/sandbox/<name>`."""
    read: list[dict[str, Any]] = urllib3.request("GET", f"{endpoint}/sandbox/{name}").json()
    return read
