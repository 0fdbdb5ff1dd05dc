"""How often functions were invoked, as the server lists it."""

import urllib3

from tests.sandbox.faults.conftest import Function


def test_each_invocation_counts_also_one_that_fails(function: Function) -> None:
    client = function.sandbox.client("lambda")
    before = counted(function)

    client.invoke(FunctionName=function.name, Payload='{"actions": []}')
    answer = client.invoke(FunctionName=function.name, Payload='{"actions": 1}')

    assert answer["FunctionError"]
    assert counted(function) == before + 2


def counted(function: Function) -> int:
    answer = urllib3.request("GET", f"{function.sandbox.endpoint}/sandbox/invocations")
    assert answer.status == 200
    counts = {made["function"]: made["count"] for made in answer.json()}
    assert list(counts) == sorted(counts)
    return int(counts.get(function.name, 0))
