"""The queues: how they are encrypted, who may use them, and whether dead letters wait."""

import json
from collections.abc import Iterator
from typing import Any

from cli.doctor.findings import Finding, aws, problem
from cli.doctor.site import Site
from cli.doctor.template import same

_MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_QUEUE = "AWS::SQS::Queue"
_DEAD_LETTERS = "DeadLetterQueue"


def _attributes(site: Site, url: str) -> dict[str, str] | None:
    found = site.reader.read(
        "sqs:GetQueueAttributes", absent=_MISSING, QueueUrl=url, AttributeNames=["All"]
    )
    return None if found is None else found.get("Attributes", {})


def settings(site: Site) -> Iterator[Finding]:
    """Whether each queue is there, encrypted, and gives its dead letters to their queue."""
    for logical_id in site.template.of_type(_QUEUE):
        url = site.template.ids[logical_id]
        found = _attributes(site, url)
        if found is None:
            yield site.missing(logical_id, "The functions do not receive its messages.")
            continue
        wrong = {
            name: value
            for name, value in _settings(site.template.properties(logical_id)).items()
            if not _is_set(found.get(name), value)
        }
        if wrong:
            yield problem(
                f"{logical_id} has other settings than the template's: {', '.join(sorted(wrong))}.",
                "Messages are encrypted by another key, are received twice, or are lost.",
                _set(url, wrong),
            )


def _settings(wanted: dict[str, Any]) -> dict[str, str]:
    """The attributes that the template gives a queue; of booleans and policies, in JSON."""
    names = (
        *("VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy"),
        *("KmsMasterKeyId", "SqsManagedSseEnabled"),
    )
    given = {name: wanted[name] for name in names if name in wanted}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def _is_set(found: str | None, wanted: str) -> bool:
    if wanted.startswith("{"):
        return found is not None and same(_numbers(json.loads(found)), _numbers(json.loads(wanted)))
    return found == wanted


def _numbers(policy: dict[str, Any]) -> dict[str, str]:
    """A redrive policy, whose count may be a number or text."""
    return {name: str(value) for name, value in policy.items()}


def policies(site: Site) -> Iterator[Finding]:
    """Whether each queue's policy is the template's: who may send, and who may receive."""
    for logical_id in site.template.of_type("AWS::SQS::QueuePolicy"):
        wanted = site.template.properties(logical_id)
        for url in wanted["Queues"]:
            found = _attributes(site, url)
            document = wanted["PolicyDocument"]
            if found is None or same(json.loads(found.get("Policy") or "{}"), document):
                continue
            yield problem(
                f"The policy of the queue {url} is not the template's.",
                "EventBridge can't send events to it, or others can send, receive or delete its"
                " messages.",
                _set(url, {"Policy": json.dumps(document)}),
            )


def dead_letters(site: Site) -> Iterator[Finding]:
    """Whether dead letters wait for their answer. Messages are counted, and not received."""
    found = _attributes(site, site.template.ids[_DEAD_LETTERS]) or {}
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    count = sum(int(found.get(name, 0)) for name in names)
    if count:
        yield problem(
            f"Dead letters that wait for an answer: {count}.",
            "Each is a stack that hangs. The failure handler answers them when it works: see what"
            " else is wrong here, and its log.",
            aws(
                *("logs", "filter-log-events", "--filter-pattern", "ERROR"),
                *("--log-group-name", site.template.ids["LastResortLogGroup"]),
            ),
        )


def _set(url: str, attributes: dict[str, str]) -> tuple[str, ...]:
    return aws(
        *("sqs", "set-queue-attributes", "--queue-url", url),
        *("--attributes", json.dumps(attributes)),
    )
