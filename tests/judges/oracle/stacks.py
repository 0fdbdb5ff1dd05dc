"""Direct calls of CloudFormation, each with all that it answers."""

import json
import uuid
from typing import Any

from sandbox.clients import Clients
from tests.stacks.support import wait_for

from .refused import refused

HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def drive(clients: Clients) -> None:
    """Call each operation, and have each refuse something."""
    _whole_life(clients)
    _failures(clients)
    _change_sets(clients)
    _cancelled(clients)
    _refusals(clients)


def body(*names: str, **more: Any) -> str:
    """A template of queues of these logical IDs."""
    resources = {name: {"Type": "AWS::SQS::Queue"} for name in names}
    return json.dumps({"Resources": resources | more.pop("Resources", {}), **more})


def _rested(clients: Clients, name: str) -> str:
    """The stack's status, once nothing is in progress."""

    def status() -> str | None:
        [stack] = clients.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack["StackStatus"]

    return wait_for(status, f"{name} to come to rest")


def _name() -> str:
    return f"judged-{uuid.uuid4().hex[:20]}"


def _whole_life(clients: Clients) -> None:
    name = _name()
    stacks: Any = clients.cloudformation
    topic = clients.client("sns").create_topic(Name=name)["TopicArn"]
    exporting = {
        "Description": "One",
        "Parameters": {
            "A": {
                "Type": "String",
                "Default": "a",
                "Description": "A",
                "AllowedValues": ["a", "b"],
            },
            "B": {"Type": "String", "NoEcho": True},
        },
        "Outputs": {
            "Name": {
                "Value": {"Ref": "One"},
                "Description": "Its URL",
                "Export": {"Name": name},
            }
        },
    }
    template = body("One", **exporting)
    stacks.validate_template(TemplateBody=template)
    created = stacks.create_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": "B", "ParameterValue": "secret"}],
        Tags=[{"Key": "a", "Value": "b"}],
        NotificationARNs=[topic],
        TimeoutInMinutes=5,
        Capabilities=["CAPABILITY_IAM"],
    )
    stacks.describe_stacks()
    assert _rested(clients, name) == "CREATE_COMPLETE"
    stacks.list_exports()
    importing = _name()
    stacks.create_stack(
        StackName=importing,
        TemplateBody=body("Two", Outputs={"Other": {"Value": {"Fn::ImportValue": name}}}),
    )
    assert _rested(clients, importing) == "CREATE_COMPLETE"
    stacks.list_imports(ExportName=name)
    refused(stacks, "delete_stack", StackName=name)
    stacks.describe_stack_resource(StackName=name, LogicalResourceId="One")
    stacks.describe_stack_resources(StackName=name)
    stacks.list_stack_resources(StackName=name)
    stacks.get_template(StackName=name)
    stacks.get_template_summary(StackName=name)
    stacks.get_template_summary(TemplateBody=template)
    stacks.update_stack(
        StackName=name,
        TemplateBody=body("One", "Three", **exporting),
        Parameters=[{"ParameterKey": "B", "UsePreviousValue": True}],
    )
    assert _rested(clients, name) == "UPDATE_COMPLETE"
    stacks.describe_stack_events(StackName=name)
    for protected in (True, False):
        stacks.update_termination_protection(
            StackName=importing, EnableTerminationProtection=protected
        )
        stacks.describe_stacks(StackName=importing)
        if protected:
            refused(stacks, "delete_stack", StackName=importing)
    stacks.delete_stack(StackName=importing)
    _deleted(clients, importing)
    stacks.delete_stack(StackName=name)
    _deleted(clients, created["StackId"])
    stacks.describe_stacks(StackName=created["StackId"])
    stacks.describe_stack_events(StackName=created["StackId"])
    stacks.describe_stack_resources(StackName=created["StackId"])
    stacks.list_stacks()
    stacks.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])


def _deleted(clients: Clients, name: str) -> None:
    def is_gone() -> bool | None:
        listed = clients.cloudformation.list_stacks()["StackSummaries"]
        states = [s["StackStatus"] for s in listed if name in (s["StackName"], s["StackId"])]
        return True if states == ["DELETE_COMPLETE"] else None

    wait_for(is_gone, f"{name} to be deleted")


def _failing(number: int) -> dict[str, Any]:
    """A resource that can't be created."""
    return {
        "Type": "AWS::SQS::Queue",
        "DependsOn": "One",
        "Properties": {"QueueName": f"not a name {number}"},
    }


def _failures(clients: Clients) -> None:
    stacks: Any = clients.cloudformation
    rolled, kept = _name(), _name()
    failing = body("One", Resources={"Bad": _failing(1)})
    stacks.create_stack(StackName=rolled, TemplateBody=failing)
    stacks.create_stack(StackName=kept, TemplateBody=failing, DisableRollback=True)
    assert _rested(clients, rolled) == "ROLLBACK_COMPLETE"
    assert _rested(clients, kept) == "CREATE_FAILED"
    for name in (rolled, kept):
        stacks.describe_stack_events(StackName=name)
        stacks.describe_stack_resources(StackName=name)
        stacks.list_stack_resources(StackName=name)
    refused(stacks, "update_stack", StackName=rolled, TemplateBody=body("One"))
    stack_id = stacks.rollback_stack(StackName=kept)["StackId"]
    _deleted_or_rolled(clients, stack_id)
    stuck = _name()
    token = f"arn:aws:lambda:us-east-1:123456789012:function:{stuck}"
    stacks.create_stack(StackName=stuck, TemplateBody=body("One"))
    assert _rested(clients, stuck) == "CREATE_COMPLETE"
    custom = {"Type": "Custom::Judged", "Properties": {"ServiceToken": token}}
    stacks.update_stack(
        StackName=stuck, TemplateBody=body("One", Resources={"Bad": _failing(2), "Own": custom})
    )
    _rested(clients, stuck)
    stacks.describe_stack_events(StackName=stuck)
    stacks.describe_stacks(StackName=stuck)


