"""What operators may read of the ledger: each attribute is known to have no secret."""

from pathlib import Path

from instance_bundle import state
from instance_bundle.state import inspection, items
from tests.unit.test_items import BEFORE, STARTED

_SECRET = {"request"}
_NOT_NEEDED = {
    *("format", "asked", "asked_before", "announcements", "last_event", "event_expected"),
    *("identity", "on_delete"),
}


def test_each_attribute_is_read_or_is_not_for_a_reason() -> None:
    """A new attribute has to be put into one of the sets."""
    written = {*BEFORE, *STARTED, *items.attributes(items.record(BEFORE))}

    assert written - {*inspection.ATTRIBUTES} <= _SECRET | _NOT_NEEDED
    assert not {*inspection.ATTRIBUTES} & (_SECRET | _NOT_NEEDED)


def test_each_attribute_is_one_that_items_have() -> None:
    text = "".join(path.read_text() for path in Path(state.__file__).parent.glob("*.py"))

    unknown = [name for name in inspection.ATTRIBUTES if text.count(f'"{name}"') < 2]
    assert unknown == []


def test_an_item_without_secrets_is_read_as_a_request() -> None:
    item = {
        name: value for name, value in (BEFORE | STARTED).items() if name in inspection.ATTRIBUTES
    }

    [record] = inspection.requests([item])

    assert record.request is None
    assert record.in_flight
    assert record.task is not None
