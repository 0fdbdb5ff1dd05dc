"""The errors of services if a role may not do something.

The messages: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html and
reports of EC2's (https://github.com/kubernetes-sigs/karpenter/issues/2813).
"""

from __future__ import annotations

from sandbox.authorization.call import Call
from sandbox.authorization.demand import Demand
from sandbox.calls.api_calls import ServiceError
from sandbox.upstream.permissions import Refusal

_ENCODED = "Zm9yIHN0czpEZWNvZGVBdXRob3JpemF0aW9uTWVzc2FnZQ" * 12
"""EC2 adds details that only sts:DecodeAuthorizationMessage reads; they are about as long."""

_STATUS = {"cloudformation": 403, "ec2": 403, "s3": 403, "sqs": 403}
_CODES = {
    "cloudformation": "AccessDenied",  # with 403 (https://github.com/anomalyco/sst/issues/3006)
    "ec2": "UnauthorizedOperation",
    "s3": "AccessDenied",
    "sqs": "AccessDenied",
}


def error_of(call: Call, session_arn: str, demand: Demand, refusal: Refusal) -> ServiceError:
    """What the service that is called answers.

    Args:
        session_arn: who calls.
        demand: what is not allowed.
        refusal: why.
    """
    words = _words(call, session_arn, demand, refusal)
    if demand.action.startswith("kms:") and call.service != "ec2":
        return _of_key(call, words)
    status, code = _STATUS.get(call.service, 400), _CODES.get(call.service, "AccessDeniedException")
    if call.service == "ec2":
        words = (
            f"You are not authorized to perform this operation. {words}. "
            f"Encoded authorization failure message: {_ENCODED}"
        )
    return ServiceError(status, code, words)


def _of_key(call: Call, words: str) -> ServiceError:
    match call.service:
        case "sqs":  # Amazon SQS API Reference, SendMessage and ReceiveMessage, KmsAccessDenied
            return ServiceError(400, "KMS.AccessDeniedException", words)
        case "secretsmanager":
            # https://github.com/external-secrets/external-secrets/issues/390
            return ServiceError(400, "AccessDeniedException", "Access to KMS is not allowed")
    return ServiceError(400, "AccessDeniedException", words)


def _words(call: Call, session_arn: str, demand: Demand, refusal: Refusal) -> str:
    action, arn = demand.action, demand.target.arn
    if call.service == "s3":
        arn = f'"{arn}"'
    on_resource = "" if arn == "*" else f" on resource: {arn}"
    article = "an" if refusal.policy == "identity-based policy" else "a"
    because = (
        f"with an explicit deny in {article} {refusal.policy}"
        if refusal.denies
        else f"because no {refusal.policy} allows the {action} action"
    )
    return f"User: {session_arn} is not authorized to perform: {action}{on_resource} {because}"