def _deleted_or_rolled(clients: Clients, stack_id: str) -> None:
    assert _rested(clients, stack_id) in {"DELETE_COMPLETE", "ROLLBACK_COMPLETE"}


def _change_sets(clients: Clients) -> None:
    name = _name()
    stacks: Any = clients.cloudformation
    made = stacks.create_change_set(
        StackName=name,
        ChangeSetName="one",
        ChangeSetType="CREATE",
        TemplateBody=body("One"),
        Description="One",
        Tags=[{"Key": "a", "Value": "b"}],
    )
    stacks.describe_stacks(StackName=name)
    stacks.describe_change_set(ChangeSetName=made["Id"])
    stacks.list_change_sets(StackName=name)
    stacks.execute_change_set(ChangeSetName=made["Id"])
    assert _rested(clients, name) == "CREATE_COMPLETE"
    stacks.create_change_set(StackName=name, ChangeSetName="two", TemplateBody=body("One", "Two"))
    stacks.describe_change_set(StackName=name, ChangeSetName="two", IncludePropertyValues=True)
    stacks.get_template(StackName=name, ChangeSetName="two", TemplateStage="Original")
    stacks.create_change_set(StackName=name, ChangeSetName="same", UsePreviousTemplate=True)
    stacks.describe_change_set(StackName=name, ChangeSetName="same")
    refused(stacks, "execute_change_set", StackName=name, ChangeSetName="same")
    stacks.list_change_sets(StackName=name)
    stacks.delete_change_set(StackName=name, ChangeSetName="same")
    refused(stacks, "describe_change_set", StackName=name, ChangeSetName="same")
    stacks.describe_stacks(StackName=name)


def _cancelled(clients: Clients) -> None:
    """An update that waits is cancelled. What it has changed is gone by then, so that the rollback
    fails, and is continued without it."""
    name = _name()
    stacks: Any = clients.cloudformation

    def with_timeout(seconds: int, **more: Any) -> str:
        queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}}
        return body(Resources={"One": queue, **more})

    stacks.create_stack(StackName=name, TemplateBody=with_timeout(10))
    assert _rested(clients, name) == "CREATE_COMPLETE"
    waiting = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "One",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
    }
    stacks.update_stack(StackName=name, TemplateBody=with_timeout(20, Handle=HANDLE, Wait=waiting))

    def waits() -> bool | None:
        found = stacks.describe_stack_resources(StackName=name)["StackResources"]
        return True if "Wait" in {each["LogicalResourceId"] for each in found} else None

    wait_for(waits, "the wait condition")
    refused(stacks, "update_stack", StackName=name, TemplateBody=body("One", "Two"))
    one = stacks.describe_stack_resource(StackName=name, LogicalResourceId="One")
    clients.client("sqs").delete_queue(QueueUrl=one["StackResourceDetail"]["PhysicalResourceId"])
    stacks.cancel_update_stack(StackName=name)
    assert _rested(clients, name) == "UPDATE_ROLLBACK_FAILED"
    stacks.describe_stack_resources(StackName=name)
    stacks.continue_update_rollback(StackName=name, ResourcesToSkip=["One"])
    assert _rested(clients, name) == "UPDATE_ROLLBACK_COMPLETE"
    stacks.describe_stack_events(StackName=name)
    stacks.describe_stacks(StackName=name)
    refused(stacks, "continue_update_rollback", StackName=name)


def _refusals(clients: Clients) -> None:
    name = _name()
    stacks: Any = clients.cloudformation
    template = body("One")
    refusals: dict[str, dict[str, Any]] = {
        "describe_stacks": {},
        "describe_stack_events": {},
        "describe_stack_resources": {},
        "describe_stack_resource": {"LogicalResourceId": "One"},
        "list_stack_resources": {},
        "get_template": {},
        "update_stack": {"TemplateBody": template},
        "cancel_update_stack": {},
        "rollback_stack": {},
        "create_change_set": {"ChangeSetName": "one", "TemplateBody": template},
        "list_change_sets": {},
        "update_termination_protection": {"EnableTerminationProtection": True},
    }
    for call, request in refusals.items():
        refused(stacks, call, StackName=name, **request)
    refused(stacks, "validate_template", TemplateBody="{")
    refused(stacks, "create_stack", StackName="not a name", TemplateBody=template)
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    needing = body(Resources={"Role": role})
    refused(stacks, "create_stack", StackName=name, TemplateBody=needing)
    refused(stacks, "list_imports", ExportName=name)
