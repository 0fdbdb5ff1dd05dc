"""Carries out a pipeline of CodePipeline's, as far as `examples/pipeline/codepipeline.yaml` needs
it: sources, and actions of CloudFormation."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from moto.events.models import EventPattern

from .examples import may, parameters, stacks, trusts
from .support import Aws, wait_for

_VARIABLE = re.compile(r"#\{([^}]*)\}")
_OVERRIDES_LIMIT = 1024  # bytes of ParameterOverrides
_REMOVES = "::automation-definition/AWS-DeleteCloudFormationStack:$DEFAULT"


@dataclass
class Execution:
    """An execution of a pipeline.

    Attributes:
        pipeline: the properties of the resource, with intrinsic functions worked out.
        commit: what the source action finds: the commit's ID, and its files as a zip file.
        meanwhile: what is to be done while actions run.
        failed: the name of the action that failed, which ended the execution.
    """

    aws: Aws
    id: str
    pipeline: Mapping[str, Any]
    commit: tuple[str, bytes]
    meanwhile: Callable[[], None]
    variables: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    failed: str | None = None

    def carry_out(self) -> None:
        """Carry out all stages, unless an action fails."""
        assert trusts(self.aws, self.pipeline["RoleArn"], "codepipeline.amazonaws.com")
        self.variables["codepipeline.PipelineExecutionId"] = self.id
        for stage in self.pipeline["Stages"]:
            for action in sorted(stage["Actions"], key=lambda each: each.get("RunOrder", 1)):
                if not self._succeeds(action):
                    self.failed = action["Name"]
                    return

    def _succeeds(self, action: Mapping[str, Any]) -> bool:
        provider = action["ActionTypeId"]["Provider"]
        match action["ActionTypeId"]["Category"], provider:
            case ("Source", "CodeStarSourceConnection"):
                made = self._fetch(action)
            case ("Deploy", "CloudFormation"):
                found = self._deploy(action)
                if found is None:
                    return False
                made = found
            case _:
                raise AssertionError(action)
        if "Namespace" in action:
            self.variables |= {f"{action['Namespace']}.{name}": made[name] for name in made}
        return True

    def _fetch(self, action: Mapping[str, Any]) -> dict[str, str]:
        commit, files = self.commit
        [artifact] = action["OutputArtifacts"]
        key = f"{self.pipeline['Name']}/{artifact['Name']}/{self.id}"
        self.aws.clients.s3.put_object(Bucket=self._bucket, Key=key, Body=files)
        self.artifacts[artifact["Name"]] = key
        return {"CommitId": commit}

    def _deploy(self, action: Mapping[str, Any]) -> dict[str, str] | None:
        """The outputs of the action's stack; None where the action fails."""
        configuration = {
            name: self._with_values(value) for name, value in action["Configuration"].items()
        }
        inputs = {artifact["Name"] for artifact in action.get("InputArtifacts", [])}
        mode, name = configuration["ActionMode"], configuration["StackName"]
        role = {"RoleARN": configuration["RoleArn"]}
        cloudformation: Any = self.aws.clients.cloudformation
        assert trusts(self.aws, role["RoleARN"], "cloudformation.amazonaws.com")
        self._check_may("iam:PassRole", role["RoleARN"])
        if mode == "DELETE_ONLY":
            stack_id = self.aws.stack(name)["StackId"]
            self._check_may("cloudformation:DeleteStack", stack_id)
            cloudformation.delete_stack(StackName=name, **role)
            return {} if self._at_rest(stack_id) == "DELETE_COMPLETE" else None
        assert mode == "CREATE_UPDATE", mode
        artifact, _, path = configuration["TemplatePath"].partition("::")
        assert artifact in inputs, action
        wanted = {
            "StackName": name,
            "TemplateBody": self._file(artifact, path),
            "Parameters": parameters(self._overrides(configuration, inputs)),
            **role,
        }
        if self._exists(name):
            cloudformation.update_stack(**wanted)
        else:
            cloudformation.create_stack(**wanted)
        for call in ("CreateStack", "UpdateStack", "DescribeStacks"):
            self._check_may(f"cloudformation:{call}", self.aws.stack(name)["StackId"])
        if self._at_rest(name) not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return None
        stack = self.aws.stack(name)
        return self.aws.outputs(stack) if "Outputs" in stack else {}

    def _check_may(self, action: str, resource: str) -> None:
        assert may(self.aws, self.pipeline["RoleArn"], action, resource), (action, resource)

    def _overrides(self, configuration: Mapping[str, str], inputs: set[str]) -> dict[str, str]:
        written = configuration["ParameterOverrides"]
        assert len(written.encode()) <= _OVERRIDES_LIMIT
        return {name: self._override(value, inputs) for name, value in json.loads(written).items()}

    def _override(self, value: Any, inputs: set[str]) -> str:
        match value:
            case str():
                return value
            case {"Fn::GetArtifactAtt": [str(artifact), str(attribute)]} if artifact in inputs:
                return {"BucketName": self._bucket, "ObjectKey": self.artifacts[artifact]}[
                    attribute
                ]
        raise AssertionError(value)

    def _with_values(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.variables[found[1]], text)

    @property
    def _bucket(self) -> str:
        bucket: str = self.pipeline["ArtifactStore"]["Location"]
        return bucket

    def _file(self, artifact: str, path: str) -> str:
        stored = self.aws.clients.s3.get_object(Bucket=self._bucket, Key=self.artifacts[artifact])
        with zipfile.ZipFile(io.BytesIO(stored["Body"].read())) as files:
            return files.read(path).decode()

    def _exists(self, name: str) -> bool:
        try:
            self.aws.stack(name)
        except ClientError:
            return False
        return True

    def _at_rest(self, stack: str) -> str:
        def rests() -> str | None:
            self.meanwhile()
            status = self.aws.stack(stack)["StackStatus"]
            return None if status.endswith("_IN_PROGRESS") else status

        return wait_for(rests, f"{stack} to come to rest")


def react(aws: Aws, event: Mapping[str, Any]) -> list[str]:
    """Do what rules on the default bus have Systems Manager do on an event of AWS's, which nobody
    else can put: remove stacks. Returns their names."""
    events = aws.clients.client("events")
    removed: dict[str, str] = {}
    for rule in events.list_rules()["Rules"]:
        pattern = EventPattern.load(rule["EventPattern"])
        if pattern.matches_event(dict(event)):  # type: ignore[arg-type]
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                assert target["Arn"].endswith(_REMOVES), target
                given = _transformed(target["InputTransformer"], event)
                [role], [name] = given["AutomationAssumeRole"], given["StackNameOrId"]
                assert trusts(aws, target["RoleArn"], "events.amazonaws.com")
                assert may(aws, target["RoleArn"], "ssm:StartAutomationExecution", target["Arn"])
                assert may(aws, target["RoleArn"], "iam:PassRole", role)
                assert trusts(aws, role, "ssm.amazonaws.com")
                removed[name] = role
    for name in removed.keys() & stacks(aws, ""):
        assert may(aws, removed[name], "cloudformation:DeleteStack", aws.stack(name)["StackId"])
        aws.clients.cloudformation.delete_stack(StackName=name)
    return list(removed)


def _transformed(transformer: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, list[str]]:
    text: str = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        text = text.replace(f"<{name}>", value)
    transformed: dict[str, list[str]] = json.loads(text)
    return transformed
