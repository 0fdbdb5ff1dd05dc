"""Roles whose policies were refused: moto has created the role by then, and keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moto.iam.models import IAMBackend, Role


@contextmanager
def no_role_left(backend: IAMBackend, name: str, region: str) -> Iterator[None]:
    """Remove a role of that name that did not exist before, if its creation fails."""
    before = _is_there(backend, name)
    try:
        yield
    except Exception:
        if not before and _is_there(backend, name):
            Role.delete_from_cloudformation_json(name, {}, backend.account_id, region)
        raise


def _is_there(backend: IAMBackend, name: str) -> bool:
    return any(role.name == name for role in list(backend.roles.values()))
