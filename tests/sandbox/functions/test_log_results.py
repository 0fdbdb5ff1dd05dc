"""Invocations that ask for the end of their log."""

from __future__ import annotations

import base64

from sandbox.functions.service import Functions
from tests.sandbox.functions.conftest import Account


def test_an_invocation_answers_the_end_of_its_log(account: Account, functions: Functions) -> None:
    account.deploy("say")
    account.invoke({"lines": ["before"]})
    answer = account.invoke({"lines": ["one", "two"]}, LogType="Tail")

    log = base64.b64decode(answer["LogResult"]).decode().splitlines()

    assert log[0].startswith("START RequestId: ")
    assert log[0].endswith(" Version: $LATEST")
    assert log[1:3] == ["one", "two"]
    assert log[3].startswith("END RequestId: ")
    assert log[4].startswith("REPORT RequestId: ")
    assert "\tMemory Size: 128 MB\t" in log[4]


def test_it_has_four_kilobytes(account: Account, functions: Functions) -> None:
    account.deploy("say")
    answer = account.invoke({"lines": [f"line {n}" for n in range(1000)]}, LogType="Tail")

    log = base64.b64decode(answer["LogResult"])
    assert len(log) == 4096
    assert b"\nline 999\nEND RequestId: " in log


def test_it_is_answered_only_where_it_is_asked_for(account: Account, functions: Functions) -> None:
    account.deploy("say")

    assert "LogResult" not in account.invoke({"lines": ["one"]})
    assert "LogResult" not in account.invoke({"lines": ["one"]}, LogType="None")
