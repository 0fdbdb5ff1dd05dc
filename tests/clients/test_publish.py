"""The application packages and publishes itself to the AWS Serverless Application Repository."""

import io
import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.licenses import canonicalize_license_expression
from samtranslator.yaml_helper import yaml_parse

from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION
from tests.stacks.pages import block
from tests.stacks.support import Aws

from .deployment import FUNCTIONS, stored
from .tool import Tool, without_account

PACKAGED = "packaged.yaml"
APPLICATION = f"arn:aws:serverlessrepo:{REGION}:123456789012:applications/cfn-instance-bundle"

# The patterns and lengths that the API Reference of the repository and the SAM Developer Guide
# ("AWS SAM template Metadata section properties") give.
LIMITS = {
    "Name": (r"[a-zA-Z0-9\-]+", 140),
    "Author": (r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", 127),
    "Description": (r".+", 256),
}
LABEL, LONGEST_LABEL, MOST_LABELS = r"[a-zA-Z0-9+\-_:/@]+", 127, 10
SEMANTIC_VERSION = r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z-.]+)?(\+[0-9A-Za-z-.]+)?"

# What `sam publish` itself reads and asks for, at a new application and at a new version.
_READ = """
import json, sys
from samcli.vendor.serverlessrepo.parser import get_app_metadata, parse_template
metadata = get_app_metadata(parse_template(open(sys.argv[1]).read()))
metadata.validate(["author", "description", "name"])
metadata.validate(["semantic_version"])
print(json.dumps(metadata.template_dict))
"""


@pytest.fixture
def packaged(sam: Tool) -> dict[str, Any]:
    """The template that `sam package` has written; its artifacts are in the bucket of SAM's."""
    sam.run("package", "--output-template-file", PACKAGED)
    template: dict[str, Any] = yaml_parse((sam.directory / PACKAGED).read_text())
    return template


def metadata_of(template: Path) -> dict[str, Any]:
    """The metadata, by the library that `sam publish` uses, which says what is missing."""
    done = subprocess.run(
        [REPOSITORY / ".venv-sam/bin/python", "-c", _READ, template],
        env=without_account(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_the_metadata_keeps_to_the_limits(project: Path) -> None:
    metadata = metadata_of(project / "template.yaml")

    for name, (pattern, longest) in LIMITS.items():
        assert re.fullmatch(pattern, metadata[name]), (name, metadata[name])
        assert len(metadata[name]) <= longest, name
    assert 1 <= len(metadata["Labels"]) <= MOST_LABELS
    for label in metadata["Labels"]:
        assert re.fullmatch(LABEL, label), label
        assert len(label) <= LONGEST_LABEL, label
    assert re.fullmatch(SEMANTIC_VERSION, metadata["SemanticVersion"])
    spdx = metadata["SpdxLicenseId"]
    assert canonicalize_license_expression(spdx) == spdx


def test_the_application_is_published_twice(
    sandbox: Aws, sam: Tool, aws: Tool, project: Path, built: Path, packaged: dict[str, Any]
) -> None:
    metadata = metadata_of(project / PACKAGED)
    check_artifacts(sandbox, metadata, packaged, project)
    check_the_repository_may_read(sandbox, metadata["LicenseUrl"])
    sam.see("code, license and read-me are in S3")

    publish = ("publish", "--template", PACKAGED)
    said = sam.run(*publish)
    assert "Created new application with the following metadata:" in said
    sam.see(f"created, {metadata['SemanticVersion']}")
    first = get_application(aws)
    for name in ("Name", "Author", "Description", "Labels", "SpdxLicenseId", "LicenseUrl"):
        assert first[name] == metadata[name]
    assert first["Version"]["SemanticVersion"] == metadata["SemanticVersion"]
    needed = {"CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"}
    assert {*first["Version"]["RequiredCapabilities"]} == needed
    named = {each["Name"] for each in first["Version"]["ParameterDefinitions"]}
    assert named == {*packaged["Parameters"]}

    said = sam.run(*publish, "--semantic-version", "99.0.0", seen="updated, 99.0.0")
    assert f'The following metadata of application "{APPLICATION}" has been updated:' in said
    assert get_application(aws)["Version"]["SemanticVersion"] == "99.0.0"

    page = block("docs/deploying.md", "Through the Serverless Application Repository")
    typed = [each.removeprefix("sam build && ") for each in page.commands]
    assert {*typed} <= {row.command for row in sam.rows}


def get_application(aws: Tool) -> dict[str, Any]:
    said = aws.run("serverlessrepo", "get-application", "--application-id", APPLICATION)
    found: dict[str, Any] = json.loads(said)
    version = found["Version"]
    aws.see(f"{version['SemanticVersion']}: {', '.join(version['RequiredCapabilities'])}")
    return found


def check_artifacts(
    sandbox: Aws, metadata: dict[str, Any], template: dict[str, Any], project: Path
) -> None:
    """Check that what the template names in S3 is what was built."""
    assert stored(sandbox, metadata["LicenseUrl"]) == (project / "LICENSE").read_bytes()
    assert stored(sandbox, metadata["ReadmeUrl"]) == (project / "README.md").read_bytes()
    for function in FUNCTIONS:
        code = stored(sandbox, template["Resources"][function]["Properties"]["CodeUri"])
        assert zipped(code) == files(project / ".aws-sam/build" / function)


def zipped(code: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def check_the_repository_may_read(sandbox: Aws, uri: str) -> None:
    """Check that SAM CLI has the bucket that it manages let the repository read, as it has to."""
    stack = "aws-sam-cli-managed-default"
    assert uri.startswith(f"s3://{sandbox.outputs(sandbox.stack(stack))['SourceBucket']}/")
    found = sandbox.clients.cloudformation.get_template(StackName=stack)["TemplateBody"]
    template = found if isinstance(found, dict) else json.loads(found)
    policy = template["Resources"]["SamCliSourceBucketBucketPolicy"]["Properties"]
    assert any(
        (statement["Effect"], statement["Action"]) == ("Allow", ["s3:GetObject"])
        and statement["Principal"] == {"Service": "serverlessrepo.amazonaws.com"}
        for statement in policy["PolicyDocument"]["Statement"]
    )
