"""What can go wrong, and how CloudFormation hears of it.

InstanceBundleError
├── InvalidEvent          not a custom resource event: logged, nobody to answer
├── Busy                  another process drives the request: its poll comes again
├── Stale                 a poll that no longer counts: dropped
├── UnreadableManifest    no manifest of a bundle: logged, and nothing is removed by it
├── PassingFault          cut off, timed out, briefly down: waited out, never an answer
│   └── NothingDone           surely without effect, such as a look at something beforehand
│       ├── Throttled             asked to come later
│       └── Refused               AWS refused a call, and may not do so later
│           └── Doubtful              believed when it is repeated, where no work runs meanwhile
└── Refusal               answered FAILED; its text is the Reason, for a person to read
    ├── InvalidProperties     every problem of ResourceProperties, by its property path
    ├── NotAllowed            the instance is not one that this deployment lets be bundled
    ├── NoInstance            there is no such instance
    ├── NotSuited             the instance is of a kind that the method can't make an image of
    ├── NotDeletable          the deployment lets no objects be removed
    ├── UnusableSecret        the secret of UploadCredentials holds no long-lived access key
    ├── NameTaken             another AMI has the name
    ├── LocationTaken         another bundle has, or had, this bucket and prefix
    ├── Superseded            a later request about the resource came first, or its Delete
    ├── Denied                AWS refused a call, for good
    │   └── Gone                  what was to be changed or removed is not there
    ├── ImageGone             the AMI that was being made is no longer there
    ├── TaskFailed            EC2 ended the bundle task in `failed`
    ├── NotRegistered         no AMI came of a bundle, which is complete and stays
    ├── DeadlineExceeded      the work would outlast the time that it has
    ├── RefusedToTheEnd       a call was refused until the time was up
    └── NotEnded              what a Delete is to end still runs
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

PERMISSION_CODES = {
    "403",  # the answer to a HEAD request has no body to give another code
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "Forbidden",
    "OptInRequired",
    "UnauthorizedOperation",
}
"""AWS's codes for what the caller is not permitted to do."""


class InstanceBundleError(Exception):
    """The root of all errors that this package raises on purpose."""


class InvalidEvent(InstanceBundleError):
    """The event is not one that CloudFormation or the poll queue sends."""


class Busy(InstanceBundleError):
    """Another process holds the request's lease.

    Attributes:
        seconds: how long it may hold it yet.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"another process is at work, for {seconds:.1f} s at most")


class Stale(InstanceBundleError):
    """The poll's generation has passed, or its request is long gone."""


class UnreadableManifest(InstanceBundleError):
    """The object is no manifest: truncated, too large, or something else altogether."""


class PassingFault(InstanceBundleError):
    """An AWS call failed in a way that is expected to pass; it may have had its effect."""


class NothingDone(PassingFault):
    """It failed before anything could have an effect."""


class Throttled(NothingDone):
    """AWS asks to come later, and did nothing."""


class Refusal(InstanceBundleError):
    """The request can't be fulfilled; `str()` of it is the Reason that CloudFormation shows."""


class Refused(NothingDone):
    """AWS refused a call, or something is not there, which may be otherwise later.

    Attributes:
        refusal: what it comes to where it stays so.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(str(refusal))


class Doubtful(Refused):
    """It is believed when it is repeated: a refused read, or what may only not be visible yet."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the properties.

    Attributes:
        path: the property path, such as `Storage.S3.Bucket`.
        message: what is wrong with it and what would be right.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long something may take.

    Attributes:
        property: what sets it.
        seconds: how long.
    """

    property: Literal["ServiceTimeout", "CompletionTimeout"]
    seconds: int


class InvalidProperties(Refusal):
    """ResourceProperties that can't be used; no AWS call was made."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in the properties. " + "; ".join(map(str, self.problems)))


class NotAllowed(Refusal):
    """The instance does not carry the tag that the deployment demands."""

    def __init__(self, instance_id: str, tag: str) -> None:
        super().__init__(
            f"InstanceId: {instance_id} does not carry the tag {tag}, and the application's "
            "parameter AllowedInstanceTag lets no other instance be bundled. Tag the instance, "
            "or name one that carries the tag."
        )


class NoInstance(Refusal):
    """EC2 knows no such instance."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            f"InstanceId: there is no instance {instance_id} in the stack's account and region; "
            "check the ID."
        )


class NotSuited(Refusal):
    """The instance is of a kind that the method can't make an image of; nothing was done."""

    def __init__(self, instance_id: str, method: str, fitting: str | None) -> None:
        advice = (
            f"Use `Method: {fitting}`, which suits it."
            if fitting
            else "No method suits it: its image can only be made from inside, by the AMI tools."
        )
        kinds = {
            "BundleInstance": "Windows instances with an instance-store root volume",
            "StoreImage": "instances with an EBS root volume",
        }
        super().__init__(
            f"InstanceId: {instance_id} is not of the kind that {method} makes an image of: "
            f"{kinds[method]}. {advice}"
        )


