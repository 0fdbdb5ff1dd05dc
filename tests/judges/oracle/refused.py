"""Calls that are to be refused."""

from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(client: Any, call: str, **request: Any) -> str:
    """Make a call; the code of the error that it gets."""
    with pytest.raises(ClientError) as error:
        getattr(client, call)(**request)
    code: str = error.value.response["Error"]["Code"]
    return code
