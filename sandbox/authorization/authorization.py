"""Authorizes calls by the roles of those who make them, and records the decisions."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import LambdaFunction

from sandbox.authorization import others, s3
from sandbox.authorization.call import Call
from sandbox.authorization.demand import Demand
from sandbox.authorization.needs import demands_of
from sandbox.authorization.refusals import error_of
from sandbox.authorization.sessions import Caller
from sandbox.calls.api_calls import ServiceError
from sandbox.upstream.permissions import Permissions
from sandbox.upstream.policies import open_to


@dataclass(frozen=True, slots=True)
class _Asked:
    session: str
    call: str
    demand: Demand
    is_allowed: bool


class Authorization:
    """What functions may call now. Safe to use from several threads.

    Args:
        permissions: of the roles.
    """

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._lock = threading.Lock()
        self._asked: Counter[_Asked] = Counter()

    def refusal(self, caller: Caller, call: Call) -> ServiceError | None:
        """What the called service answers where it refuses; None where it does not."""
        return next((error for _, error in self.refusals(caller, call)), None)

    def refusals(self, caller: Caller, call: Call) -> list[tuple[Demand, ServiceError]]:
        """The part of a call that the role may not do, and the called service's error."""
        judged = [(demand, self._refusal(caller, call, demand)) for demand in demands_of(call)]
        return [(demand, error) for demand, error in judged if error is not None]

    def shows(self, caller: Caller, call: Call, action: str) -> bool:
        """Whether the role may read this of the object that a call reads."""
        demands = [Demand(action, target) for target in s3.object_(call)]
        return all(self._refusal(caller, call, demand) is None for demand in demands)

    def allows(self, function: LambdaFunction, name: str, parameters: Mapping[str, Any]) -> bool:
        """Whether a function's role allows a call that Lambda makes by it.

        Args:
            name: of the call, as `service:Action`.
            parameters: what says what it is about, as in the call's request.
        """
        caller = Caller(function.function_name, function.role)
        call = Call(name, function.account_id, function.region, parameters)
        return self.refusal(caller, call) is None

    def refusal_to_invoke(self, role_arn: str, function_arn: str) -> str | None:
        """Why CloudFormation may not invoke a function by the service role of a stack.

        Source: CloudFormation User Guide, CloudFormation service role.
        """
        caller = Caller("AWSCloudFormation", role_arn)
        region = function_arn.split(":")[3]
        name = {"FunctionName": function_arn}
        refusal = self.refusal(caller, Call("lambda:InvokeFunction", caller.account, region, name))
        return refusal.message if refusal else None

    def described(self) -> list[dict[str, Any]]:
        """The authorization decisions, as JSON can hold them: `function` (the session's name),
        `call`, `action`, `resource`, `context` (condition keys and values), `allowed` and `count`.
        """
        with self._lock:
            asked = list(self._asked.items())
        return [
            {
                "function": each.session,
                "call": each.call,
                "action": each.demand.action,
                "resource": each.demand.target.arn,
                "context": dict(each.demand.target.context),
                "allowed": each.is_allowed,
                "count": count,
            }
            for each, count in asked
        ]

    def _refusal(self, caller: Caller, call: Call, demand: Demand) -> ServiceError | None:
        refusal = self._permissions.refusal(
            caller.role_arn, demand.request(), _policy_of_resource(caller, call, demand)
        )
        asked = _Asked(caller.name, call.name, demand, is_allowed=refusal is None)
        with self._lock:
            self._asked[asked] += 1
        return None if refusal is None else error_of(call, caller.session_arn, demand, refusal)


def _policy_of_resource(caller: Caller, call: Call, demand: Demand) -> str | None:
    """The statements about the caller in the policy of a queue or a table; of others none is
    known."""
    policy = None
    match demand.action.partition(":")[0]:
        case "sqs":
            queue = others.queue_of(call)
            policy = queue.policy if queue is not None else None
        case "dynamodb":
            policy = others.policy_of_table(call, demand.target.arn)
    return open_to(policy, caller.principals) if policy else None
