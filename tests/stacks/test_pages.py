"""Commands of docs/storage.md, docs/security.md and examples/README.md, typed in the sandbox.

They are docs/command.md's of a change set, too. The IDs and names that stand for the reader's own
are replaced, as docs/local.md says.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.typed import claimed

from .examples import EXAMPLES, deleted
from .pages import Operator
from .support import Aws, locked

SOON = {"image_seconds": "1", "store_seconds": "1"}


@pytest.fixture
def web(of_all_workers: Path) -> Iterator[None]:
    """One test at a time has the stack `web`."""
    with locked(of_all_workers / "web"):
        yield


@pytest.fixture
def reader(aws: Aws, tmp_path: Path) -> Operator:
    """Somebody in a clone, with an empty bucket."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    bucket = f"my-images-{uuid.uuid4().hex[:8]}"
    aws.clients.s3.create_bucket(Bucket=bucket)
    return Operator(aws, "docs/storage.md", tmp_path, before="", own={"my-images": bucket})


def typed_by(reader: Operator) -> set[tuple[str, str, int]]:
    return {(reader.page, *each) for each in reader.typed}


@pytest.mark.usefixtures("web")
def test_a_stored_image_is_restored_by_the_command(aws: Aws, reader: Operator) -> None:
    instance = aws.ebs_instance(**SOON)
    examples = Operator(
        *(aws, "examples/README.md", reader.directory, ""),
        own={**reader.own, "i-1234567890abcdef0": instance},
    )

    examples.type("One resource", 1)

    image_id = aws.outputs(aws.stack("web"))["ImageId"]
    reader.own = {**reader.own, "ami-0c1d2e3f4a5b6c7d8": image_id}
    restored = json.loads(reader.type("Restore a stored image"))["ImageId"]
    deleted(aws, "web")
    [image] = aws.clients.ec2.describe_images(ImageIds=[restored])["Images"]
    assert (image["Name"], image["State"]) == ("web-restored", "available")
    test = "test_a_stored_image_is_restored_by_the_command"
    assert typed_by(reader) | typed_by(examples) == claimed(test)


@pytest.mark.usefixtures("web")
def test_the_commands_of_the_examples(aws: Aws, reader: Operator) -> None:
    bundled, stored = aws.instance(seconds="1"), aws.ebs_instance(**SOON)
    examples = Operator(aws, "examples/README.md", reader.directory, before="")
    command = Operator(aws, "docs/command.md", reader.directory, before="")
    for number, (instance, output) in {
        0: (bundled, "BundleId"),
        2: (stored, "ParameterName"),
        3: (stored, "ImageId"),
        4: (bundled, "QueueUrl"),
    }.items():
        bucket = f"my-images-{uuid.uuid4().hex[:8]}"
        aws.clients.s3.create_bucket(Bucket=bucket)
        examples.own = {"i-1234567890abcdef0": instance, "my-images": bucket}
        printed = examples.type("One resource", number)
        assert output in aws.outputs(aws.stack("web"))
        if number == 4:
            assert output in printed
        if number == 0:
            _change_set(aws, command, instance, bucket)
        deleted(aws, "web")
    test = "test_the_commands_of_the_examples"
    assert typed_by(examples) | typed_by(command) == claimed(test)


def _change_set(aws: Aws, command: Operator, instance: str, bucket: str) -> None:
    """Make a change set of a template that is in a file, as before `plan`."""
    body = aws.clients.cloudformation.get_template(StackName="web")["TemplateBody"]
    text = body if isinstance(body, str) else json.dumps(body)
    template = text.replace("!Ref InstanceId", instance).replace("!Ref Bucket", bucket)
    template = re.sub(r"^Parameters:\n(?: .*\n|\n)*", "", template, flags=re.MULTILINE)
    (command.directory / "web.yaml").write_text(template)
    made = json.loads(command.type("What an update will do"))
    described = aws.clients.cloudformation.describe_change_set(ChangeSetName=made["Id"])
    assert described["ChangeSetName"] == "next"


@pytest.mark.usefixtures("web")
def test_the_commands_of_the_pipeline(aws: Aws, reader: Operator) -> None:
    shutil.copytree(EXAMPLES / "pipeline", reader.directory / "pipeline")
    subnet = aws.clients.ec2.describe_subnets()["Subnets"][0]
    place = {
        "vpc-0123456789abcdef0": subnet["VpcId"],
        "subnet-0123456789abcdef0": subnet["SubnetId"],
    }
    examples = Operator(
        *(aws, "examples/README.md", reader.directory, ""), own={**reader.own, **place}
    )

    for number, output in enumerate(("SourceBucket", "RoleArn", "Pipeline")):
        examples.type("An image for each commit", number)
        stack = ("web", "web-role", "web-pipeline")[number]
        assert output in aws.outputs(aws.stack(stack))
    deleted(aws, "web-pipeline", "web-role", "web")
    assert typed_by(examples) == claimed("test_the_commands_of_the_pipeline")


def test_the_commands_about_tables_and_secrets(aws: Aws, reader: Operator) -> None:
    dynamodb = aws.clients.client("dynamodb")
    names = [f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("ledger", "restored")]
    ledger, restored = (
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )["TableDescription"]["TableArn"]
        for name in names
    )
    key = aws.clients.client("kms").create_key()["KeyMetadata"]["Arn"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:GetItem",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalArn": "nobody"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    dynamodb.put_resource_policy(ResourceArn=ledger, Policy=json.dumps(policy))
    security = Operator(aws, "docs/security.md", reader.directory, before="")

    security.type("Change the key", LEDGER=names[0], KEY_ARN=key)
    security.type("Who can read the ledger", LEDGER_ARN=ledger, RESTORED_ARN=restored)

    described = dynamodb.describe_table(TableName=names[0])["Table"]["SSEDescription"]
    assert described["KMSMasterKeyArn"] == key
    given = dynamodb.get_resource_policy(ResourceArn=restored)["Policy"]
    assert json.loads(given) == policy

    owner = {"AccessKeyId": "AKIA", "SecretAccessKey": "secret"}
    (reader.directory / "key.json").write_text(json.dumps(owner))
    made = json.loads(reader.type("Upload policies"))
    secret = aws.clients.client("secretsmanager").get_secret_value(SecretId=made["ARN"])
    assert json.loads(secret["SecretString"]) == owner
    test = "test_the_commands_about_tables_and_secrets"
    assert typed_by(reader) | typed_by(security) == claimed(test)
