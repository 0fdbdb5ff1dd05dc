"""`Custom::InstanceBundle` as a construct of the AWS CDK."""

from typing import Literal, TypedDict

from aws_cdk import CustomResource, Fn
from constructs import Construct


class Tag(TypedDict):
    Key: str
    Value: str


class Image(TypedDict, total=False):
    """The AMI, with the members that it has in a template."""

    Name: str
    Description: str
    Architecture: Literal["i386", "x86_64", "arm64"]
    NoReboot: bool
    Tags: list[Tag]
    ObjectTags: list[Tag]


class InstanceBundle(CustomResource):
    """The image of an instance, written to a bucket.

    `on_delete` decides what is kept when the resource is deleted or replaced; CDK's
    `removal_policy` stays at its default, so that CloudFormation asks for the deletion.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        method: Literal["BundleInstance", "StoreImage"],
        instance_id: str,
        bucket: str,
        prefix: str | None = None,
        image: Image | None = None,
        on_delete: Literal["Retain", "Delete", "RetainExceptOnCreate"] = "Retain",
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            resource_type="Custom::InstanceBundle",
            service_token=Fn.import_value("cfn-instance-bundle-ServiceToken"),
            properties={
                "Method": method,
                "InstanceId": instance_id,
                "Storage": {"S3": {"Bucket": bucket, "Prefix": prefix}},
                "Image": image,
                "OnDelete": on_delete,
            },
        )

    @property
    def image_id(self) -> str:
        """The AMI's ID; empty for a bundle without an image."""
        return self.get_att_string("ImageId")

    @property
    def s3_uri(self) -> str:
        """Where the bundle, or the object of the AMI, is."""
        return self.get_att_string("S3Uri")
