"""The AWS SDK that Lambda's Python runtime has, for functions that bring none."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

from sandbox.artifact import REPOSITORY
from sandbox.functions.service import Functions

from .conftest import Account

VERSIONS = """
import boto3, botocore, urllib3

def handler(event, context):
    return [boto3.__version__, botocore.__version__, urllib3.__version__]
"""


def deploy(account: Account, **files: str) -> None:
    """A function of these modules; its handler is that of `code`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    account.deploy("code.handler", Code={"ZipFile": content.getvalue()})


def invoke(account: Account) -> Any:
    answer = account.invoke()
    assert "FunctionError" not in answer, answer
    return answer["Payload"]


def pinned(package: str) -> str:
    locked = (REPOSITORY / "functions" / "requirements.txt").read_text()
    found = re.search(rf"^{package}==(\S+)", locked, re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_function_without_packages_has_the_sdk(account: Account, functions: Functions) -> None:
    deploy(account, code=VERSIONS)

    assert invoke(account) == [pinned(name) for name in ("boto3", "botocore", "urllib3")]


def test_a_functions_own_packages_come_before_lambdas(
    account: Account, functions: Functions
) -> None:
    deploy(account, code=VERSIONS, boto3="__version__ = 'own'")

    assert invoke(account)[:2] == ["own", pinned("botocore")]
