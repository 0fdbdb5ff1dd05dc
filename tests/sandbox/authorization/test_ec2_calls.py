"""EC2 asks IAM for each action, on each resource that a call is about."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ec2 import api as ec2
from tests.sandbox.authorization.conftest import SESSION, Account, code
from tests.sandbox.cloudformation.parts import document
from tests.sandbox.functions.conftest import wait_for

TAG = {"Null": {"aws:ResourceTag/made-by": "false"}}
MADE = [{"Key": "made-by", "Value": "me"}]


def specified(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": MADE} for kind in kinds]


def image_of(account: Account, *kinds: str) -> str:
    """An image that the owner makes, tagged, or its snapshots."""
    image_id: str = account.owner.ec2.create_image(
        InstanceId=ec2.run_ebs_instance(account.owner.ec2),
        Name=f"image-{'-'.join(kinds)}",
        TagSpecifications=specified(*kinds),  # type: ignore[arg-type]
    )["ImageId"]
    return image_id


def known(account: Account, image_id: str) -> str:
    """An image's ID, once calls that act on an image know it."""

    def is_known() -> bool:
        with pytest.raises(ClientError) as refused:
            account.owner.ec2.deregister_image(ImageId=image_id, DryRun=True)
        return code(refused.value)[1] == "DryRunOperation"

    wait_for(is_known)
    return image_id


def test_a_call_that_nothing_allows_is_refused_in_ec2s_words(account: Account) -> None:
    account.allow("s3:GetObject")

    error = account.refusal("ec2", "describe_images")

    assert code(error) == (403, "UnauthorizedOperation")
    assert error.response["Error"]["Message"].startswith(
        "You are not authorized to perform this operation. "
        f"User: {SESSION} is not authorized to perform: ec2:DescribeImages "
        "because no identity-based policy allows the ec2:DescribeImages action. "
        "Encoded authorization failure message: "
    )


def test_a_call_that_is_denied_is_refused_though_it_is_allowed(account: Account) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    account.put(everything, {**everything, "Effect": "Deny"})

    words = account.refusal("ec2", "describe_images").response["Error"]["Message"]

    assert "with an explicit deny in an identity-based policy. " in words


def test_a_call_counts_only_in_an_allowed_region(account: Account) -> None:
    account.allow("ec2:*", Condition={"StringEquals": {"ec2:Region": "eu-west-1"}})
    assert account.missing("ec2", "describe_images") == "ec2:DescribeImages"

    account.allow("ec2:*", Condition={"StringEquals": {"ec2:Region": "us-east-1"}})
    account.client("ec2").describe_images()


def test_the_clients_of_nobody_known_may_do_everything(account: Account) -> None:
    account.owner.ec2.describe_images()

    assert account.asked() == []


def test_a_dry_run_asks_for_permission_first(account: Account) -> None:
    instance = ec2.run_windows_instance_store(account.owner.ec2)
    storage = {"S3": {"Bucket": "bucket", "Prefix": "web"}}
    dry_run = {"InstanceId": instance, "Storage": storage, "DryRun": True}
    assert account.missing("ec2", "bundle_instance", **dry_run) == "ec2:BundleInstance"

    account.allow("ec2:BundleInstance")

    assert code(account.refusal("ec2", "bundle_instance", **dry_run))[1] == "DryRunOperation"


def test_a_dry_run_answers_by_the_policies_of_the_role(account: Account) -> None:
    account.owner.s3.create_bucket(Bucket="vault")
    image_id = known(account, image_of(account, "image"))
    image = account.owner.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_id}}
    dry_runs: dict[str, dict[str, Any]] = {
        "create_image": {"InstanceId": image["SourceInstanceId"], "Name": "one"},
        "create_store_image_task": {"ImageId": image_id, "Bucket": "vault"},
        "create_tags": {"Resources": [image_id], "Tags": MADE},
        "delete_snapshot": {"SnapshotId": snapshot_id},
        "deregister_image": {"ImageId": image_id},
        "register_image": {"Name": "one", "BlockDeviceMappings": [mapping]},
    }

    def answers() -> set[tuple[int, str]]:
        refusals = (
            account.refusal("ec2", call, **given, DryRun=True) for call, given in dry_runs.items()
        )
        return {code(refusal) for refusal in refusals}

    account.allow("ec2:Describe*")
    assert answers() == {(403, "UnauthorizedOperation")}
    account.allow("ec2:*", "ebs:*", "s3:*")
    assert answers() == {(412, "DryRunOperation")}


