"""What can go wrong, and what CloudFormation shows of it.

InstanceBundleError
├── InvalidEvent          not a custom resource event: logged, there is nobody to answer
├── Busy                  another process works on the request: its poll is received again later
├── Stale                 an outdated poll: dropped
├── UnreadableManifest    not a bundle's manifest: logged, and nothing is removed
├── PassingFault          a transient error: connection lost, timeout, server error; retried
│   └── NothingDone           had no effect for sure, such as a failed read before a write
│       ├── ImagePending          an AMI was registered, and is not available yet
│       ├── Throttled             AWS throttled the call
│       └── Refused               AWS refused a call, and may accept it later
│           └── Doubtful              final only if it is repeated while no work runs
└── Refusal               answered FAILED; its text is the Reason, for a person to read
    ├── Paused                the application is paused: nothing is made, and nothing removed
    ├── InvalidProperties     every problem of ResourceProperties, by its property path
    ├── NotAllowed            the deployment does not allow to bundle this instance
    ├── Unsuitable            the instance, bucket or name can't be used; nothing was done
    ├── NotSuited             the method can't make an image of this type of instance
    ├── NotDeletable          the deployment does not allow to remove objects
    ├── UnusableSecret        the secret of UploadCredentials holds no long-lived access key
    ├── NameTaken             another AMI has the name
    ├── LocationTaken         another bundle has, or had, this bucket and prefix
    ├── ConditionFailed       the item is no longer as the ledger wrote it
    ├── Superseded            a later request about the resource, or its Delete, came first
    ├── Denied                AWS refused a call, and a retry would not help
    │   └── Gone                  what was to be changed or removed does not exist
    ├── ImageGone             the AMI no longer exists
    ├── TaskFailed            the bundle task is `failed`
    ├── NotRegistered         the bundle is complete and kept, but no AMI could be registered
    ├── DeadlineExceeded      the work did not end before the request's deadline
    ├── RefusedToTheEnd       a call was still refused at the request's deadline
    ├── NotConfirmed          CloudFormation does not confirm that it sent the request
    ├── CannotTell            an Update may make a new image, or go back to an earlier one
    └── NotEnded              work that a Delete has to end still runs
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


class InstanceBundleError(Exception):
    """The root of all errors that this package raises on purpose."""


class InvalidEvent(InstanceBundleError):
    """The event is not one that CloudFormation or the poll queue sends."""


class Busy(InstanceBundleError):
    """Another process holds the request's lease, for `seconds` more at most."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"another process is at work, for {seconds:.1f} s at most")


class Stale(InstanceBundleError):
    """The poll has an old generation, or its request is no longer in the ledger."""


class UnreadableManifest(InstanceBundleError):
    """The object is not a manifest: truncated, too large, or something else."""


class PassingFault(InstanceBundleError):
    """An AWS call failed with a transient error; it may have had its effect."""


class NothingDone(PassingFault):
    """It failed before anything could have an effect."""


class ImagePending(NothingDone):
    """The AMI with the ID `image_id` is not available yet."""

    def __init__(self, image_id: str) -> None:
        self.image_id = image_id
        super().__init__(f"the AMI {image_id} is not available yet")


class Throttled(NothingDone):
    """AWS throttled the call, which had no effect."""


class Refusal(InstanceBundleError):
    """The request can't be fulfilled; `str()` of it is the Reason that CloudFormation shows."""


class Refused(NothingDone):
    """AWS refused a call, or something does not exist, or the application is paused; a retry may
    succeed later. `refusal` is the answer if none does."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(str(refusal))


class Doubtful(Refused):
    """Final only if it is repeated: a refused read, or something that may not be visible yet."""


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
    """How long something may take, in seconds, and the property that sets it."""

    property: Literal["ServiceTimeout", "CompletionTimeout"]
    seconds: int


class Paused(Refusal):
    """The application is paused: it makes nothing and removes nothing."""

    def __init__(self, application: str) -> None:
        super().__init__(
            f"The application {application} is paused: its parameter Paused is true. Set it to "
            "false, then deploy or delete the stack again."
        )


class InvalidProperties(Refusal):
    """ResourceProperties that can't be used; no AWS call was made."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in the properties. " + "; ".join(map(str, self.problems)))


class NotAllowed(Refusal):
    """The instance does not have the tag that the deployment requires."""

    def __init__(self, instance_id: str, tag: str) -> None:
        super().__init__(
            f"InstanceId: {instance_id} does not have the tag {tag}, which the application's "
            "parameter AllowedInstanceTag requires. Add the tag to the instance, or name an "
            "instance that has it."
        )


class Unsuitable(Refusal):
    """What a property names does not exist, or can't be used as it is; nothing was done."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")


class NotSuited(Refusal):
    """The method can't make an image of this type of instance; nothing was done."""

    def __init__(self, instance_id: str, method: str, fitting: str | None, otherwise: str) -> None:
        use = f"Use `Method: {fitting}` for this instance."
        advice = use if fitting else f"No method supports it. {otherwise}"
        kinds = {
            "BundleInstance": "Windows instances with an instance-store root volume",
            "StoreImage": "HVM instances with an EBS root volume",
        }
        super().__init__(
            f"InstanceId: {method} does not support {instance_id}, only {kinds[method]}. {advice}"
        )


class NotDeletable(Refusal):
    """The resource says `OnDelete: Delete`, and the deployment does not let objects be removed."""

    def __init__(self, s3_uri: str) -> None:
        super().__init__(
            f"OnDelete: the bundle at {s3_uri} can't be removed, because the application's "
            "parameter AllowObjectDeletion is false. Set it to true, or delete the stack again "
            "and retain this resource."
        )


