"""The application in ministack, with the sandbox's EC2 and S3; and both as one AWS."""

import json
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import boto3

from sandbox import artifact, deployment
from sandbox.clients import REGION, Clients
from tests.stacks.support import Observers, wait_for

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

Template = dict[str, Any]


class Both(Observers):
    """The clients of the sandbox, but for CloudFormation's, which is ministack's.

    Args:
        endpoint: the sandbox's.
        emulated: ministack's clients.
    """

    def __init__(self, endpoint: str, emulated: Clients) -> None:
        super().__init__(endpoint)
        self.emulated = emulated

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        return self.emulated.cloudformation


def deployed(
    clients: Both,
    name: str,
    parameters: Mapping[str, str] | None = None,
    changed: Callable[[Template], None] = lambda _: None,
) -> dict[str, str]:
    """The outputs of the application's new stack in ministack.

    The functions have what docs/local.md gives to those who test with other emulators.

    Args:
        name: of the stack, and of its function.
        parameters: of the template.
        changed: changes the copy of the template.
    """
    emulated = clients.emulated
    body = deployment.template()
    body["Globals"]["Function"]["Environment"]["Variables"] |= {
        "AWS_ENDPOINT_URL": emulated.endpoint,
        "AWS_ENDPOINT_URL_EC2": clients.endpoint,
        "AWS_ENDPOINT_URL_S3": clients.endpoint,
        "SANDBOX_RESPONSE_ORIGIN": emulated.endpoint,
    }
    _leave_out_expressions(body)
    changed(body)
    emulated.s3.create_bucket(Bucket=name)
    emulated.s3.put_object(Bucket=name, Key="code.zip", Body=artifact.build())
    body["Globals"]["Function"]["CodeUri"] = {"Bucket": name, "Key": "code.zip"}
    emulated.s3.put_object(Bucket=name, Key="template", Body=json.dumps(body).encode())
    given = {"FunctionName": name, "ExportName": f"{name}-ServiceToken", **(parameters or {})}
    emulated.cloudformation.create_stack(
        StackName=name,
        TemplateURL=f"{emulated.endpoint}/{name}/template",
        Parameters=[{"ParameterKey": key, "ParameterValue": given[key]} for key in given],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    return _outputs(emulated, name)


def _leave_out_expressions(body: Template) -> None:
    """Leave alarms of expressions out, which ministack refuses: its fault `metric-math`."""
    for logical_id, resource in list(body["Resources"].items()):
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            del body["Resources"][logical_id]


def without_denials(body: Template) -> None:
    """Take the Deny statements out of the queues' policies.

    They deny plain HTTP, which ministack serves here, and all principals but the functions' roles,
    which ministack does not know: its fault `principal-arn`.
    """
    for logical_id, resource in list(body["Resources"].items()):
        if resource["Type"] == "AWS::SQS::QueuePolicy":
            document = resource["Properties"]["PolicyDocument"]
            document["Statement"] = [
                statement for statement in document["Statement"] if statement["Effect"] == "Allow"
            ]
            if not document["Statement"]:
                del body["Resources"][logical_id]


def deleted(emulated: Clients, name: str) -> None:
    """Delete the application's stack."""
    emulated.cloudformation.delete_stack(StackName=name)

    def is_deleted() -> bool | None:
        stacks = emulated.cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])
        return name in {stack["StackName"] for stack in stacks["StackSummaries"]} or None

    wait_for(is_deleted, f"ministack to delete {name}")


def parts(emulated: Clients, name: str) -> set[str]:
    """The names of the functions, queues and tables of an installation."""
    queues = emulated.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls", [])
    listed = [
        *(each["FunctionName"] for each in emulated.functions.list_functions()["Functions"]),
        *(url.rpartition("/")[2] for url in queues),
        *emulated.client("dynamodb").list_tables()["TableNames"],
    ]
    return {each for each in listed if each.startswith(name)}


def user_like(emulated: Clients, role: str) -> Callable[[str], Any]:
    """What makes clients of services by a new user with the policies of a role.

    Args:
        emulated: of a ministack that evaluates IAM's policies.
        role: what the role's name has in it.
    """
    iam, user = emulated.client("iam"), f"like-{role}"
    [name] = [
        each["RoleName"] for each in iam.list_roles()["Roles"] if f"-{role}-" in each["RoleName"]
    ]
    iam.create_user(UserName=user)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        found = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        iam.put_user_policy(UserName=user, PolicyName=policy, PolicyDocument=json.dumps(found))
    for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.attach_user_policy(UserName=user, PolicyArn=attached["PolicyArn"])
    key = iam.create_access_key(UserName=user)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    return partial(session.client, endpoint_url=emulated.endpoint)


def _outputs(emulated: Clients, name: str) -> dict[str, str]:
    def created() -> dict[str, str] | None:
        [stack] = emulated.cloudformation.describe_stacks(StackName=name)["Stacks"]
        if stack["StackStatus"] == "CREATE_IN_PROGRESS":
            return None
        assert stack["StackStatus"] == "CREATE_COMPLETE", _failures(emulated, name)
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    return wait_for(created, f"ministack to create {name}")


def _failures(emulated: Clients, name: str) -> list[str]:
    events = emulated.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]
