"""Rules of event buses, in a whole server."""

from __future__ import annotations

import json
import threading

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.functions.conftest import wait_for

from .support import SENDS, EventBridge, Queue, name


def test_a_queue_gets_the_event_as_json(bridge: EventBridge) -> None:
    source = name()
    queue = bridge.watched({"source": [source]})

    bridge.put(source, {"state": "complete"}, Resources=["arn:aws:x"], Time=1_800_000_000)

    [message] = bridge.received(queue)
    event = json.loads(message["Body"])
    assert message["Body"] == json.dumps(event, separators=(",", ":"))
    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "Test",
        "source": source,
        "account": "123456789012",
        "time": "2027-01-15T08:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:x"],
        "detail": {"state": "complete"},
    }


def test_each_rule_that_matches_delivers_to_each_of_its_targets(bridge: EventBridge) -> None:
    source = name()
    first, second, third = (bridge.queue(SENDS) for _ in range(3))
    one = bridge.rule({"source": [source]}, {"Arn": first.arn}, {"Arn": second.arn})
    bridge.rule({"source": [{"prefix": source}]}, {"Arn": third.arn})
    disabled = bridge.rule({"source": [source]}, {"Arn": third.arn}, State="DISABLED")
    other = bridge.rule({"source": [name()]}, {"Arn": third.arn})
    bridge.client("events").put_rule(Name="each-day", ScheduleExpression="rate(1 day)")

    bridge.put(source)

    ids = {bridge.events(queue)[0]["id"] for queue in (first, second, third)}
    assert len(ids) == 1
    counts = {
        rule: (bridge.metric("TriggeredRules", rule), bridge.metric("Invocations", rule))
        for rule in (each.rpartition("/")[2] for each in (one, disabled, other, "x/each-day"))
    }
    assert list(counts.values()) == [(1, 2), (0, 0), (0, 0), (0, 0)]


def test_a_rule_of_another_bus_has_the_events_of_that_bus(bridge: EventBridge) -> None:
    source, bus = name(), name()
    bridge.client("events").create_event_bus(Name=bus)
    queue = bridge.queue(SENDS)
    rule = bridge.rule({"source": [source]}, {"Arn": queue.arn}, bus=bus)

    bridge.put(source, {"bus": "default"})
    bridge.put(source, {"bus": "own"}, EventBusName=bus)

    [event] = bridge.events(queue)
    assert event["detail"] == {"bus": "own"}
    assert bridge.metric("Invocations", rule.rpartition("/")[2], EventBusName=bus) == 1


def test_a_pattern_has_a_size(bridge: EventBridge) -> None:
    events = bridge.client("events")
    longest = json.dumps({"source": ["x" * 2_000, "y" * 28]})
    assert len(longest) == 2_048
    events.put_rule(Name="longest", EventPattern=longest)

    with pytest.raises(events.exceptions.LimitExceededException):
        events.put_rule(Name="longer", EventPattern=longest + " ")


def test_a_rule_of_a_template_delivers(bridge: EventBridge, served: Served) -> None:
    source = name()
    statement = {**SENDS, "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "Rule.Arn"}}}}
    stack = served.create(
        {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {"source": [source]},
                    "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}],
                },
            },
            "Policy": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Queue"}],
                    "PolicyDocument": {"Statement": [statement]},
                },
            },
        },
        Url={"Ref": "Queue"},
    )
    outputs = served.until(stack, "CREATE_COMPLETE")

    bridge.put(source)

    assert bridge.events(Queue(outputs["Url"], ""))[0]["source"] == source
    served.delete(stack)


def test_a_delivery_is_lost_doubled_or_late(bridge: EventBridge, served: Served) -> None:
    lost, doubled, late = name(), name(), name()
    queue = bridge.watched({"source": [lost, doubled, late]})
    served.set_fault("bus:Delivery", "cut", about=lost)
    served.set_fault("bus:Delivery", "twice", about=doubled)
    served.set_fault("bus:Delivery", "delay", about=late, seconds=3600)

    for source in (late, lost, doubled):
        bridge.put(source)

    first, second = bridge.events(queue, 2)
    assert first == second
    assert first["source"] == doubled
    struck = wait_for(lambda: [fault["hits"] for fault in served.listed("faults") if fault["hits"]])
    assert struck == [["bus:Delivery"]] * 3
    served.clear_faults()
    assert bridge.events(queue)[0]["source"] == late


def test_the_end_of_the_server_ends_deliveries_that_are_held() -> None:
    with Server() as server:
        alone = Served(Clients(server.endpoint))
        bridge = EventBridge(alone.clients.client)
        queue = bridge.watched({"source": ["held"]})
        alone.set_fault("bus:Delivery", "delay", seconds=3600)
        bridge.put("held")
        wait_for(lambda: alone.listed("faults")[0]["hits"])
        assert queue.url

    assert [each for each in threading.enumerate() if each.name == "sandbox event delivery"] == []
