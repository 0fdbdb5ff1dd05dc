"""A stack with the image of an instance. `examples/README.md` has the commands that deploy it."""

from aws_cdk import App, CfnOutput, CfnParameter, LegacyStackSynthesizer, Stack
from bundle import InstanceBundle

app = App()
# The stack has no assets. With this synthesizer it needs no `cdk bootstrap`, and no roles of it.
stack = Stack(app, "Web", synthesizer=LegacyStackSynthesizer())
instance = CfnParameter(stack, "InstanceId", type="AWS::EC2::Instance::Id")
bucket = CfnParameter(stack, "Bucket")

bundle = InstanceBundle(
    stack,
    "Bundle",
    method="StoreImage",
    instance_id=instance.value_as_string,
    bucket=bucket.value_as_string,
    image={"Description": "The web server", "Tags": [{"Key": "Project", "Value": "web"}]},
    on_delete="Delete",
)

CfnOutput(stack, "ImageId", value=bundle.image_id)
CfnOutput(stack, "S3Uri", value=bundle.s3_uri)
app.synth()
