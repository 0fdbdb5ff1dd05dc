"""Images that are registered from a bundle's manifest."""

from typing import Any

import pytest

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, S3, code_of, described, error_of, image_of, known, tags_of

LOCATION = "images/web/windows.manifest.xml"


@pytest.fixture
def manifest(moved: Clock) -> str:
    """The location of the manifest of a bundle that is complete."""
    instance = ec2.run_windows_instance_store(EC2)
    storage: Any = {"S3": {"Bucket": "images", "Prefix": "web/windows"}}
    EC2.bundle_instance(InstanceId=instance, Storage=storage)
    moved.now += 10
    EC2.describe_bundle_tasks()
    return LOCATION


def test_a_bundle_is_registered_at_once(moved: Clock, manifest: str) -> None:
    tags: list[Any] = [{"ResourceType": "image", "Tags": [{"Key": "of", "Value": "bundle"}]}]
    made = EC2.register_image(
        Name="web",
        Description="As it was",
        ImageLocation=manifest,
        Architecture="arm64",
        VirtualizationType="hvm",
        TagSpecifications=tags,
    )["ImageId"]
    image = image_of(described(moved, made))

    assert image["State"] == "available"
    assert image["ImageLocation"] == manifest
    assert image["RootDeviceType"] == "instance-store"
    assert image["BlockDeviceMappings"] == []
    assert (image["Name"], image["Description"]) == ("web", "As it was")
    assert (image["Architecture"], image["VirtualizationType"]) == ("arm64", "hvm")
    assert tags_of(image) == {"of": "bundle"}
    filters: list[Any] = [{"Name": "image-location", "Values": [manifest]}]
    [found] = EC2.describe_images(Filters=filters)["Images"]
    assert found["ImageId"] == image["ImageId"]


def test_the_manifest_says_what_the_request_does_not(moved: Clock, manifest: str) -> None:
    made = EC2.register_image(Name="web", ImageLocation=manifest)["ImageId"]
    image = image_of(described(moved, made))

    assert (image["Architecture"], image["VirtualizationType"]) == ("x86_64", "paravirtual")


def test_deregistering_leaves_the_bundle(moved: Clock, manifest: str) -> None:
    image = known(moved, EC2.register_image(Name="web", ImageLocation=manifest)["ImageId"])
    answer = EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)

    assert answer.get("DeleteSnapshotResults", []) == []
    assert S3.list_objects_v2(Bucket="images")["KeyCount"] == 4


@pytest.mark.parametrize(
    "location", ["images/other.manifest.xml", "nobodys-bucket/web.manifest.xml", "images"]
)
def test_a_missing_manifest_is_reported(moved: Clock, location: str) -> None:
    assert error_of(EC2.register_image, Name="web", ImageLocation=location) == (
        "InvalidManifest",
        f"HTTP 404 (Not Found) response for URL http://s3.amazonaws.com:80/{location}",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"no XML",
        b"<manifest/>",
        b"<manifest><image><parts/></image></manifest>",
        (
            b"<other><machine_configuration><architecture>x86_64</architecture>"
            b"</machine_configuration><image><parts/></image></other>"
        ),
    ],
)
def test_a_manifest_has_to_be_one(moved: Clock, content: bytes) -> None:
    S3.put_object(Bucket="images", Key="web/windows.manifest.xml", Body=content)

    assert error_of(EC2.register_image, Name="web", ImageLocation=LOCATION) == (
        "InvalidManifest",
        "Invalid AMI manifest",
    )


def test_names_and_tags_have_the_rules_of_any_image(manifest: str) -> None:
    def code(**given: Any) -> str:
        return code_of(EC2.register_image, **{"Name": "web", "ImageLocation": manifest} | given)

    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "key", "Value": "value"}]}]
    assert code(Name="w:") == "InvalidAMIName.Malformed"
    assert code(Name="") == "MissingParameter"
    assert code(TagSpecifications=tags) == "InvalidParameterValue"
    assert code(DryRun=True) == "DryRunOperation"
    EC2.register_image(Name="web", ImageLocation=manifest)
    assert code() == "InvalidAMIName.Duplicate"


def test_without_a_location_motos_answers(moved: Clock) -> None:
    made = EC2.register_image(Name="web")["ImageId"]

    assert image_of(described(moved, made))["Name"] == "web"
