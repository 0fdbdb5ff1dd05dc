"""Checks whether a request may make a bundle, and finds all of its problems at once."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from instance_bundle import budget
from instance_bundle.errors import InvalidProperties, Paused, Problem
from instance_bundle.request import properties, upload_policy
from instance_bundle.request.event import Request, length
from instance_bundle.request.formats import LONGEST_BUCKET, LONGEST_PREFIX, is_old_bucket_name
from instance_bundle.request.properties import Properties, removes_on_delete
from instance_bundle.request.receipt import Home
from instance_bundle.request.response_url import may_be_answered, place
from instance_bundle.settings import Limits, identity, is_paused

_BUCKET = "Storage.S3.Bucket"
_PREFIX = "Storage.S3.Prefix"
_POLICY = "Storage.S3.UploadPolicy"
_CREDENTIALS = "UploadCredentials"
_ON_DELETE = "OnDelete"
_METHOD = "Method"
_IMAGE = "Image"
_HANDLE = "CompletionHandle"
_TIMEOUT = "ServiceTimeout"


def _never() -> bool:
    return False


def admit(request: Request, limits: Limits, work_ends_by: float) -> Properties:
    """The properties of a request that is about to make a bundle.

    Args:
        request: a Create, or an Update that describes a new bundle.
        limits: what the deployment allows.
        work_ends_by: the latest time at which the work ends, epoch seconds.

    Raises:
        Paused: the application is paused.
        InvalidProperties: with every problem: of the properties, of what the deployment does not
            allow, and of an unsuitable upload policy.
    """
    _require_unpaused()
    raw = request.properties
    problems = properties.problems(raw)
    wrong = {problem.path for problem in problems}

    def given(path: str) -> str | None:
        """The value at a path, if it is a text without problems of its own."""
        value: Any = raw
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) and path not in wrong else None

    seconds = request.timeout(accepted=False).seconds
    if seconds < budget.SHORTEST_TIMEOUT and _TIMEOUT not in wrong:
        problems.append(Problem(_TIMEOUT, f"{seconds} is too short; give 10 seconds at least"))
    bucket, policy, secret = given(_BUCKET), given(_POLICY), given(_CREDENTIALS)
    prefix = given(_PREFIX) or request.made_prefix
    problems += _not_allowed(raw, bucket, secret, limits)
    if bucket and is_old_bucket_name(bucket):
        problems += _old_name_problems(request, bucket, given(_PREFIX))
    if given(_HANDLE):
        problems += _handle_problems(request, limits)
    if request.repeats_handle:
        problems.append(
            Problem(
                _HANDLE,
                "is that of the earlier bundle, whose WaitCondition does not wait again; give "
                "handle and condition new logical IDs with each change that makes a bundle",
            )
        )
    if policy and bucket and _PREFIX not in wrong:
        document = upload_policy.read_document(policy)
        for problem in upload_policy.problems(document, bucket, prefix, work_ends_by):
            problems.append(Problem(_POLICY, problem))
    if problems:
        raise InvalidProperties(sorted(problems, key=lambda problem: problem.path))
    return Properties.parse(raw)


def admit_update(
    request: Request, limits: Limits, undoes_last: Callable[[], bool] = _never
) -> Properties:
    """The properties of an Update, checked for what every Update needs.

    What it does not change is not refused, nor is a ServiceTimeout that is too short for a new
    bundle. A rollback may go back to what the deployment no longer allows, also while the
    application is paused, since CloudFormation can't continue if a rollback fails.

    Args:
        request: the Update.
        limits: what the deployment allows.
        undoes_last: returns whether the Update asks for the properties from before the last one;
            called only if that matters.

    Raises:
        Paused: the application is paused.
        InvalidProperties: with every problem.
    """
    _require_unpaused(undoes_last)
    problems = [
        problem for problem in properties.problems(request.properties) if problem.path != _TIMEOUT
    ]
    if not any(problem.path == _HANDLE for problem in problems):
        problems += _handle_problems(request, limits)
    newly = _newly_not_allowed(request.properties, request.old_properties, limits)
    if newly and not undoes_last():
        problems += newly
    if problems:
        raise InvalidProperties(sorted(problems, key=lambda problem: problem.path))
    return Properties.parse(request.properties)


def _require_unpaused(undoes_last: Callable[[], bool] = _never) -> None:
    if is_paused() and not undoes_last():
        raise Paused(identity().installation)


def _not_allowed(
    raw: Any, bucket: str | None, secret: str | None, limits: Limits
) -> Iterator[Problem]:
    if bucket and not limits.allow_bucket(bucket):
        allowed = ", ".join(limits.buckets)
        yield Problem(
            _BUCKET,
            f"is not one that the application's parameter AllowedBuckets allows: {allowed}",
        )
    if secret and not limits.allow_secret(secret):
        yield Problem(
            _CREDENTIALS,
            "is not a secret that the application's parameter UploadSecretArns allows"
            + ("" if limits.upload_secrets else "; it allows none"),
        )
    yield from _images_not_allowed(raw, limits)
    yield from _deletion_not_allowed(raw, limits)


def _newly_not_allowed(raw: Any, old: Any, limits: Limits) -> list[Problem]:
    """What an Update newly asks for, and the deployment does not allow."""
    problems = [
        problem
        for problem in _images_not_allowed(raw, limits)
        if not isinstance(old, Mapping) or raw[problem.path] != old.get(problem.path)
    ]
    if not removes_on_delete(old):
        problems += _deletion_not_allowed(raw, limits)
    return problems


def _images_not_allowed(raw: Any, limits: Limits) -> Iterator[Problem]:
    if limits.makes_images or not isinstance(raw, Mapping):
        return
    if raw.get(_METHOD) == "StoreImage":
        yield Problem(
            _METHOD,
            "can't be StoreImage, since the application's parameter AllowImages is false",
        )
    if _IMAGE in raw:
        yield Problem(
            _IMAGE, "can't be given, since the application's parameter AllowImages is false"
        )


def _old_name_problems(request: Request, bucket: str, prefix: str | None) -> Iterator[Problem]:
    home = Home.of_stack(request.stack_id)
    if home and home.region != "us-east-1":
        yield Problem(
            _BUCKET,
            "does not follow S3's bucket naming rules; only a bucket of us-east-1 from before "
            f"March 2018 can have such a name, and the stack is in {home.region}",
        )
    room = LONGEST_BUCKET + LONGEST_PREFIX - len(bucket)
    if prefix and length(prefix) > room:
        yield Problem(
            _PREFIX, f"is too long for a bucket with so long a name; give {room} bytes at most"
        )


def _handle_problems(request: Request, limits: Limits) -> Iterator[Problem]:
    if not request.handle:
        return
    if not may_be_answered(request.handle, limits.response_origin):
        yield Problem(
            _HANDLE,
            "must be the URL of a wait condition handle: !Ref of an "
            "AWS::CloudFormation::WaitConditionHandle",
        )
    home, bucket = Home.of_stack(request.stack_id), place(request.handle)
    if home and bucket and bucket != home.place:
        yield Problem(
            _HANDLE,
            f"is one of {bucket.region}, and the stack is in {home.region}; give a handle of the "
            "stack's Region",
        )


def _deletion_not_allowed(raw: Any, limits: Limits) -> Iterator[Problem]:
    if removes_on_delete(raw) and not limits.deletes_objects:
        yield Problem(
            _ON_DELETE,
            "can't be Delete, since the application's parameter AllowObjectDeletion is false",
        )