class UnusableSecret(Refusal):
    """A secret has no access key that can sign an upload policy; its content is not shown."""

    def __init__(self, secret_arn: str, why: str) -> None:
        super().__init__(
            f"UploadCredentials: {secret_arn} can't sign an upload policy: {why}. Store "
            '{"AccessKeyId": "…", "SecretAccessKey": "…"} of the bucket\'s owner in it.'
        )


class NameTaken(Refusal):
    """Another AMI of the account and region has the name; nothing was done."""

    def __init__(self, name: str, image_id: str) -> None:
        super().__init__(
            f"Image.Name: the AMI {image_id} has the name {name} already, and AMI names are unique "
            "in an account and region. Choose another name, or omit it to get a generated one."
        )


class LocationTaken(Refusal):
    """The bucket and prefix hold a bundle already, or another resource is writing one there."""

    def __init__(self, s3_uri: str, holder: str) -> None:
        super().__init__(
            f"Storage.S3.Prefix: {holder} at {s3_uri}, and it is not overwritten. "
            "Change Prefix, or omit it to get a generated one."
        )


class ConditionFailed(Refusal):
    """A conditional write to the ledger failed; `item` is as it is now, None if there is none."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        self.item = item
        super().__init__(
            "The ledger's item of this request was changed or removed by hand. Check who may write "
            "to the application's table, then redeploy."
        )


class Superseded(Refusal):
    """The request came, or its work still ran, after a later request about its resource."""

    def __init__(self) -> None:
        super().__init__(
            "A later request about this resource (an Update or its Delete) has replaced this one. "
            "Nothing more is done for it."
        )


class Denied(Refusal):
    """AWS refused a call, and a retry would not help.

    Attributes:
        call: the call, such as `s3:HeadObject`.
        code: AWS's error code.
        message: AWS's message.
        advice: what to do about it.
    """

    def __init__(self, call: str, code: str, message: str, advice: str = "") -> None:
        self.call, self.code, self.message, self.advice = call, code, message, advice
        # What follows is for `sts decode-authorization-message`, and long.
        words = message.partition(" Encoded authorization failure message:")[0].rstrip(". ")
        super().__init__(f"{call} was refused. {code}: {words}. {advice}".rstrip())


class Gone(Denied):
    """What was to be changed or removed does not exist."""


class ImageGone(Refusal):
    """The AMI no longer exists: somebody has deregistered it."""

    def __init__(self, image_id: str, advice: str) -> None:
        super().__init__(
            f"Image: the AMI {image_id} no longer exists: it was deregistered. {advice} to make "
            "another one."
        )


class TaskFailed(Refusal):
    """The bundle task is `failed`."""

    def __init__(self, task_id: str, code: str, message: str) -> None:
        super().__init__(f"Task {task_id} failed. {code}: {message}")


class NotRegistered(Refusal):
    """No AMI could be registered from a bundle: EC2 refused, or the AMI failed."""

    def __init__(self, task_id: str, s3_uri: str, why: str) -> None:
        super().__init__(
            f"Image: the bundle {task_id} is complete and kept at {s3_uri}, but no AMI could be "
            f"registered from it. {why}"
        )


class DeadlineExceeded(Refusal):
    """The work did not end before the request's deadline."""

    def __init__(self, timeout: Timeout, progress: str) -> None:
        super().__init__(
            f"{_outlasted(timeout, progress)}. "
            f"{_MORE_TIME[timeout.property]}, or bundle a smaller volume."
        )


class RefusedToTheEnd(Refusal):
    """AWS still refused a call at the request's deadline."""

    def __init__(self, timeout: Timeout, refused: str, last_seen: str | None) -> None:
        last = f" Last seen: {last_seen}." if last_seen else ""
        super().__init__(f"{_outlasted(timeout, refused)}{last}")


class NotConfirmed(Refusal):
    """CloudFormation does not say that it is doing what a request asks for; nothing was changed."""

    def __init__(self, request_type: str, said: str) -> None:
        super().__init__(
            f"CloudFormation does not confirm this {request_type}: {said}. Nothing was changed. If "
            "the stack needs it, run the operation again; requests that were made by hand need "
            "the application's parameter VerifyRequests to be false."
        )


class CannotTell(Refusal):
    """An Update asks for what the resource had before, and may go on or go back to it."""

    def __init__(self, said: str) -> None:
        super().__init__(
            "It is not known whether this Update makes a new image of what the resource had "
            f"before, or goes back to the earlier one: {said}. Nothing was changed. Change "
            "Storage.S3.Prefix or Image.Name to force a new image."
        )


class NotEnded(Refusal):
    """Work that a Delete has to end still runs at the Delete's deadline."""

    def __init__(self, seconds: int, work: str) -> None:
        super().__init__(
            f"Not ended within ServiceTimeout ({seconds} s): {work}. "
            "Wait until it has ended, then delete the stack again."
        )


def _outlasted(timeout: Timeout, progress: str) -> str:
    return f"Not complete within {timeout.property} ({timeout.seconds} s): {progress}"


_MORE_TIME = {
    "ServiceTimeout": (
        "Raise ServiceTimeout (3600 s at most), use a CompletionHandle for work of up to 12 hours"
    ),
    "CompletionTimeout": "Raise CompletionTimeout (43200 s at most)",
}
