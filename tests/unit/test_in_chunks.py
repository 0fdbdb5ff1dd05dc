"""What one of many is refused for is no other's."""

from collections.abc import Mapping, Sequence

from instance_bundle.aws.chunks import in_chunks
from instance_bundle.errors import Denied, Doubtful, InstanceBundleError, PassingFault, Throttled

IDS = [f"ami-{number}" for number in range(7)]
REFUSED = Doubtful(Denied("ec2:DescribeStoreImageTasks", "InvalidAMIID.NotFound", "No."))


class Ec2:
    """Answers for many; refuses where one is bad, as EC2 does by IDs."""

    def __init__(self, **bad: InstanceBundleError) -> None:
        self.bad = {name.replace("_", "-"): error for name, error in bad.items()}
        self.asked: list[Sequence[str]] = []

    def __call__(self, ids: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(ids)
        for each in ids:
            if each in self.bad:
                raise self.bad[each]
        return {each: each.upper() for each in ids if each != "ami-6"}


def test_as_many_are_asked_for_as_a_call_takes_and_what_is_not_there_is_left_out() -> None:
    ask = Ec2()

    assert in_chunks(IDS, 3, ask) == {each: each.upper() for each in IDS[:6]}
    assert ask.asked == [IDS[:3], IDS[3:6], IDS[6:]]
    assert in_chunks([], 3, ask) == {}


def test_what_is_refused_for_many_is_asked_one_by_one() -> None:
    ask = Ec2(ami_1=REFUSED)

    found = in_chunks(IDS, 3, ask)

    assert found == {**{each: each.upper() for each in IDS[:6]}, "ami-1": REFUSED}
    assert ask.asked == [IDS[:3], ["ami-0"], ["ami-1"], ["ami-2"], IDS[3:6], IDS[6:]]


def test_other_faults_are_those_of_the_chunk_and_ask_no_more_of_ec2() -> None:
    for fault in (Throttled("RequestLimitExceeded"), PassingFault("cut off")):
        ask = Ec2(ami_1=fault)

        found = in_chunks(IDS, 3, ask)

        assert [each for each in IDS if found.get(each) is fault] == IDS[:3]
        assert found["ami-3"] == "AMI-3"
        assert len(ask.asked) == 3
