"""State that the sandbox keeps on moto's EC2 backends, one each for an account and region.

moto's reset empties a backend, including what is kept on it.
"""

from collections.abc import Callable
from typing import TypeVar

from moto.ec2.models import EC2Backend, ec2_backends

Kept = TypeVar("Kept")


def of(backend: EC2Backend, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
    """What a backend keeps of a kind; made when it is first asked for."""
    kept: Kept = vars(backend).setdefault(kind.__name__, make())
    return kept


def everywhere(kind: type[Kept]) -> list[Kept]:
    """What the backends of all accounts and regions keep of a kind."""
    return [
        vars(backend)[kind.__name__]
        for regions in list(ec2_backends.values())
        for backend in list(regions.values())
        if kind.__name__ in vars(backend)
    ]
