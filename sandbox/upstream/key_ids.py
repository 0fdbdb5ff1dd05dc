"""KMS keys by their ARNs, where moto knows only IDs.

https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKey.html ("Specify the key ID or key
ARN of the KMS key")
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.kms.models import KmsBackend

_CALLS = ("cancel_key_deletion", "disable_key", "enable_key", "schedule_key_deletion")


@contextmanager
def known() -> Iterator[None]:
    """Have moto's calls that change a key's state take an ARN, too."""
    with ExitStack() as patches:
        for name in _CALLS:
            by_id = _by_id(getattr(KmsBackend, name))
            patches.enter_context(patch.object(KmsBackend, name, by_id))
        yield


def _by_id(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def called(backend: KmsBackend, key_id: str, *args: Any, **kwargs: Any) -> Any:
        return call(backend, KmsBackend.get_key_id(key_id), *args, **kwargs)

    return called
