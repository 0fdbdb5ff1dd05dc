"""The access key in a secret."""

import json
from typing import Any

import pytest
from moto import mock_aws

from instance_bundle import aws
from instance_bundle.aws import access_key
from instance_bundle.aws.access_key import AccessKey
from instance_bundle.errors import Doubtful, UnusableSecret

ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's documented example


def stored(**content: Any) -> str:
    arn: str = aws.secretsmanager().create_secret(Name="bundles", **content)["ARN"]
    return arn


@pytest.mark.parametrize(
    "fields",
    [
        {"AccessKeyId": ID, "SecretAccessKey": SECRET},
        {"AccessKeyId": ID, "SecretAccessKey": SECRET, "UserName": "bundler"},
        {"AccessKeyId": f" {ID}\n", "SecretAccessKey": f"{SECRET}\n"},
    ],
)
@pytest.mark.parametrize("kind", ["SecretString", "SecretBinary"])
def test_a_key_is_in_the_fields_that_iam_names(fields: dict[str, Any], kind: str) -> None:
    with mock_aws():
        arn = stored(**{kind: json.dumps(fields)})

        assert access_key.read(arn) == AccessKey(ID, SECRET)


@pytest.mark.parametrize(
    "fields",
    [
        {"Access key ID": ID, "Secret access key": SECRET},
        {"aws_access_key_id": ID, "aws_secret_access_key": SECRET},
        {"accessKeyId": ID, "secretAccessKey": SECRET},
        {"AWSAccessKeyId": ID, "AWSSecretKey": SECRET},
        {"AccessKey": {"UserName": "b", "AccessKeyId": ID, "SecretAccessKey": SECRET}},
    ],
)
def test_no_other_name_is_guessed(fields: dict[str, Any]) -> None:
    with mock_aws():
        arn = stored(SecretString=json.dumps(fields))

        with pytest.raises(UnusableSecret, match="it has no field AccessKeyId") as raised:
            access_key.read(arn)

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (SECRET, "it is no JSON object"),
        (json.dumps([ID, SECRET]), "it is no JSON object"),
        ("[" * 100_000, "it is no JSON object"),
        (json.dumps({"SecretAccessKey": SECRET}), "it has no field AccessKeyId"),
        (json.dumps({"AccessKeyId": ID, "SecretAccessKey": ""}), "no field SecretAccessKey"),
        (json.dumps({"AccessKeyId": ID, "SecretAccessKey": [SECRET]}), "field SecretAccessKey"),
        (
            json.dumps({"AccessKeyId": ID, "SecretAccessKey": SECRET, "SessionToken": "t0ken"}),
            "temporary",
        ),
        (json.dumps({"AccessKeyId": "ASIA" + ID[4:], "SecretAccessKey": SECRET}), "temporary"),
    ],
)
def test_a_secret_without_a_long_lived_key_is_refused_and_its_content_is_not_shown(
    content: str, why: str
) -> None:
    with mock_aws():
        arn = stored(SecretString=content)

        with pytest.raises(UnusableSecret, match=why) as raised:
            access_key.read(arn)

    assert arn in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "t0ken" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_secret_is_read_again_each_time() -> None:
    with mock_aws():
        arn = stored(SecretString=json.dumps({"AccessKeyId": ID, "SecretAccessKey": "old"}))
        access_key.read(arn)
        aws.secretsmanager().update_secret(
            SecretId=arn, SecretString=json.dumps({"AccessKeyId": ID, "SecretAccessKey": SECRET})
        )

        assert access_key.read(arn).secret_access_key == SECRET


def test_a_missing_secret_is_refused_with_what_to_check() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:none-AbCdEf"

    with mock_aws(), pytest.raises(Doubtful, match=r"ResourceNotFoundException.*UploadSecretArns"):
        access_key.read(arn)


def test_what_is_printed_of_a_key_does_not_show_its_secret() -> None:
    assert SECRET not in repr(AccessKey(ID, SECRET))
