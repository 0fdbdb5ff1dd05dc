"""KMS keys by their ARNs, on moto's KMS."""

from __future__ import annotations

import boto3
from moto import mock_aws

from sandbox.upstream import key_ids


def test_a_key_is_disabled_and_enabled_by_its_arn() -> None:
    with mock_aws(), key_ids.known():
        kms = boto3.client("kms")
        arn = kms.create_key()["KeyMetadata"]["Arn"]

        def state() -> str:
            return str(kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])

        kms.disable_key(KeyId=arn)
        assert state() == "Disabled"
        kms.enable_key(KeyId=arn)
        assert state() == "Enabled"
        kms.schedule_key_deletion(KeyId=arn)
        assert state() == "PendingDeletion"
        kms.cancel_key_deletion(KeyId=arn)
        assert state() == "Disabled"
