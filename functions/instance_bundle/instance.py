"""The instance that is to be bundled, as EC2 describes it."""

from instance_bundle import aws
from instance_bundle.errors import NotAllowed
from instance_bundle.limits import Tag


def demand_tag(instance_id: str, tag: Tag) -> None:
    """See that an instance carries a tag.

    Raises:
        NotAllowed: it does not.
        PassingFault: no answer.
        Denied: EC2 refuses, or there is no such instance.
    """
    with aws.calling("ec2:DescribeInstances"):
        response = aws.ec2().describe_instances(InstanceIds=[instance_id])
    carried = {
        (each.get("Key"), each.get("Value"))
        for reservation in response["Reservations"]
        for instance in reservation.get("Instances", [])
        for each in instance.get("Tags", [])
    }
    if (tag.key, tag.value) not in carried:
        raise NotAllowed(instance_id, str(tag))
