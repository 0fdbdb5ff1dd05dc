"""The checks, in the order in which what they find is corrected best."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from cli.doctor import (
    alarms,
    buckets,
    events,
    functions,
    keys,
    ledger,
    logs,
    permissions,
    queues,
    stack,
)
from cli.doctor.findings import Finding, Result, unknown
from cli.doctor.site import Site
from cli.errors import Refused

CHECKS: Mapping[str, Callable[[Site], Iterator[Finding]]] = {
    "stack": stack.status,
    "version": stack.version,
    "pause": stack.pause,
    "KMS keys": keys.keys,
    "key policy": keys.policies,
    "permissions": permissions.permissions,
    "functions": functions.configuration,
    "reserved concurrency": functions.concurrency,
    "recursive loops": functions.recursive_loops,
    "failure destinations": functions.destinations,
    "event sources": functions.sources,
    "queues": queues.settings,
    "queue policies": queues.policies,
    "dead letters": queues.dead_letters,
    "event rules": events.rules,
    "rule targets": events.targets,
    "tables": ledger.tables,
    "expiry": ledger.expiry,
    "recovery": ledger.recovery,
    "alarms": alarms.alarms,
    "alarm topic": alarms.topic,
    "log groups": logs.groups,
}

OF_BUCKETS: Mapping[str, Callable[[Site, str], Iterator[Finding]]] = {
    "bucket": buckets.exists,
    "events of bucket": buckets.events,
    "ownership of bucket": buckets.ownership,
}


def run(site: Site) -> list[Result]:
    """Make all checks, and those of each bucket."""
    named = dict(CHECKS)
    for bucket in site.buckets:
        named |= {
            f"{name} {bucket}": partial(_of_bucket, check, bucket)
            for name, check in OF_BUCKETS.items()
        }
    return [Result(name, tuple(_checked(check, site))) for name, check in named.items()]


def _of_bucket(
    check: Callable[[Site, str], Iterator[Finding]], bucket: str, site: Site
) -> Iterator[Finding]:
    return check(site, bucket)


def _checked(check: Callable[[Site], Iterator[Finding]], site: Site) -> Iterator[Finding]:
    try:
        yield from check(site)
    except Refused as refused:
        yield unknown(refused.message, "It could not be checked. The action of IAM is named.")
    except KeyError as absent:
        yield unknown(
            f"The stack's template or its resources have no {absent}.",
            "The application has another version than this command.",
        )
