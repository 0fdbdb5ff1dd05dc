"""`status`: the requests in flight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr

from cli.installation import Installation
from cli.output import duration, moment
from instance_bundle.state import Progress, Record, inspection

COLUMNS = (
    *("STACK", "LOGICAL ID", "REQUEST", "TASK", "STATE", "PROGRESS"),
    *("SINCE", "GIVES UP", "NEXT POLL"),
)

_OPEN = Attr("request_type").exists() & (Attr("answer").not_exists() | Attr("undelivered").exists())


@dataclass(frozen=True, slots=True)
class Row:
    """A request in flight."""

    record: Record

    @property
    def state(self) -> str:
        """How far it is, in a word: EC2's own state where there is a task.

        - received: nothing was started.
        - starting: EC2 was asked to start the work; its answer is not stored.
        - deleting: a Delete, whatever it is at.
        - superseded: a later request about the resource cancels and cleans up its work.
        - answered: its answer is stored, and is not delivered yet.
        """
        if self.record.answer is not None:
            return "answered"
        if self.record.superseded:
            return "superseded"
        if self.record.request_type == "Delete":
            return "deleting"
        if self.record.task is not None:
            return self.record.task.state
        return "starting" if self.record.work == Progress.ATTEMPTED else "received"

    @property
    def next_poll(self) -> float | None:
        """When it is due, in epoch seconds; None before the first poll has set the next one."""
        return self.record.due or None

    def as_json(self) -> Mapping[str, object]:
        """The fields that docs/command.md lists."""
        record, task = self.record, self.record.task
        return {
            "stack": record.key.stack_name,
            "stackId": record.key.stack_id,
            "logicalId": record.key.logical_id,
            "requestId": record.key.request_id,
            "requestType": record.request_type,
            "physicalId": record.physical_id or None,
            "taskId": task.id if task else None,
            "state": self.state,
            "progress": task.percent if task else None,
            "since": moment(record.sent_at),
            "givesUpAt": moment(record.deadline),
            "nextPollAt": moment(self.next_poll) if self.next_poll else None,
        }

    def cells(self, now: float) -> Sequence[str]:
        """What the table shows at `now` (epoch seconds)."""
        record, task = self.record, self.record.task
        return (
            record.key.stack_name,
            record.key.logical_id,
            record.request_type,
            task.id if task else "",
            self.state,
            task.progress if task else "",
            f"{duration(now - record.sent_at)} ago",
            _until(record.deadline, now),
            _until(self.next_poll, now) if self.next_poll else "",
        )


def read(installation: Installation) -> Sequence[Row]:
    """The requests in flight, in the order of their receipt."""
    return [Row(record) for record in inspection.requests(installation.items(_OPEN))]


def _until(when: float, now: float) -> str:
    """When something is to happen, from `now` on; both are epoch seconds."""
    return f"in {duration(when - now)}" if when > now else f"{duration(now - when)} ago"
