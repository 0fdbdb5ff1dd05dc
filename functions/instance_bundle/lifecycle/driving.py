"""One request while it is driven: what is known about it, and what every step needs."""

from collections.abc import Generator
from typing import Any

from instance_bundle.errors import PassingFault, Refusal, Refused
from instance_bundle.lifecycle import effects
from instance_bundle.lifecycle.effects import Effect, perform
from instance_bundle.lifecycle.next_step import Seen
from instance_bundle.methods import Method, Methods, Task, Work
from instance_bundle.request import (
    Home,
    Location,
    Properties,
    Request,
    RequestKey,
    Target,
    conceal,
)
from instance_bundle.state import Outcome, Pending, Record, Resource

StepRun = Generator[Effect[Any], Any, Outcome | None]
"""A step: it yields effects, and returns an outcome, or None if the next step is to be decided."""


class Driving:
    """A request whose lease this process holds.

    Attributes:
        me: its record, as it is now.
        methods: the methods, for what they know without a call.
        resource: all that is known about its resource; None if the ledger was not read yet.
        seen: what was seen since the record was read.
        now: epoch seconds.
    """

    def __init__(self, me: Record, methods: Methods) -> None:
        self.me = me
        self.methods = methods
        self.resource: Resource | None = None
        self.seen = Seen()
        self.now = 0.0

    def save(self, after: Record) -> Generator[Effect[Any], Any, bool]:
        """Write the record; if another process has written it, everything is decided again."""
        self.me, is_written = yield from perform(effects.Save(self.me, after))
        if not is_written:
            self.resource, self.seen = None, Seen()
        return is_written

    def believed(self, refused: Refused) -> Refusal:
        """The refusal, if it is a repeated one.

        Raises:
            Refused: it is the first one, or came too soon after the first: the call is retried.
        """
        now, doubt, reason = self.now, self.me.doubt, conceal(str(refused), self.request())
        if doubt is None or not doubt.is_about(reason, now) or not doubt.has_lasted(now):
            raise refused
        return refused.refusal

    def pending(self, seconds: int, task: Task | None = None) -> Pending:
        """Poll again after so many seconds, but not after the deadline."""
        left = round(self.me.deadline - self.now)
        return Pending(max(1, min(seconds, left)), task)

    def known(self) -> Resource:
        assert self.resource is not None  # noqa: S101  next_step has had it loaded
        return self.resource

    def request(self) -> Request:
        if self.me.request is None:
            raise PassingFault("the request has been answered")
        return self.me.request

    def work(self, properties: Properties) -> Work:
        me, request = self.me, self.request()
        location = Location(properties.bucket, properties.prefix or request.made_prefix)
        target = Target(properties.method, request.request_id, properties.instance_id, location)
        return Work(properties, target, me.key, me.first_receipt, until(me, request))

    def attributes(self, work: Work, task: Task) -> dict[str, str]:
        return attributes(self.methods.named(work.target.method), work, task)

    def image_attributes(self, image_id: str) -> dict[str, str]:
        return image_attributes(self.me.key, image_id)


def attributes(method: Method, work: Work, task: Task) -> dict[str, str]:
    """What `Fn::GetAtt` returns: each attribute, in every answer with a bundle."""
    outputs = method.outputs(work.target.location, task)
    return {
        "BundleId": task.id,
        "InstanceId": work.properties.instance_id,
        "Bucket": work.properties.bucket,
        "Prefix": outputs.prefix,
        "S3Uri": outputs.s3_uri,
        "ManifestLocation": outputs.manifest_location,
        "State": task.state,
        "Progress": "100%" if task.phase == "complete" else task.progress or "0%",
        "StartTime": task.started,
        "UpdateTime": task.updated,
        **image_attributes(work.key, task.image_id),
        "SnapshotIds": task.snapshot_ids,
    }


def image_attributes(key: RequestKey, image_id: str) -> dict[str, str]:
    """The attributes about the AMI; empty where there is none."""
    home = Home.of_stack(key.stack_id)
    arn = f"arn:{home.partition}:ec2:{home.region}::image/{image_id}" if home else ""
    return {"ImageId": image_id, "ImageArn": arn if image_id else ""}


def until(me: Record, request: Request) -> float:
    """When the work times out: if a handle waits for its end, after its CompletionTimeout."""
    return max(me.deadline, request.work_ends_by(me.first_receipt) if request.handle else 0)