@pytest.mark.parametrize("lacking", ["instance", "image", "snapshot"])
def test_create_image_needs_instance_image_and_snapshots(account: Account, lacking: str) -> None:
    instance = ec2.run_ebs_instance(account.owner.ec2)
    arns = {
        "instance": f"arn:aws:ec2:us-east-1:123456789012:instance/{instance}",
        "image": "arn:aws:ec2:us-east-1::image/*",
        "snapshot": "arn:aws:ec2:us-east-1::snapshot/*",
    }
    wanted = {"InstanceId": instance, "Name": "one"}
    account.allow("ec2:CreateImage", resource=[arns[kind] for kind in arns if kind != lacking])

    words = account.refusal("ec2", "create_image", **wanted).response["Error"]["Message"]

    assert f"ec2:CreateImage on resource: {arns[lacking]} because" in words
    account.allow("ec2:CreateImage", resource=[*arns.values()])
    assert account.client("ec2").create_image(**wanted)["ImageId"]


@pytest.mark.parametrize("lacking", ["image", "snapshot"])
def test_tags_at_creation_need_create_tags_of_that_call(account: Account, lacking: str) -> None:
    wanted = {
        "InstanceId": ec2.run_ebs_instance(account.owner.ec2),
        "Name": "one",
        "TagSpecifications": specified("image", "snapshot"),
    }
    makes = {"Effect": "Allow", "Action": "ec2:CreateImage", "Resource": "*"}

    def allow_tags(of: str, *kinds: str) -> None:
        tags = {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": [f"arn:aws:ec2:us-east-1::{kind}/*" for kind in kinds],
            "Condition": {"StringEquals": {"ec2:CreateAction": of}},
        }
        account.put(makes, tags)

    allow_tags("CreateImage", *({"image", "snapshot"} - {lacking}))
    words = account.refusal("ec2", "create_image", **wanted).response["Error"]["Message"]
    assert f"ec2:CreateTags on resource: arn:aws:ec2:us-east-1::{lacking}/* because" in words
    allow_tags("RegisterImage", "image", "snapshot")
    assert account.missing("ec2", "create_image", **wanted) == "ec2:CreateTags"
    allow_tags("CreateImage", "image", "snapshot")
    assert account.client("ec2").create_image(**wanted)["ImageId"]


def test_a_permission_to_tag_at_creation_tags_nothing_that_is_there(account: Account) -> None:
    image_id = image_of(account, "image")
    account.allow("ec2:CreateTags", Condition={"StringEquals": {"ec2:CreateAction": "CreateImage"}})

    tagging = {"Resources": [image_id], "Tags": [{"Key": "a", "Value": "b"}]}

    assert account.missing("ec2", "create_tags", **tagging) == "ec2:CreateTags"


def test_a_tag_of_the_resource_is_known_to_conditions(account: Account) -> None:
    tagged, untagged = image_of(account, "image"), image_of(account, "snapshot")
    account.allow("ec2:DeregisterImage", resource="arn:aws:ec2:*::image/*", Condition=TAG)

    missing = account.missing("ec2", "deregister_image", ImageId=untagged)
    account.client("ec2").deregister_image(ImageId=known(account, tagged))

    assert missing == "ec2:DeregisterImage"
    left = account.owner.ec2.describe_images(ImageIds=[untagged])["Images"]
    assert [image["ImageId"] for image in left] == [untagged]


@pytest.mark.parametrize("deregistered", [True, False])
def test_what_is_missing_is_missing_to_who_may_touch_only_what_has_a_tag(
    account: Account, deregistered: bool
) -> None:
    account.allow("ec2:DeregisterImage", Condition=TAG)
    gone = "ami-0123456789abcdef0"
    if deregistered:
        gone = known(account, image_of(account, "image"))
        account.client("ec2").deregister_image(ImageId=gone)

    error = account.refusal("ec2", "deregister_image", ImageId=gone)

    assert code(error)[1].startswith("InvalidAMIID.")


def test_each_of_several_resources_is_asked_for(account: Account) -> None:
    image_id = image_of(account, "image")
    image = account.owner.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    account.allow("ec2:CreateTags", resource="arn:aws:ec2:us-east-1::image/*")
    tagging = {"Resources": [image_id, snapshot_id], "Tags": [{"Key": "a", "Value": "b"}]}

    words = account.refusal("ec2", "create_tags", **tagging).response["Error"]["Message"]

    assert f"on resource: arn:aws:ec2:us-east-1::snapshot/{snapshot_id} because" in words
    image = account.owner.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    assert image["Tags"] == MADE


STORING = {
    "ec2:CreateStoreImageTask": "image",
    "ec2:DescribeTags": "*",
    "ebs:GetSnapshotBlock": "snapshot",
    "ebs:ListChangedBlocks": "snapshot",
    "ebs:ListSnapshotBlocks": "snapshot",
    "s3:ListBucket": "arn:aws:s3:::vault",
    "s3:AbortMultipartUpload": "object",
    "s3:DeleteObject": "object",
    "s3:GetObject": "object",
    "s3:PutObject": "object",
    "s3:PutObjectTagging": "object",
}


def test_storing_an_image_needs_what_ec2_does_for_the_caller(account: Account) -> None:
    account.owner.s3.create_bucket(Bucket="vault")
    image_id = image_of(account, "image")
    storing = {"ImageId": image_id, "Bucket": "vault"}

    for action in STORING:
        account.allow(*(other for other in STORING if other != action))
        assert account.missing("ec2", "create_store_image_task", **storing) == action

    resources = {each["action"]: each["resource"] for each in account.asked()}
    assert resources["s3:PutObject"] == f"arn:aws:s3:::vault/{image_id}.bin"
    assert resources["s3:ListBucket"] == "arn:aws:s3:::vault"
    assert resources["ebs:GetSnapshotBlock"].startswith("arn:aws:ec2:us-east-1::snapshot/snap-")
    assert resources["ec2:CreateStoreImageTask"] == f"arn:aws:ec2:us-east-1::image/{image_id}"


RESTORING = (
    *("ec2:CreateRestoreImageTask", "ec2:CreateTags", "ec2:GetEbsEncryptionByDefault"),
    *("ebs:CompleteSnapshot", "ebs:PutSnapshotBlock", "ebs:StartSnapshot"),
    *("s3:GetObject", "s3:ListBucket"),
)


def test_restoring_an_image_needs_what_ec2_does_for_the_caller(account: Account) -> None:
    account.owner.s3.create_bucket(Bucket="vault")
    restoring = {"Bucket": "vault", "ObjectKey": "ami-0123456789abcdef0.bin", "DryRun": True}

    for action in RESTORING:
        account.allow(*(other for other in RESTORING if other != action))
        assert account.missing("ec2", "create_restore_image_task", **restoring) == action

    resources = {each["action"]: each["resource"] for each in account.asked()}
    assert resources["s3:GetObject"] == "arn:aws:s3:::vault/ami-0123456789abcdef0.bin"
    assert resources["s3:ListBucket"] == "arn:aws:s3:::vault"
    assert resources["ebs:StartSnapshot"] == "arn:aws:ec2:us-east-1::snapshot/*"
    assert resources["ec2:CreateRestoreImageTask"] == "arn:aws:ec2:us-east-1::image/*"
    account.allow(*RESTORING)
    refused = account.refusal("ec2", "create_restore_image_task", **restoring)
    assert code(refused) == (400, "InvalidParameterValue")


def test_storing_an_encrypted_image_needs_the_keys_of_its_snapshots(account: Account) -> None:
    account.owner.s3.create_bucket(Bucket="vault")
    key = account.owner.client("kms").create_key()["KeyMetadata"]["Arn"]
    encrypted = {"VolumeSize": 1, "Encrypted": True}
    mappings: Any = [
        {"DeviceName": "/dev/sdf", "Ebs": {**encrypted, "KmsKeyId": key}},
        {"DeviceName": "/dev/sdg", "Ebs": encrypted},
    ]
    run = account.owner.ec2.run_instances(
        ImageId=ec2.WINDOWS_EBS_IMAGE, MinCount=1, MaxCount=1, BlockDeviceMappings=mappings
    )
    instance_id = run["Instances"][0]["InstanceId"]
    made = account.owner.ec2.create_image(InstanceId=instance_id, Name="one", NoReboot=True)
    dry_run = {"ImageId": known(account, made["ImageId"]), "Bucket": "vault", "DryRun": True}
    account.allow(*STORING)

    refused = account.refusal("ec2", "create_store_image_task", **dry_run)

    assert code(refused) == (403, "UnauthorizedOperation")
    words = refused.response["Error"]["Message"]
    assert f"not authorized to perform: kms:Decrypt on resource: {key} because" in words
    account.allow(*STORING, "kms:Decrypt")
    refused = account.refusal("ec2", "create_store_image_task", **dry_run)
    assert code(refused)[1] == "DryRunOperation"
    [asked] = [
        each for each in account.asked() if each["action"] == "kms:Decrypt" and each["allowed"]
    ]
    assert asked["resource"] == key
    assert asked["context"] == {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}


def test_calls_that_check_need_their_actions_on_what_they_name(account: Account) -> None:
    image_id = known(account, image_of(account, "image"))
    image = account.owner.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    of_image, of_snapshot = {"ImageId": image_id}, {"SnapshotId": snapshot_id}
    arns = {
        "image": f"arn:aws:ec2:us-east-1::image/{image_id}",
        "snapshot": f"arn:aws:ec2:us-east-1::snapshot/{snapshot_id}",
    }
    checks: dict[str, tuple[str, str, dict[str, Any]]] = {
        "describe_volumes": ("DescribeVolumes", "*", {}),
        "describe_locked_snapshots": ("DescribeLockedSnapshots", "*", {}),
        "list_images_in_recycle_bin": ("ListImagesInRecycleBin", "*", {}),
        "list_snapshots_in_recycle_bin": ("ListSnapshotsInRecycleBin", "*", {}),
        "describe_image_attribute": (
            "DescribeImageAttribute",
            arns["image"],
            {**of_image, "Attribute": "description"},
        ),
        "describe_snapshot_attribute": (
            "DescribeSnapshotAttribute",
            arns["snapshot"],
            {**of_snapshot, "Attribute": "createVolumePermission"},
        ),
    }
    account.allow("s3:GetObject")
    for call, (action, _, given) in checks.items():
        assert account.missing("ec2", call, **given) == f"ec2:{action}"

    account.allow(*(f"ec2:{action}" for action, *_ in checks.values()))
    for call, (_, _, given) in checks.items():
        getattr(account.client("ec2"), call)(**given)
    resources = {each["action"]: each["resource"] for each in account.asked()}
    assert resources == {f"ec2:{action}": resource for action, resource, _ in checks.values()}


def test_a_call_that_is_not_known_needs_the_action_of_its_name(account: Account) -> None:
    assert account.missing("ec2", "describe_vpcs") == "ec2:DescribeVpcs"

    account.allow("ec2:DescribeVpcs")

    account.client("ec2").describe_vpcs()


def test_a_snapshot_that_the_caller_may_not_delete_outlives_its_image(account: Account) -> None:
    tagged, untagged = image_of(account, "image", "snapshot"), image_of(account, "image")
    account.put(
        *document("ec2:DeregisterImage")["Statement"],
        *document("ec2:DeleteSnapshot", Condition=TAG)["Statement"],
    )

    codes = [
        each["ReturnCode"]
        for image_id in (tagged, untagged)
        for each in account.client("ec2").deregister_image(
            ImageId=known(account, image_id), DeleteAssociatedSnapshots=True
        )["DeleteSnapshotResults"]
    ]

    assert codes == ["success", "missing-permissions"]
