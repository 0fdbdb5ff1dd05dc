"""What targets of rules get of events."""

from __future__ import annotations

from typing import Any

import pytest

from .support import SENDS, EventBridge, name


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ({"Input": '{"a": 1}'}, '{"a": 1}'),
        ({"InputPath": "$.detail"}, '{"instance-id":"i-1","sizes":[1,2],"quoted":"a\\"b"}'),
        ({"InputPath": "$.detail.instance-id"}, '"i-1"'),
        ({"InputPath": "$.detail.sizes[1]"}, "2"),
        (
            {"template": '{"id": <id>, "why": "<id> is <none>here", "sizes": <sizes>}'},
            '{"id":"i-1","why":"i-1 is here","sizes":[1,2]}',
        ),
        (
            {"template": '{"rule": <aws.events.rule-name>, "at": "<time>", "all": [9, <id>]}'},
            '{"rule":"RULE","at":"2027-01-15T08:00:00Z","all":[9,"i-1"]}',
        ),
        ({"template": '"instance \\"<id>\\" runs"'}, '"instance \\"i-1\\" runs"'),
        ({"template": "instance <id> runs"}, "instance i-1 runs"),
    ],
)
def test_a_target_gets_what_it_asks_for(
    bridge: EventBridge, target: dict[str, Any], body: str
) -> None:
    source, rule, queue = name(), name(), bridge.queue(SENDS)
    bridge.rule({"source": [source]}, {"Arn": queue.arn, **transformed(target)}, Name=rule)

    detail = {"instance-id": "i-1", "sizes": [1, 2], "quoted": 'a"b'}
    bridge.put(source, detail, Time=1_800_000_000)

    [message] = bridge.received(queue)
    assert message["Body"] == body.replace("RULE", rule)


def test_a_target_gets_the_event_inside_another_text(bridge: EventBridge) -> None:
    source, queue = name(), bridge.queue(SENDS)
    target = transformed({"template": '{"original": <aws.events.event>}'})
    bridge.rule({"source": [source]}, {"Arn": queue.arn, **target})

    bridge.put(source, {"state": "complete"})

    [body] = bridge.events(queue)
    assert body["original"]["source"] == source
    assert body["original"]["detail"] == {"state": "complete"}


def test_a_value_is_not_escaped_and_what_is_no_json_then_is_a_dead_letter(
    bridge: EventBridge,
) -> None:
    source, queue, dead_letters = name(), bridge.queue(SENDS), bridge.queue(SENDS)
    target = {"Arn": queue.arn, "DeadLetterConfig": {"Arn": dead_letters.arn}}
    bridge.rule(
        {"source": [source]}, {**target, **transformed({"template": '{"why": "<quoted>"}'})}
    )

    bridge.put(source, {"quoted": 'a"b'})

    [dead_letter] = bridge.received(dead_letters)
    assert dead_letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "INVALID_JSON"


def transformed(target: dict[str, Any]) -> dict[str, Any]:
    """A target's members, with a transformer where there is a template."""
    if "template" not in target:
        return target
    paths = {
        "id": "$.detail.instance-id",
        "sizes": "$.detail.sizes",
        "time": "$.time",
        "quoted": "$.detail.quoted",
        "none": "$.detail.none",
    }
    return {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": target["template"]}}
