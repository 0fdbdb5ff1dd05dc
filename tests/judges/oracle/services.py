"""Direct calls of Lambda, SQS, EventBridge, CloudWatch and others, with all that they answer."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clients import Clients
from tests.sandbox.functions.conftest import package

from .refused import refused

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def policy(*actions: str) -> str:
    """A policy that allows actions on everything."""
    statement = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def drive(clients: Clients) -> None:
    """Call each operation, and have each service refuse something."""
    role = _iam(clients)
    queue = _queues(clients)
    function = _functions(clients, role, queue)
    _events(clients, function, queue)
    _metrics(clients)
    _keys(clients)
    _applications(clients)
    _others(clients)


def _iam(clients: Clients) -> str:
    iam = clients.client("iam")
    name = f"judged-{uuid.uuid4().hex}"
    role: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST)
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy("sqs:*"))
    arn = iam.create_policy(PolicyName=name, PolicyDocument=policy("s3:*"))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy("ec2:*"), SetAsDefault=True)
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["sqs:SendMessage", "iam:CreateRole"]
    )
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.put_role_policy(RoleName=name, PolicyName="gone", PolicyDocument=policy("sqs:*"))
    iam.delete_role_policy(RoleName=name, PolicyName="gone")
    refused(iam, "get_role", RoleName="missing")
    refused(iam, "simulate_principal_policy", PolicySourceArn=f"{role}x", ActionNames=["a:B"])
    refused(iam, "put_role_policy", RoleName=name, PolicyName="large",
            PolicyDocument=policy(*(f"sqs:{number:030}" for number in range(400))))  # fmt: skip
    return role


def _queues(clients: Clients) -> str:
    sqs = clients.client("sqs")
    name = f"judged-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"}, tags={"a": "b"})
    queue: str = url["QueueUrl"]
    sqs.get_queue_url(QueueName=name)
    sqs.list_queues()
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60"})
    attribute = {"a": {"DataType": "String", "StringValue": "b"}}
    sqs.send_message(QueueUrl=queue, MessageBody="one", MessageAttributes=attribute)
    sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "a", "MessageBody": "two"},
            {"Id": "b", "MessageBody": "three", "DelaySeconds": 0},
        ],
    )
    received = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    )["Messages"]
    handles = [message["ReceiptHandle"] for message in received]
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handles[0], VisibilityTimeout=5)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handles[0])
    sqs.delete_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "a", "ReceiptHandle": handles[1]},
            {"Id": "b", "ReceiptHandle": "none"},
        ],
    )
    sqs.receive_message(QueueUrl=queue)
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["QueueArn"]
    other = sqs.create_queue(QueueName=f"{name}-other")["QueueUrl"]
    sqs.purge_queue(QueueUrl=other)
    sqs.delete_queue(QueueUrl=other)
    refused(sqs, "create_queue", QueueName=f"{name}-other")
    refused(sqs, "send_message", QueueUrl=other, MessageBody="a")
    refused(sqs, "send_message", QueueUrl=queue, MessageBody="a" * 1_048_577)
    refused(sqs, "delete_message", QueueUrl=queue, ReceiptHandle="none")
    refused(sqs, "create_queue", QueueName=name, Attributes={"VisibilityTimeout": "1"})
    return str(arn)


def _functions(clients: Clients, role: str, queue: str) -> str:
    functions: Any = clients.functions
    name = f"judged-{uuid.uuid4().hex[:20]}"
    made = functions.create_function(
        FunctionName=name,
        Handler="app.echo",
        Runtime="python3.13",
        Role=role,
        Code={"ZipFile": package()},
        Environment={"Variables": {"A": "b"}},
        Description="One",
        Tags={"a": "b"},
    )
    functions.update_function_configuration(FunctionName=name, Timeout=20)
    functions.update_function_code(FunctionName=name, ZipFile=package())
    functions.get_function(FunctionName=name)
    functions.get_function_configuration(FunctionName=name)
    functions.list_functions()
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    functions.get_function_concurrency(FunctionName=name)
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    functions.get_function_recursion_config(FunctionName=name)
    functions.put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    functions.get_function_event_invoke_config(FunctionName=name)
    for kind in ("RequestResponse", "Event", "DryRun"):
        functions.invoke(FunctionName=name, Payload=b"{}", InvocationType=kind)["Payload"].read()
    functions.invoke(FunctionName=name, Payload=b"{}", LogType="Tail")["Payload"].read()
    functions.add_permission(
        FunctionName=name,
        StatementId="a",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    functions.get_policy(FunctionName=name)
    _mappings(clients, name, queue)
    functions.delete_function_concurrency(FunctionName=name)
    missing = f"{name}-missing"
    refusals: dict[str, dict[str, Any]] = {
        "get_function": {},
        "invoke": {"Payload": b"{}"},
        "delete_function": {},
        "get_policy": {},
        "put_function_recursion_config": {"RecursiveLoop": "Allow"},
        "put_function_concurrency": {"ReservedConcurrentExecutions": 1},
    }
    for call, request in refusals.items():
        refused(functions, call, FunctionName=missing, **request)
    refused(functions, "invoke", FunctionName=name, Payload=b"{")
    refused(functions, "put_function_concurrency", FunctionName=name,
            ReservedConcurrentExecutions=1000)  # fmt: skip
    refused(functions, "update_function_configuration", FunctionName=name,
            Environment={"Variables": {"A": "b" * 5000}})  # fmt: skip
    refused(functions, "add_permission", FunctionName=name, StatementId="a",
            Action="lambda:InvokeFunction", Principal="events.amazonaws.com")  # fmt: skip
    deleted = functions.create_function(
        FunctionName=missing, Handler="app.echo", Runtime="python3.13", Role=role,
        Code={"ZipFile": package()},
    )  # fmt: skip
    functions.delete_function(FunctionName=deleted["FunctionName"])
    return str(made["FunctionArn"])


def _mappings(clients: Clients, function: str, queue: str) -> None:
    functions: Any = clients.functions
    refused(functions, "create_event_source_mapping", FunctionName=function, EventSourceArn=queue,
            BatchSize=10_001)  # fmt: skip
    mapping = functions.create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=queue,
        BatchSize=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 2},
        Enabled=False,
    )["UUID"]
    functions.get_event_source_mapping(UUID=mapping)
    functions.list_event_source_mappings(FunctionName=function)
    functions.update_event_source_mapping(UUID=mapping, BatchSize=6)
    functions.delete_event_source_mapping(UUID=mapping)
    refused(functions, "get_event_source_mapping", UUID=str(uuid.uuid4()))


def _events(clients: Clients, function: str, queue: str) -> None:
    events = clients.client("events")
    name = f"judged-{uuid.uuid4().hex[:20]}"
    pattern = json.dumps({"source": ["judged"]})
    events.create_event_bus(Name=name, Description="One")
    events.put_rule(Name=name, EventPattern=pattern, Description="One", State="ENABLED")
    events.put_rule(Name=f"{name}-2", ScheduleExpression="rate(1 day)")
    events.describe_rule(Name=name)
    events.list_rules(NamePrefix=name)
    transformer = {"InputPathsMap": {"a": "$.source"}, "InputTemplate": '"<a>"'}
    events.put_targets(
        Rule=name,
        Targets=[
            {"Id": "a", "Arn": queue, "InputTransformer": transformer},
            {"Id": "b", "Arn": function, "DeadLetterConfig": {"Arn": queue}},
        ],
    )
    events.list_targets_by_rule(Rule=name)
    event = {"Source": "judged", "DetailType": "a", "Detail": "{}"}
    events.put_events(Entries=[event, {**event, "Source": "aws.judged"}, {**event, "Detail": "{"}])
    full = {
        "id": "a",
        "account": "123456789012",
        "source": "judged",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": "a",
        "detail": {},
    }
    events.test_event_pattern(EventPattern=pattern, Event=json.dumps(full))
    events.remove_targets(Rule=name, Ids=["a", "b", "c"])
    events.delete_rule(Name=f"{name}-2")
    refused(events, "put_rule", Name=name, EventPattern="{")
    refused(events, "put_rule", Name=name, EventPattern=json.dumps({"source": "a"}))
    refused(events, "describe_rule", Name="missing")
    refused(events, "put_targets", Rule="missing", Targets=[{"Id": "a", "Arn": queue}])
    refused(events, "test_event_pattern", EventPattern="{", Event=json.dumps(full))
    refused(events, "create_event_bus", Name=name)


def _metrics(clients: Clients) -> None:
    cloudwatch = clients.client("cloudwatch")
    name, now = f"judged-{uuid.uuid4().hex}", datetime.now(UTC)
    cloudwatch.put_metric_data(Namespace="Judged", MetricData=[{"MetricName": "a", "Value": 1.0}])
    cloudwatch.list_metrics(Namespace="Judged")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Judged",
        MetricName="a",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmDescription="One",
        AlarmActions=["arn:aws:sns:us-east-1:123456789012:topic"],
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="It is.")
    cloudwatch.describe_alarms(AlarmNames=[name])
    period = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(minutes=1)}
    cloudwatch.get_metric_statistics(
        Namespace="Judged", MetricName="a", Period=60, Statistics=["Sum", "Average"], **period
    )
    stat: dict[str, Any] = {
        "Metric": {"Namespace": "Judged", "MetricName": "a"}, "Period": 60, "Stat": "Sum"
    }  # fmt: skip
    cloudwatch.get_metric_data(MetricDataQueries=[{"Id": "a", "MetricStat": stat}], **period)
    widget = {
        "type": "text",
        "x": 0,
        "y": 0,
        "width": 6,
        "height": 6,
        "properties": {"markdown": "a"},
    }
    cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps({"widgets": [widget]}))
    cloudwatch.get_dashboard(DashboardName=name)
    cloudwatch.delete_alarms(AlarmNames=[name])
    refused(cloudwatch, "put_dashboard", DashboardName=name, DashboardBody="{")
    refused(cloudwatch, "get_dashboard", DashboardName="missing")
    refused(cloudwatch, "set_alarm_state", AlarmName="missing", StateValue="OK", StateReason="a")


def _keys(clients: Clients) -> None:
    kms = clients.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    kms.enable_key(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key)
    refused(kms, "enable_key", KeyId="12345678-1234-1234-1234-123456789012")


def _applications(clients: Clients) -> None:
    repository = clients.client("serverlessrepo")
    template = json.dumps(
        {
            "Parameters": {
                "A": {"Type": "Number", "Default": 1},
                "B": {"Type": "String", "Description": "B", "AllowedValues": ["b"]},
            },
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        }
    )
    made = repository.create_application(
        Name=f"judged-{uuid.uuid4().hex[:8]}", Author="me", Description="One.",
        SemanticVersion="1.0.0", TemplateBody=template,
    )["ApplicationId"]  # fmt: skip
    repository.create_application(
        Name=f"judged-{uuid.uuid4().hex[:8]}", Author="me", Description="One."
    )
    repository.create_application_version(
        ApplicationId=made, SemanticVersion="1.1.0", TemplateBody=template,
        SourceCodeUrl="https://example.com",
    )  # fmt: skip
    repository.update_application(ApplicationId=made, Description="Two.", Labels=["a"])
    repository.get_application(ApplicationId=made)
    refused(repository, "get_application", ApplicationId=f"{made}x")
    refused(repository, "create_application_version", ApplicationId=made,
            SemanticVersion="1.1.0", TemplateBody=template)  # fmt: skip


def _others(clients: Clients) -> None:
    ssm, dynamodb = clients.client("ssm"), clients.client("dynamodb")
    name = f"judged-{uuid.uuid4().hex}"
    ssm.put_parameter(Name=name, Value="a", Type="String")
    ssm.get_parameter(Name=name)
    refused(ssm, "get_parameter", Name="missing")
    refused(ssm, "put_parameter", Name=name, Value="a", Type="String")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_table(TableName=name, SSESpecification={"Enabled": True, "SSEType": "KMS"})
    dynamodb.describe_table(TableName=name)
    refused(dynamodb, "describe_table", TableName="missing")
