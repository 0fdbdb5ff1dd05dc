"""Whether a request may make a bundle: all that is wrong with it, told in one go."""

from collections.abc import Iterator, Mapping
from typing import Any

from instance_bundle import budget
from instance_bundle.errors import InvalidProperties, Problem
from instance_bundle.request import properties, upload_policy
from instance_bundle.request.event import Request
from instance_bundle.request.properties import Properties, removes_on_delete
from instance_bundle.request.response_url import may_be_answered
from instance_bundle.settings import Limits

_BUCKET = "Storage.S3.Bucket"
_PREFIX = "Storage.S3.Prefix"
_POLICY = "Storage.S3.UploadPolicy"
_CREDENTIALS = "UploadCredentials"
_ON_DELETE = "OnDelete"
_METHOD = "Method"
_IMAGE = "Image"
_HANDLE = "CompletionHandle"
_TIMEOUT = "ServiceTimeout"


def admit(request: Request, limits: Limits, ends: float) -> Properties:
    """The properties of a request that is about to make a bundle.

    Args:
        request: a Create, or an Update that describes a bundle which is not there yet.
        limits: what the deployment allows.
        ends: epoch seconds when the work has ended at the latest.

    Raises:
        InvalidProperties: with every problem, of the properties themselves, of what the deployment
            does not allow, and of an upload policy that can't serve.
    """
    raw = request.properties
    problems = properties.problems(raw)
    wrong = {problem.path for problem in problems}

    def given(path: str) -> str | None:
        """What stands at a path, if it is right by itself."""
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
    if given(_HANDLE):
        problems += _handle_problems(request, limits)
    if request.repeats_handle:
        problems.append(
            Problem(
                _HANDLE,
                "is that of the bundle before, whose WaitCondition does not wait again; give "
                "handle and condition other logical IDs with each change that makes a bundle",
            )
        )
    if policy and bucket and _PREFIX not in wrong:
        document = upload_policy.read_document(policy)
        for problem in upload_policy.problems(document, bucket, prefix, ends):
            problems.append(Problem(_POLICY, problem))
    if problems:
        raise InvalidProperties(sorted(problems, key=lambda problem: problem.path))
    return Properties.parse(raw)


def admit_update(request: Request, limits: Limits) -> Properties:
    """The properties of an Update, which has what it needs whether it makes a bundle or not.

    What it leaves as it was is not held against it: a rollback must be able to go back there. Nor
    is a ServiceTimeout that is too short for a new bundle.

    Raises:
        InvalidProperties: with every problem.
    """
    problems = [
        problem for problem in properties.problems(request.properties) if problem.path != _TIMEOUT
    ]
    if not removes_on_delete(request.old_properties):
        problems += _deletion_not_allowed(request.properties, limits)
    if not any(problem.path == _HANDLE for problem in problems):
        problems += _handle_problems(request, limits)
    if problems:
        raise InvalidProperties(sorted(problems, key=lambda problem: problem.path))
    return Properties.parse(request.properties)


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
    if isinstance(raw, Mapping) and raw.get("Method") == "StoreImage" and not limits.makes_images:
        yield Problem(
            _METHOD,
            "can't be StoreImage, since the application's parameter AllowImages is false",
        )
    if isinstance(raw, Mapping) and "Image" in raw and not limits.makes_images:
        yield Problem(
            _IMAGE, "can't be given, since the application's parameter AllowImages is false"
        )
    yield from _deletion_not_allowed(raw, limits)


def _handle_problems(request: Request, limits: Limits) -> Iterator[Problem]:
    if request.handle and not may_be_answered(request.handle, limits.response_origin):
        yield Problem(
            _HANDLE,
            "must be the URL of a wait condition handle: !Ref of an "
            "AWS::CloudFormation::WaitConditionHandle",
        )


def _deletion_not_allowed(raw: Any, limits: Limits) -> Iterator[Problem]:
    if removes_on_delete(raw) and not limits.deletes_objects:
        yield Problem(
            _ON_DELETE,
            "can't be Delete, since the application's parameter AllowObjectDeletion is false",
        )
