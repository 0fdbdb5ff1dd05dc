"""The application in two Regions of an account, by the same names."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox import artifact
from sandbox.deployment import STACK_NAME, upload
from sandbox.ec2 import api as ec2

from .installations import CAPABILITIES, deployed
from .support import Aws, Observers, SandboxProcess, created

Template = Callable[..., dict[str, Any]]

REGION: Final = "eu-west-1"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, for what is in an account once."""
    sandbox = SandboxProcess.start(tmp_path)
    yield Aws(sandbox.ready, Observers(sandbox.ready["endpoint"]))
    assert sandbox.end() == 0


def test_each_region_has_an_installation_by_the_same_names(aws: Aws, template: Template) -> None:
    clients = Observers(aws.clients.endpoint, REGION)
    place = {"Bucket": f"code-{REGION}", "Key": "application.zip"}
    for bucket in (place["Bucket"], "bundles-elsewhere"):
        clients.s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    clients.s3.put_object(Bucket=place["Bucket"], Key=place["Key"], Body=artifact.build())
    application = deployed(aws)
    application["Globals"]["Function"]["CodeUri"] = place
    elsewhere = Aws(
        {
            **aws.ready,
            "region": REGION,
            "bucket": "bundles-elsewhere",
            "instance_id": ec2.run_windows_instance_store(clients.ec2),
        },
        clients,
    )

    made = clients.cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateURL=upload(aws.clients, application),
        Capabilities=CAPABILITIES,
    )
    assert elsewhere.at_rest(made["StackId"])["StackStatus"] == "CREATE_COMPLETE", elsewhere.events(
        made["StackId"]
    )
    for each in (aws, elsewhere):
        body = template(each.instance(seconds="1"), "regions/web", OnDelete="Delete")
        body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = each.ready["bucket"]
        stack_id, outputs = created(each, body)
        assert stack_id.split(":")[3] == each.ready["region"]
        assert outputs["S3Uri"] == f"s3://{each.ready['bucket']}/regions/web"
        assert each.keys("regions/web.manifest") != []
