"""What a role may do now, on moto's IAM and a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sandbox.upstream import permissions
from sandbox.upstream.permissions import Permissions
from tests.fixtures import Clock
from tests.sandbox.cloudformation.parts import TRUST, document

QUEUE = "arn:aws:sqs:us-east-1:123456789012:polls"
DELAY = 3.0


@dataclass(frozen=True)
class Account:
    """A role, and what judges it."""

    iam: Any
    permissions: Permissions
    clock: Clock
    role: str

    def may(self, action: str) -> bool:
        return self.permissions.allows(self.role, action, QUEUE)

    def put(self, *actions: str, name: str = "one", **more: Any) -> None:
        self.iam.put_role_policy(
            RoleName="worker",
            PolicyName=name,
            PolicyDocument=json.dumps(document(*actions, **more)),
        )

    def managed(self, *actions: str) -> str:
        arn: str = self.iam.create_policy(
            PolicyName="managed", PolicyDocument=json.dumps(document(*actions))
        )["Policy"]["Arn"]
        return arn


@pytest.fixture
def account(clock: Clock) -> Iterator[Account]:
    with mock_aws(), permissions.installed(clock, DELAY) as judge:
        iam = boto3.client("iam")
        role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))
        yield Account(iam, judge, clock, role["Role"]["Arn"])


def test_a_permission_counts_once_the_delay_is_over(account: Account) -> None:
    account.put("sqs:SendMessage")

    account.clock.advance(DELAY - 0.1)
    assert not account.may("sqs:SendMessage")
    account.clock.advance(0.1)
    assert account.may("sqs:SendMessage")
    assert not account.may("sqs:ReceiveMessage")


def test_a_permission_that_is_taken_away_counts_no_more_at_once(account: Account) -> None:
    account.put("sqs:SendMessage")
    account.clock.advance(DELAY)

    account.iam.delete_role_policy(RoleName="worker", PolicyName="one")

    assert not account.may("sqs:SendMessage")


def test_what_both_the_old_and_the_new_policy_allow_is_allowed_all_the_time(
    account: Account,
) -> None:
    account.put("sqs:SendMessage", "sqs:ReceiveMessage")
    account.clock.advance(DELAY)

    account.put("sqs:SendMessage", "sqs:DeleteMessage")

    assert account.may("sqs:SendMessage")
    assert not account.may("sqs:ReceiveMessage")
    assert not account.may("sqs:DeleteMessage")
    account.clock.advance(DELAY)
    assert account.may("sqs:DeleteMessage")


def test_a_managed_policy_counts_from_its_attachment_on(account: Account) -> None:
    arn = account.managed("sqs:SendMessage")
    account.clock.advance(DELAY)

    account.iam.attach_role_policy(RoleName="worker", PolicyArn=arn)

    assert not account.may("sqs:SendMessage")
    account.clock.advance(DELAY)
    assert account.may("sqs:SendMessage")
    account.iam.detach_role_policy(RoleName="worker", PolicyArn=arn)
    assert not account.may("sqs:SendMessage")


def test_another_version_of_a_managed_policy_counts_later(account: Account) -> None:
    arn = account.managed("sqs:SendMessage")
    account.iam.attach_role_policy(RoleName="worker", PolicyArn=arn)
    account.clock.advance(DELAY)

    account.iam.create_policy_version(
        PolicyArn=arn,
        PolicyDocument=json.dumps(document("sqs:ReceiveMessage")),
        SetAsDefault=True,
    )

    assert not account.may("sqs:SendMessage")
    assert not account.may("sqs:ReceiveMessage")
    account.clock.advance(DELAY)
    assert account.may("sqs:ReceiveMessage")


def test_awss_own_policies_are_known(account: Account) -> None:
    own = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"

    account.iam.attach_role_policy(RoleName="worker", PolicyArn=own)

    account.clock.advance(DELAY)
    assert account.may("sqs:ReceiveMessage")
    assert not account.may("sqs:SendMessage")


def test_a_policy_that_is_not_awss_is_not_known(account: Account) -> None:
    with pytest.raises(account.iam.exceptions.NoSuchEntityException):
        account.iam.attach_role_policy(
            RoleName="worker", PolicyArn="arn:aws:iam::aws:policy/AWSLambdaSQSQueueExecutionRole"
        )


def test_a_boundary_allows_nothing_by_itself_and_bounds_what_is_allowed(account: Account) -> None:
    bound = account.managed("sqs:SendMessage")
    account.put("sqs:ReceiveMessage")
    account.clock.advance(DELAY)

    account.iam.put_role_permissions_boundary(RoleName="worker", PermissionsBoundary=bound)

    account.clock.advance(DELAY)
    assert not account.may("sqs:SendMessage")
    assert not account.may("sqs:ReceiveMessage")
    account.put("sqs:SendMessage", "sqs:ReceiveMessage")
    account.clock.advance(DELAY)
    assert account.may("sqs:SendMessage")
    assert not account.may("sqs:ReceiveMessage")


def test_the_caller_is_known_to_conditions(account: Account) -> None:
    of_worker = {"ArnEquals": {"aws:PrincipalArn": account.role}}
    account.put("sqs:SendMessage", Condition=of_worker)
    account.put(
        "sqs:ReceiveMessage", name="two", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    )

    account.clock.advance(DELAY)

    assert account.may("sqs:SendMessage")
    assert not account.may("sqs:ReceiveMessage")
    assert account.permissions.allows(
        account.role, "sqs:ReceiveMessage", QUEUE, {"aws:SourceVpc": "vpc-1"}
    )


def test_a_role_that_is_not_there_may_do_nothing(account: Account) -> None:
    account.put("*")
    account.clock.advance(DELAY)

    assert not account.permissions.allows(f"{account.role}s", "sqs:SendMessage", QUEUE)


def test_a_role_that_is_made_again_starts_with_nothing(account: Account) -> None:
    account.put("sqs:SendMessage")
    account.clock.advance(DELAY)
    account.iam.delete_role_policy(RoleName="worker", PolicyName="one")
    account.iam.delete_role(RoleName="worker")

    account.iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))

    account.clock.advance(DELAY)
    assert not account.may("sqs:SendMessage")
