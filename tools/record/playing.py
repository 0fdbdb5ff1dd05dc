"""Plays one phase in a stack of its own, and records what is seen."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tools.record.describing import Describing, error_of
from tools.record.fixtures import Recording
from tools.record.mailbox import Mailbox, Request, name_of, put
from tools.record.phases import Answer, Kind, Phase, Step
from tools.record.replacement import Replacement
from tools.record.site import PREFIX, Site, tags
from tools.record.templates import BUCKET_URL, SERVICE_TOKEN

REASON = "The recorder was asked to fail."


class EndedEarly(Exception):
    """A phase can't go on; the message is for people."""


class Stopped(Exception):
    """The run is interrupted."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the phases of a run share.

    Attributes:
        run: its ID.
        outputs: of the recorder's own stack.
        delay: seconds between the two times that each request's stack is described, since what is
            described may be stale.
        pause: seconds between two polls of a stack in progress.
        patience: seconds that a stack may take to come to rest.
        stop: set when the run is interrupted.
    """

    site: Site
    run: str
    outputs: dict[str, str]
    mailbox: Mailbox
    delay: float
    pause: float
    patience: float
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def bucket_url(self) -> str:
        return f"https://{self.outputs['Bucket']}.s3.{self.site.region}.amazonaws.com"


class Player:
    """One phase."""

    def __init__(self, stage: Stage, phase: Phase) -> None:
        self._stage, self._phase = stage, phase
        self.stack_name = f"{PREFIX}-{stage.run}-{phase.name}"
        self._client = stage.site.client("cloudformation")
        self._describing = Describing(self._client)
        self._entries: list[dict[str, Any]] = []
        self._stacks: dict[str, str] = {}  # names by IDs
        self._stack_id = ""
        self._seen: Counter[Kind] = Counter()
        self._unanswered: list[Request] = []
        self._waiting: list[tuple[Request, Answer]] = []
        self._began = datetime.now(UTC)

    def play(self) -> Recording:
        """Make all steps, and delete the stack. Raises Stopped."""
        finished = False
        with self._open_box() as box:
            try:
                for step in self._phase.steps:
                    self._make(step, box)
                if not self._is_deleted():
                    self._make(Step("DeleteStack"), box)
                finished = True
            except EndedEarly as problem:
                self._note("problem", message=str(problem))
        return self._recording(finished)

    @contextmanager
    def _open_box(self) -> Iterator[queue.Queue[Request]]:
        try:
            yield self._stage.mailbox.open(self.stack_name)
        finally:
            self._stage.mailbox.shut(self.stack_name)
            for request in self._unanswered:
                self._stage.mailbox.rest.put(request)

    def _make(self, step: Step, box: queue.Queue[Request]) -> None:
        before = len(self._describing.own_statuses(self._stack_id)) if self._stack_id else 0
        came = Counter(self._seen)
        if not self._called(step):
            return
        deadline = time.monotonic() + self._stage.patience
        while True:
            if self._stage.stop.is_set():
                raise Stopped
            try:
                self._receive(box.get(timeout=self._stage.pause))
                continue
            except queue.Empty:
                pass
            if step.until is not None:
                if self._seen[step.until] > came[step.until]:
                    return
            elif self._is_at_rest(before):
                break
            if time.monotonic() > deadline:
                raise EndedEarly(f"{step.call}: not at rest after {self._stage.patience:g} s")
        # DescribeStacks may still show an earlier status than the events.
        self._stage.stop.wait(self._stage.delay)
        self._note("at-rest", describes=self._describing.at_rest(self._stack_id))

    def _called(self, step: Step) -> bool:
        """Make the call; whether it was accepted."""
        request: dict[str, Any] = {"StackName": self._stack_id or self.stack_name, **step.options}
        if step.template is not None:
            body = json.dumps(step.template).replace(BUCKET_URL, self._stage.bucket_url)
            request |= {
                "TemplateBody": body,
                "Parameters": [
                    {
                        "ParameterKey": SERVICE_TOKEN,
                        "ParameterValue": self._stage.outputs["ServiceToken"],
                    }
                ],
                "Tags": tags(self._stage.run),
            }
        made = {**request, "TemplateBody": step.template} if step.template else request
        try:
            answer = getattr(self._client, _METHODS[step.call])(**request)
        except ClientError as error:
            refused = error_of(error)
            self._note("call", call=step.call, request=made, error=refused)
            if refused["Code"] in _NOT_ALLOWED:
                raise EndedEarly(f"{step.call}: {refused['Message']}") from error
            return False
        self._note("call", call=step.call, request=made)
        if step.call == "CreateStack":
            self._stack_id = answer["StackId"]
            self._stacks[self._stack_id] = self.stack_name
        return True

    def _is_at_rest(self, before: int) -> bool:
        """Whether the operation has ended, by the stack's own events; so many were there before."""
        statuses = self._describing.own_statuses(self._stack_id)
        return len(statuses) > before and not statuses[-1].endswith("_IN_PROGRESS")

    def _is_deleted(self) -> bool:
        statuses = self._describing.own_statuses(self._stack_id) if self._stack_id else []
        return not statuses or statuses[-1] == "DELETE_COMPLETE"

    def _receive(self, request: Request) -> None:
        stack_id, logical_id = request["StackId"], request["LogicalResourceId"]
        self._stacks.setdefault(stack_id, name_of(stack_id))
        first = self._describing.all_of(stack_id, logical_id)
        self._stage.stop.wait(self._stage.delay)
        later = self._describing.all_of(stack_id, logical_id)
        described = {"first": first, "later": None if later == first else later}
        self._note("request", event=request, describes=described)
        kind = logical_id, request["RequestType"]
        number = self._seen[kind]
        answer = self._phase.answer(kind, number, request.get("PhysicalResourceId"))
        self._seen[kind] += 1
        self._waiting.append((request, answer))
        self._answer_waiting()

    def _answer_waiting(self) -> None:
        """Answer what has come, and what has waited for it."""
        waiting, self._waiting = self._waiting, []
        for request, answer in waiting:
            if answer.status == "NONE":
                self._unanswered.append(request)
                continue
            if answer.after is not None and not self._seen[answer.after]:
                self._waiting.append((request, answer))
                continue
            reason = REASON if answer.status == "FAILED" else ""
            self._note("answer", **put(request, answer.status, physical_id_of(request), reason))
            self._stage.mailbox.done(request)

    def _note(self, kind: str, **seen: Any) -> None:
        since = (datetime.now(UTC) - self._began).total_seconds()
        self._entries.append({"kind": kind, "seconds": round(since, 3), **seen})

    def _recording(self, finished: bool) -> Recording:
        site, outputs = self._stage.site, self._stage.outputs
        known = {
            outputs["Bucket"]: "{bucket}",
            outputs["Function"]: "{function}",
            self._stage.run: "{run}",
        }
        replacement = Replacement(known, self._began)
        return Recording(
            source=site.source,
            recorded=self._began.date().isoformat(),
            region=site.region,
            phase=self._phase.name,
            summary=self._phase.summary,
            entries=replacement.of(self._entries),
            events=replacement.of(
                {name: self._describing.events(stack) for stack, name in self._stacks.items()}
            ),
            finished=finished,
        )


_NOT_ALLOWED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")

_METHODS = {
    "CreateStack": "create_stack",
    "UpdateStack": "update_stack",
    "DeleteStack": "delete_stack",
    "CancelUpdateStack": "cancel_update_stack",
    "RollbackStack": "rollback_stack",
    "ContinueUpdateRollback": "continue_update_rollback",
}


def physical_id_of(request: Request) -> str:
    """The physical ID to answer with: a Delete's own, else that of logical ID and name."""
    if request["RequestType"] == "Delete":
        physical_id: str = request["PhysicalResourceId"]
        return physical_id
    return f"{request['LogicalResourceId']}-{request['ResourceProperties']['Name']}"
