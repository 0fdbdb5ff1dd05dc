"""CloudFormation in moto's server: its API on stacks that run as AWS runs them.

`install` puts the backend below in the place of moto's; `Stacks.close` takes it out again. Parsing
and serialising of requests, stack sets, stack policies and the list of exports stay moto's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Condition
from types import SimpleNamespace
from typing import Any, cast

from moto.cloudformation.models import CloudFormationBackend, cloudformation_backends
from moto.cloudformation.urls import url_bases

from sandbox.cloudformation import wait_conditions
from sandbox.cloudformation.change_set_models import Backend
from sandbox.cloudformation.custom_resources import CustomResources
from sandbox.cloudformation.models import Engine
from sandbox.cloudformation.nested_stacks import NestedStacks
from sandbox.cloudformation.operations import Operations
from sandbox.cloudformation.providers import Provider
from sandbox.cloudformation.reads import READ_DELAY, Reads
from sandbox.cloudformation.request_forms import USUAL_FORMS, RequestForms
from sandbox.cloudformation.responses import Response
from sandbox.cloudformation.signals import Signals
from sandbox.upstream.permissions import Permissions


class _Served(Backend):
    """A backend behind CloudFormation's API."""

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": Response.dispatch})


@dataclass(frozen=True, slots=True)
class Stacks:
    """CloudFormation, installed.

    custom_resources: to hand responses to, and to list them. signals: the same, of signals.
    """

    custom_resources: CustomResources
    signals: Signals
    operations: Operations
    replaced: type[CloudFormationBackend]

    def close(self) -> None:
        """Stop running operations, and restore moto's own backend."""
        self.operations.close()
        cloudformation_backends.backend = self.replaced
        cloudformation_backends.clear()


def install(
    endpoint: Callable[[], str],
    clock: Callable[[], float] = time.time,
    permissions: Permissions | None = None,
    forms: RequestForms = USUAL_FORMS,
    read_delay: float = READ_DELAY,
    refusal: Callable[[str, str], str | None] = lambda *_: None,
) -> Stacks:
    """Put this CloudFormation in the place of moto's, in this process.

    `endpoint` gives the server's own URL, as functions are to reach it; it is called when the first
    custom resource is. `clock` gives epoch seconds, to all time stamps and timeouts. `permissions`
    says when roles and policies count; where nobody judges them, nothing waits for that. `forms`
    are those of requests to custom resources. `read_delay` is by how many seconds what functions
    read of stacks is out of date. `refusal` says why a stack's role may not invoke a function.
    """
    changed = Condition()
    custom_resources = CustomResources(endpoint, clock, changed, forms, refusal)
    signals = Signals(endpoint, clock, changed, forms.signature_version)
    own: dict[str, Provider] = {
        wait_conditions.HANDLE: wait_conditions.Handles(signals),
        wait_conditions.CONDITION: wait_conditions.WaitConditions(signals, clock, changed),
    }
    nested = NestedStacks(
        lambda account, region: cast(Any, cloudformation_backends[account][region])
    )
    operations = Operations(custom_resources, own, nested, changed, permissions)
    reads = Reads(clock, read_delay)
    engine = Engine(clock, changed, custom_resources, signals, operations, reads)
    replaced = cloudformation_backends.backend
    cloudformation_backends.backend = cast(Any, partial(_Served, engine))
    cloudformation_backends.clear()
    return Stacks(custom_resources, signals, operations, replaced)