class NotDeletable(Refusal):
    """The resource says `OnDelete: Delete`, and the deployment does not let objects be removed."""

    def __init__(self, s3_uri: str) -> None:
        super().__init__(
            f"OnDelete: the bundle at {s3_uri} can't be removed, since the application's parameter "
            "AllowObjectDeletion is false. Set it to true, or delete the stack again and retain "
            "this resource."
        )


class UnusableSecret(Refusal):
    """What a secret holds can't sign an upload policy; nothing of it is told."""

    def __init__(self, secret_arn: str, why: str) -> None:
        super().__init__(
            f"UploadCredentials: {secret_arn} can't sign an upload policy: {why}. Store "
            '{"AccessKeyId": "…", "SecretAccessKey": "…"} of the bucket\'s owner in it.'
        )


class NameTaken(Refusal):
    """Another AMI of the account and region has the name; nothing was done."""

    def __init__(self, name: str, image_id: str) -> None:
        super().__init__(
            f"Image.Name: the AMI {image_id} has the name {name}, and names of AMIs are unique in "
            "an account and region; give another, or omit it to have a unique one made."
        )


class LocationTaken(Refusal):
    """The bucket and prefix hold a bundle already, or another resource is writing one there."""

    def __init__(self, s3_uri: str, holder: str) -> None:
        super().__init__(
            f"Storage.S3.Prefix: {holder} at {s3_uri}, and it is not overwritten. "
            "Change Prefix, or omit it to have a unique one made."
        )


class Superseded(Refusal):
    """The request came, or was still at work, after a later one about its resource."""

    def __init__(self) -> None:
        super().__init__(
            "A later request about this resource, an Update or its Delete, took this one's place. "
            "Nothing more is done for it."
        )


class Denied(Refusal):
    """AWS refused a call, and asking again would not help.

    Attributes:
        call: the call, such as `s3:HeadObject`.
        code: AWS's error code.
        message: AWS's words.
        advice: what to do about it.
    """

    def __init__(self, call: str, code: str, message: str, advice: str = "") -> None:
        self.call, self.code, self.message, self.advice = call, code, message, advice
        # What follows is for `sts decode-authorization-message`, and long.
        words = message.partition(" Encoded authorization failure message:")[0].rstrip(". ")
        super().__init__(f"{call} was refused. {code}: {words}. {advice}".rstrip())

    @property
    def is_by_permissions(self) -> bool:
        """Whether the role may not make the call. A change of IAM's takes effect within minutes, so
        that this may pass (IAM User Guide, Changes that I make are not always immediately visible).
        """
        return self.code in PERMISSION_CODES


class Gone(Denied):
    """What was to be changed or removed is not there."""


class ImageGone(Refusal):
    """The AMI that was being made is no longer there."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"Image: the AMI {image_id} is no longer there: somebody deregistered it before its "
            "work had ended. Deploy again to make another one."
        )


class TaskFailed(Refusal):
    """EC2 ended the bundle task in `failed`."""

    def __init__(self, task_id: str, code: str, message: str) -> None:
        super().__init__(f"Task {task_id} failed. {code}: {message}")


class NotRegistered(Refusal):
    """No AMI came of a bundle: EC2 refused, or the AMI failed."""

    def __init__(self, task_id: str, s3_uri: str, why: str) -> None:
        super().__init__(
            f"Image: the bundle {task_id} is complete, and is kept at {s3_uri}, but no AMI came of "
            f"it. {why}"
        )


class DeadlineExceeded(Refusal):
    """The request's time is nearly up and the work has not ended."""

    def __init__(self, timeout: Timeout, progress: str) -> None:
        super().__init__(
            f"{_outlasted(timeout, progress)}. "
            f"{_MORE_TIME[timeout.property]}, or bundle a smaller volume."
        )


class RefusedToTheEnd(Refusal):
    """What AWS refused was still refused when the request's time was up."""

    def __init__(self, timeout: Timeout, refused: str, last_seen: str | None) -> None:
        last = f" Last seen: {last_seen}." if last_seen else ""
        super().__init__(f"{_outlasted(timeout, refused)}{last}")


class NotEnded(Refusal):
    """What a Delete is to end still runs at the Delete's deadline."""

    def __init__(self, seconds: int, work: str) -> None:
        super().__init__(
            f"Not ended within ServiceTimeout ({seconds} s): {work}. "
            "Delete the stack again once it has ended."
        )


def _outlasted(timeout: Timeout, progress: str) -> str:
    return f"Not complete within {timeout.property} ({timeout.seconds} s): {progress}"


_MORE_TIME = {
    "ServiceTimeout": (
        "Raise ServiceTimeout (3600 s at most), give a CompletionHandle for work of up to 12 hours"
    ),
    "CompletionTimeout": "Raise CompletionTimeout (43200 s at most)",
}
