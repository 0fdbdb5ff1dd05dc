"""Event patterns, on the examples of the EventBridge User Guide, by TestEventPattern."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .support import EventBridge

EVENT = {
    "version": "0",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "111122223333",
    "time": "2017-12-22T18:43:48Z",
    "region": "us-west-1",
    "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
}


def matches(bridge: EventBridge, pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    answer = bridge.client("events").test_event_pattern(
        EventPattern=json.dumps(pattern), Event=json.dumps({**EVENT, **event})
    )
    result: bool = answer["Result"]
    return result


def matches_value(bridge: EventBridge, wanted: Any, value: Any) -> bool:
    """Whether a field of a value matches what is wanted of it, alone."""
    return matches(bridge, {"detail": {"field": [wanted]}}, {"detail": {"field": value}})


def test_an_event_has_each_field_of_a_pattern_in_the_same_place(moved: EventBridge) -> None:
    pattern = {
        "source": ["aws.ec2"],
        "detail-type": ["EC2 Instance State-change Notification"],
        "detail": {"state": ["terminated"]},
    }

    assert matches(moved, pattern, {"detail": {"state": "terminated"}})
    assert not matches(moved, pattern, {"detail": {"state": "running"}})
    assert not matches(moved, pattern, {"source": "aws.other", "detail": {"state": "terminated"}})
    assert not matches(moved, pattern, {"detail": {"inner": {"state": "terminated"}}})
    assert not matches(moved, pattern, {"detail": {}})


@pytest.mark.parametrize(
    ("wanted", "matching", "others"),
    [
        ("Alice", ["Alice"], ["alice", "Alice ", ""]),
        ("", [""], [None, " "]),
        (None, [None], ["", 0, False]),
        (True, [True], [1, "true"]),
        (300, [300], [300.0, "300"]),
        ({"prefix": "2017-10-02"}, ["2017-10-02T18:43:48Z"], ["2017-10-03", 2017]),
        ({"prefix": {"equals-ignore-case": "EventB"}}, ["eventbridge"], ["bridge"]),
        ({"suffix": ".png"}, ["a.png"], ["a.PNG", "png"]),
        ({"suffix": {"equals-ignore-case": ".png"}}, ["a.PNG"], ["a.jpg"]),
        ({"equals-ignore-case": "alice"}, ["ALICE", "alice"], ["alic"]),
        ({"anything-but": "initializing"}, ["running", 5], ["initializing"]),
        ({"anything-but": 123}, [124], [123]),
        ({"anything-but": ["stopped", "overloaded"]}, ["running"], ["stopped", "overloaded"]),
        ({"anything-but": [100, 200, 300]}, [150], [100, 300]),
        ({"anything-but": {"prefix": "init"}}, ["running"], ["initializing"]),
        ({"anything-but": {"suffix": [".txt", ".rtf"]}}, ["a.png"], ["a.txt", "a.rtf"]),
        ({"anything-but": {"equals-ignore-case": "init"}}, ["running"], ["INIT"]),
        ({"anything-but": {"wildcard": "*/lib/*"}}, ["/bin/a"], ["/usr/lib/a"]),
        ({"numeric": [">", 0, "<=", 5]}, [1, 5], [0, 5.1, "1"]),
        ({"numeric": ["<", 10]}, [-1], [10]),
        ({"numeric": ["=", 3.018e2]}, [301.8], [301]),
        ({"cidr": "10.0.0.0/24"}, ["10.0.0.1"], ["10.0.1.1", "none"]),
        ({"wildcard": "dir/*.png"}, ["dir/a.png", "dir/b/c.png"], ["a.png", "dir/a.jpg"]),
        ({"wildcard": r"a\*b*"}, ["a*b", "a*bc"], ["axb"]),
        ({"exists": True}, ["", 0, None, ["a"]], [{"inner": 1}, []]),
        ({"exists": False}, [{"inner": 1}], ["", None]),
    ],
)
def test_a_value_matches(
    moved: EventBridge, wanted: Any, matching: list[Any], others: list[Any]
) -> None:
    assert [value for value in matching if not matches_value(moved, wanted, value)] == []
    assert [value for value in others if matches_value(moved, wanted, value)] == []


@pytest.mark.parametrize(
    ("wanted", "result"),
    [({"exists": False}, True), ({"exists": True}, False), ({"anything-but": "x"}, False)],
)
def test_a_field_that_is_missing_matches_only_where_it_must_not_exist(
    moved: EventBridge, wanted: Any, result: bool
) -> None:
    assert matches(moved, {"detail": {"field": [wanted]}}, {"detail": {}}) is result


def test_an_array_matches_where_one_of_its_values_does(moved: EventBridge) -> None:
    wanted = {"resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-b188560f", "other"]}
    group = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:eb56d16b"
    instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-b188560f"

    assert matches(moved, wanted, {"resources": [group, instance]})
    assert not matches(moved, wanted, {"resources": [group]})


def test_an_array_of_objects_matches_where_one_of_them_matches_the_whole(
    moved: EventBridge,
) -> None:
    pattern = {"detail": {"disks": {"name": ["sda"], "size": [{"numeric": [">", 10]}]}}}
    small, large = {"name": "sda", "size": 5}, {"name": "sdb", "size": 50}

    assert matches(moved, pattern, {"detail": {"disks": [large, {"name": "sda", "size": 20}]}})
    assert not matches(moved, pattern, {"detail": {"disks": [small, large]}})


def test_alternatives_are_of_fields_too(moved: EventBridge) -> None:
    pattern = {
        "detail": {
            "$or": [{"c": [{"numeric": [">", 0]}]}, {"d": [{"numeric": ["<", 8]}]}],
            "e": ["f"],
        }
    }

    assert matches(moved, pattern, {"detail": {"c": 1, "e": "f"}})
    assert matches(moved, pattern, {"detail": {"c": -1, "d": 7, "e": "f"}})
    assert not matches(moved, pattern, {"detail": {"c": -1, "d": 9, "e": "f"}})
    assert not matches(moved, pattern, {"detail": {"c": 1, "e": "g"}})


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{no JSON", "Filter is not an object"),
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        ('{"source": "aws.ec2"}', '"source" must be an object or an array'),
        ('{"source": []}', "Empty arrays are not allowed"),
        ('{"source": [{"begins": "aws"}]}', "Unrecognized match type begins"),
        ('{"source": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed"),
        ('{"source": [{"prefix": 1}]}', "The value of prefix is not valid"),
        ('{"source": [{"numeric": ["!", 1]}]}', "The value of numeric is not valid"),
        ('{"source": [{"wildcard": "a**"}]}', "The value of wildcard is not valid"),
        ('{"source": [{"exists": "yes"}]}', "The value of exists is not valid"),
        ('{"source": [{"anything-but": {"numeric": 1}}]}', "The value of anything-but"),
        ('{"$or": [{"source": ["a"]}]}', "There must be at least two objects in $or"),
    ],
)
def test_a_rule_has_no_pattern_that_is_none(moved: EventBridge, pattern: str, reason: str) -> None:
    events = moved.client("events")

    with pytest.raises(events.exceptions.InvalidEventPatternException) as refused:
        events.put_rule(Name="rule", EventPattern=pattern)

    assert f"Event pattern is not valid. Reason: {reason}" in str(refused.value)
