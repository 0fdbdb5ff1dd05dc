"""DynamoDB, SQS, Secrets Manager and EventBridge ask IAM, and KMS for keys of the customer's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from sandbox.upstream import table_keys
from tests.sandbox.authorization.conftest import SESSION, Account, code
from tests.sandbox.cloudformation.parts import document

KEY = "arn:aws:kms:us-east-1:123456789012:key/of-the-customer"
ITEM = {"id": {"S": "1"}}
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/ledger"


def make_table(account: Account, **more: Any) -> None:
    account.owner.client("dynamodb").create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def make_queue(account: Account, **attributes: str) -> str:
    url: str = account.owner.client("sqs").create_queue(QueueName="polls", Attributes=attributes)[
        "QueueUrl"
    ]
    return url


def test_a_table_is_named_in_dynamodbs_words(account: Account) -> None:
    make_table(account)

    error = account.refusal("dynamodb", "put_item", TableName="ledger", Item=ITEM)

    assert code(error) == (400, "AccessDeniedException")
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/ledger"
    assert error.response["Error"]["Message"] == (
        f"User: {SESSION} is not authorized to perform: dynamodb:PutItem on resource: {arn} "
        "because no identity-based policy allows the dynamodb:PutItem action"
    )
    account.allow("dynamodb:PutItem", resource=arn)
    account.client("dynamodb").put_item(TableName="ledger", Item=ITEM)
    assert account.missing("dynamodb", "scan", TableName="ledger") == "dynamodb:Scan"


def test_a_batch_of_messages_needs_the_action_of_one(account: Account) -> None:
    sent = {"QueueUrl": make_queue(account), "Entries": [{"Id": "1", "MessageBody": "a"}]}
    error = account.refusal("sqs", "send_message_batch", **sent)
    assert code(error) == (403, "AccessDenied")

    account.allow("sqs:SendMessage", resource="arn:aws:sqs:us-east-1:123456789012:polls")

    assert account.client("sqs").send_message_batch(**sent)["Successful"]


def test_a_stack_is_described_to_who_may_describe_it(account: Account) -> None:
    handle = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    stack_id = account.owner.cloudformation.create_stack(
        StackName="shop", TemplateBody=json.dumps({"Resources": handle})
    )["StackId"]
    of_all = "arn:aws:cloudformation:us-east-1:123456789012:stack"
    error = account.refusal("cloudformation", "describe_stacks", StackName=stack_id)
    assert code(error) == (403, "AccessDenied")
    assert error.response["Error"]["Message"] == (
        f"User: {SESSION} is not authorized to perform: cloudformation:DescribeStacks on resource: "
        f"{stack_id} because no identity-based policy allows the cloudformation:DescribeStacks "
        "action"
    )
    account.allow("cloudformation:DescribeStacks", resource=f"{of_all}/other/*")
    for named in (stack_id, "shop"):
        assert account.missing("cloudformation", "describe_stacks", StackName=named)

    account.allow(
        *("cloudformation:DescribeStacks", "cloudformation:DescribeStackResource"),
        "cloudformation:DescribeStackEvents",
        resource=f"{of_all}/*",
    )

    for named in (stack_id, "shop", f"{of_all}/never/5a4db0f0-0000-4000-8000-000000000000"):
        error = account.refusal(
            "cloudformation", "describe_stack_resource", StackName=named, LogicalResourceId="No"
        )
        assert code(error) == (400, "ValidationError")
        error = account.refusal("cloudformation", "describe_stack_events", StackName=named)
        assert code(error)[0] == 400  # unknown yet, or throttled; not denied


def test_a_secret_is_allowed_by_its_arn_whatever_names_it(account: Account) -> None:
    arn = account.owner.client("secretsmanager").create_secret(Name="key", SecretString="a")["ARN"]
    error = account.refusal("secretsmanager", "get_secret_value", SecretId="key")
    assert code(error) == (400, "AccessDeniedException")

    account.allow("secretsmanager:GetSecretValue", resource=arn)

    for secret_id in ("key", arn):
        found = account.client("secretsmanager").get_secret_value(SecretId=secret_id)
        assert found["SecretString"] == "a"


def test_each_event_is_asked_for_with_its_source_and_type(account: Account) -> None:
    account.allow(
        "events:PutEvents",
        resource="arn:aws:events:us-east-1:123456789012:event-bus/default",
        Condition={"StringEquals": {"events:source": "me", "events:detail-type": "News"}},
    )
    news = {"Source": "me", "DetailType": "News", "Detail": "{}"}

    account.client("events").put_events(Entries=[news])

    for other in ({"Source": "you"}, {"DetailType": "Gossip"}, {"EventBusName": "other"}):
        error = account.refusal("events", "put_events", Entries=[news, {**news, **other}])
        assert code(error) == (400, "AccessDeniedException")
    assert len(account.owner.client("events").list_event_buses()["EventBuses"]) == 1


# The policy of a queue


def set_policy(account: Account, url: str, *statements: dict[str, Any]) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    account.owner.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def about(principal: Any, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": "sqs:*", "Resource": "*", **more}


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": "*"},
        {"AWS": "123456789012"},
        {
            "AWS": [
                "arn:aws:iam::123456789012:role/other",
                "arn:aws:iam::123456789012:role/worker-role",
            ]
        },
        {"AWS": SESSION},
    ],
)
def test_the_queues_policy_may_allow_what_the_role_does_not(
    account: Account, principal: Any
) -> None:
    url = make_queue(account)
    set_policy(account, url, about({"AWS": "arn:aws:iam::123456789012:role/other"}))
    assert (
        account.missing("sqs", "send_message", QueueUrl=url, MessageBody="a") == "sqs:SendMessage"
    )

    set_policy(account, url, about(principal))

    account.client("sqs").send_message(QueueUrl=url, MessageBody="a")


def test_the_queues_policy_may_deny_what_the_role_allows(account: Account) -> None:
    url = make_queue(account)
    account.allow("sqs:*")

    def deny_all_but(role: str) -> None:
        others = {"ArnNotEquals": {"aws:PrincipalArn": role}}
        plain = {"Bool": {"aws:SecureTransport": "false"}}
        set_policy(
            account,
            url,
            about("*", "Deny", Condition=others),
            about("*", "Deny", Condition=plain),
        )

    deny_all_but(account.role)
    account.client("sqs").send_message(QueueUrl=url, MessageBody="a")
    deny_all_but("arn:aws:iam::123456789012:role/other")
    error = account.refusal("sqs", "send_message", QueueUrl=url, MessageBody="a")
    assert error.response["Error"]["Message"].endswith(
        "with an explicit deny in a resource-based policy"
    )


def test_the_queues_policy_allows_nothing_beyond_the_boundary(account: Account) -> None:
    url, iam = make_queue(account), account.owner.client("iam")
    set_policy(account, url, about({"AWS": SESSION}))

    def bound(*actions: str) -> None:
        arn = iam.create_policy(
            PolicyName=actions[0].replace(":", "-"), PolicyDocument=json.dumps(document(*actions))
        )["Policy"]["Arn"]
        iam.put_role_permissions_boundary(RoleName="worker-role", PermissionsBoundary=arn)

    bound("sqs:ReceiveMessage")
    error = account.refusal("sqs", "send_message", QueueUrl=url, MessageBody="a")
    assert error.response["Error"]["Message"].endswith(
        "because no permissions boundary allows the sqs:SendMessage action"
    )
    bound("sqs:SendMessage")
    account.client("sqs").send_message(QueueUrl=url, MessageBody="a")


# The policy of a table


def set_policy_of_table(account: Account, *statements: dict[str, Any]) -> None:
    account.owner.client("dynamodb").put_resource_policy(
        ResourceArn=TABLE, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )


def others_than(role: str, *actions: str) -> dict[str, Any]:
    """A statement that denies actions to all other roles."""
    others = {"ArnNotLike": {"aws:PrincipalArn": role}}
    denied = {"Action": [f"dynamodb:{action}" for action in actions], "Condition": others}
    return about("*", "Deny", **denied)


def test_the_tables_policy_may_deny_what_the_role_allows(account: Account) -> None:
    make_table(account)
    account.allow("dynamodb:*")
    set_policy_of_table(account, others_than(account.role, "Scan"))
    account.client("dynamodb").scan(TableName="ledger")
    stranger = "arn:aws:iam::123456789012:role/other"

    set_policy_of_table(account, others_than(stranger, "Scan"))

    error = account.refusal("dynamodb", "scan", TableName="ledger")
    assert error.response["Error"]["Message"].endswith(
        "with an explicit deny in a resource-based policy"
    )
    account.client("dynamodb").put_item(TableName="ledger", Item=ITEM)


def test_the_tables_policy_may_allow_what_the_role_does_not(account: Account) -> None:
    make_table(account)
    get = {"TableName": "ledger", "Key": ITEM}
    assert account.missing("dynamodb", "get_item", **get) == "dynamodb:GetItem"

    set_policy_of_table(account, about({"AWS": account.role}, Action="dynamodb:GetItem"))

    account.client("dynamodb").get_item(**get)


def test_a_table_is_guarded_whatever_names_it(account: Account) -> None:
    make_table(account)
    account.allow("dynamodb:*")
    stranger = "arn:aws:iam::123456789012:role/other"
    denied = (
        *("BatchGetItem", "BatchWriteItem", "GetItem", "Scan"),
        *("ExportTableToPointInTime", "RestoreTableToPointInTime"),
    )
    set_policy_of_table(account, others_than(stranger, *denied))

    for call, asked in (
        ("scan", {"TableName": TABLE}),
        ("get_item", {"TableName": TABLE, "Key": ITEM}),
        ("batch_get_item", {"RequestItems": {"ledger": {"Keys": [ITEM]}}}),
        ("batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": {"Item": ITEM}}]}}),
        ("export_table_to_point_in_time", {"TableArn": TABLE, "S3Bucket": "copies"}),
        (
            "restore_table_to_point_in_time",
            {"SourceTableName": "ledger", "TargetTableName": "copy"},
        ),
    ):
        error = account.refusal("dynamodb", call, **asked)
        assert error.response["Error"]["Message"].endswith(
            f"on resource: {TABLE} with an explicit deny in a resource-based policy"
        )


# Keys of the customer's


def allow_key(account: Account, *actions: str, service: str) -> None:
    """All of the services, and these actions on keys through one of them."""
    via = {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}}
    services = ["dynamodb:*", "secretsmanager:*", "sqs:*"]
    statements: list[dict[str, Any]] = [{"Effect": "Allow", "Action": services, "Resource": "*"}]
    if actions:
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": KEY}
        statements.append({**allowed, "Condition": via})
    account.put(*statements)


def test_a_table_of_the_customers_key_needs_decrypt_through_dynamodb(account: Account) -> None:
    make_table(account, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY})
    allow_key(account, "kms:Decrypt", service="sqs")
    assert account.missing("dynamodb", "delete_item", TableName="ledger", Key=ITEM) == "kms:Decrypt"

    allow_key(account, "kms:Decrypt", service="dynamodb")

    account.client("dynamodb").delete_item(TableName="ledger", Key=ITEM)


def test_a_table_of_awss_own_key_needs_nothing_more(account: Account) -> None:
    make_table(account, SSESpecification={"Enabled": True, "SSEType": "KMS"})
    allow_key(account, service="")

    account.client("dynamodb").delete_item(TableName="ledger", Key=ITEM)


@pytest.mark.parametrize("lacking", ["kms:Decrypt", "kms:GenerateDataKey"])
def test_sending_to_a_queue_of_the_customers_key_needs_both_actions(
    account: Account, lacking: str
) -> None:
    url = make_queue(account, KmsMasterKeyId=KEY)
    actions = {"kms:Decrypt", "kms:GenerateDataKey"}
    allow_key(account, *(actions - {lacking}), service="sqs")

    error = account.refusal("sqs", "send_message", QueueUrl=url, MessageBody="a")

    assert error.response["Error"]["Code"] == "KMS.AccessDeniedException"
    assert f"perform: {lacking} on resource: {KEY} " in error.response["Error"]["Message"]
    allow_key(account, *actions, service="sqs")
    account.client("sqs").send_message(QueueUrl=url, MessageBody="a")


def test_receiving_from_a_queue_of_the_customers_key_needs_decrypt(account: Account) -> None:
    url = make_queue(account, KmsMasterKeyId=KEY)
    allow_key(account, "kms:GenerateDataKey", service="sqs")
    assert account.missing("sqs", "receive_message", QueueUrl=url) == "kms:Decrypt"

    allow_key(account, "kms:Decrypt", service="sqs")

    account.client("sqs").receive_message(QueueUrl=url)


def test_a_message_keeps_the_key_that_it_was_sent_with(account: Account) -> None:
    url, sqs = make_queue(account, KmsMasterKeyId=KEY), account.owner.client("sqs")
    allow_key(account, service="")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
    assert account.missing("sqs", "receive_message", QueueUrl=url) == "kms:Decrypt"
    account.client("sqs").send_message(QueueUrl=url, MessageBody="b")

    allow_key(account, "kms:Decrypt", service="sqs")
    asked = {"QueueUrl": url, "MaxNumberOfMessages": 10}
    received = account.client("sqs").receive_message(**asked)["Messages"]
    allow_key(account, service="")

    assert sorted(message["Body"] for message in received) == ["a", "b"]
    account.client("sqs").receive_message(**asked)


def test_a_dead_letter_keeps_the_key_that_it_was_sent_with(account: Account) -> None:
    dead, sqs = make_queue(account), account.owner.client("sqs")
    arn = "arn:aws:sqs:us-east-1:123456789012:polls"
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(
        QueueName="source", Attributes={"KmsMasterKeyId": KEY, "RedrivePolicy": redrive}
    )["QueueUrl"]
    allow_key(account, service="")

    sqs.send_message(QueueUrl=url, MessageBody="a")
    for _ in range(2):
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)

    assert account.missing("sqs", "receive_message", QueueUrl=dead) == "kms:Decrypt"
    allow_key(account, "kms:Decrypt", service="sqs")
    assert account.client("sqs").receive_message(QueueUrl=dead)["Messages"]


def test_a_table_needs_both_keys_until_their_change_is_complete(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(account)
    other = KEY.replace("of-the-customer", "new")
    [table] = dynamodb_backends["123456789012"]["us-east-1"].tables.values()
    allow_key(account, "kms:Decrypt", service="dynamodb")

    def encrypt(key: str) -> None:
        specification = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        table_keys.encrypt(table, specification)

    encrypt(other)
    encrypt(KEY)
    get = {"TableName": "ledger", "Key": ITEM}
    assert f"resource: {other} " in str(account.refusal("dynamodb", "get_item", **get))

    monkeypatch.setattr(table_keys, "CHANGE", 0.0)
    encrypt(other)
    encrypt(KEY)
    account.client("dynamodb").get_item(**get)


def test_a_secret_of_the_customers_key_needs_decrypt(account: Account) -> None:
    account.owner.client("secretsmanager").create_secret(Name="key", SecretString="a", KmsKeyId=KEY)
    allow_key(account, service="")
    error = account.refusal("secretsmanager", "get_secret_value", SecretId="key")
    assert error.response["Error"]["Message"] == "Access to KMS is not allowed"

    allow_key(account, "kms:Decrypt", service="secretsmanager")

    account.client("secretsmanager").get_secret_value(SecretId="key")
