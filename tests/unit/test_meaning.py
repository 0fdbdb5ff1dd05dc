"""What a request means, by the status in CloudFormation: row by row."""

from dataclasses import replace

import pytest

from instance_bundle.aws.stacks import Resource, Stack
from instance_bundle.lifecycle.meaning import (
    AT_REST,
    TWICE,
    Answers,
    Meaning,
    meaning,
    needs_root,
)
from instance_bundle.request import RequestKey
from instance_bundle.state import Evidence, Record

NOON = 1_800_000_000.0
OLD, NEW = "bun-1", "bun-2"
AT_REST_STATUSES = [
    *("CREATE_COMPLETE", "CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"),
    *("UPDATE_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"),
    *("DELETE_FAILED", "IMPORT_COMPLETE"),
]


def record(request_type: str, physical_id: str = "", seconds: float = 3600) -> Record:
    return Record(
        request=None,
        key=RequestKey("arn:aws:cloudformation:us-east-1:123456789012:stack/web/1", "Bundle", "r1"),
        request_type=request_type,  # type: ignore[arg-type]
        physical_id=physical_id,
        sent="",
        is_dated=False,
        first_receipt=NOON,
        deadline=NOON + seconds,
        generation=0,
        lease_until=0,
        begun=0,
    )


def said(
    me: Record,
    stack: Stack | str,
    resource: Resource | None = None,
    *,
    after: float = 0,
    goes_back: bool = False,
    mirrors: bool = False,
) -> Meaning | Evidence:
    """What CloudFormation's answers mean, `after` seconds after the first such answer."""
    answers = Answers(
        Stack(stack) if isinstance(stack, str) else stack, resource or Resource(status="")
    )
    first = meaning(me, answers, NOON, goes_back=goes_back, mirrors=mirrors)
    if not after or isinstance(first, Meaning):
        return first
    later = replace(me, evidence=first)
    return meaning(later, answers, NOON + after, goes_back=goes_back, mirrors=mirrors)


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("CREATE_IN_PROGRESS", Meaning.GENUINE),
        ("UPDATE_IN_PROGRESS", Meaning.GENUINE),
        ("REVIEW_IN_PROGRESS", Meaning.GENUINE),
        ("ROLLBACK_IN_PROGRESS", Meaning.NOT_SENT),
        ("UPDATE_ROLLBACK_IN_PROGRESS", Meaning.NOT_SENT),
        ("DELETE_IN_PROGRESS", Meaning.NOT_SENT),
    ],
)
def test_a_create_is_one_of_a_stack_that_is_created_or_updated(status: str, means: Meaning) -> None:
    if means is Meaning.GENUINE:  # which may be old
        assert isinstance(said(record("Create"), status, after=TWICE - 1), Evidence)
    assert said(record("Create"), status, after=TWICE) is means


@pytest.mark.parametrize("status", ["", "DELETE_COMPLETE", *AT_REST_STATUSES])
@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_stack_at_rest_or_unknown_is_final_after_two_minutes(
    request_type: str, status: str
) -> None:
    me = record(request_type, OLD)

    assert isinstance(said(me, status), Evidence)
    assert isinstance(said(me, status, after=AT_REST - 1), Evidence)
    assert said(me, status, after=AT_REST) is Meaning.NOT_SENT


def test_a_stack_at_rest_is_final_after_half_of_the_time_that_is_left() -> None:
    me = record("Delete", OLD, seconds=20)

    assert isinstance(said(me, "UPDATE_COMPLETE", after=9), Evidence)
    assert said(me, "UPDATE_COMPLETE", after=10) is Meaning.NOT_SENT


def test_an_update_that_ends_other_work_is_one_of_a_stack_that_is_updated() -> None:
    me, back = record("Update", OLD), "UPDATE_ROLLBACK_IN_PROGRESS"

    assert said(me, back) is Meaning.GENUINE
    assert isinstance(said(me, "UPDATE_IN_PROGRESS", after=TWICE - 1), Evidence)
    assert said(me, "UPDATE_IN_PROGRESS", after=TWICE) is Meaning.GENUINE


@pytest.mark.parametrize(
    "stack",
    [
        Stack("UPDATE_ROLLBACK_IN_PROGRESS"),
        Stack("UPDATE_IN_PROGRESS", operation="ROLLBACK"),
        Stack("UPDATE_FAILED", operation="ROLLBACK"),
        Stack("UPDATE_IN_PROGRESS", operation="CONTINUE_ROLLBACK"),
    ],
)
def test_an_update_to_what_was_before_is_a_rollbacks(stack: Stack) -> None:
    assert said(record("Update", NEW), stack, goes_back=True) is Meaning.ROLLBACK


@pytest.mark.parametrize(
    "status",
    [
        *("UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
        *("UPDATE_ROLLBACK_FAILED", "UPDATE_COMPLETE"),
    ],
)
def test_a_rollback_that_is_over_is_not_the_one_of_an_update(status: str) -> None:
    stack = Stack(status, operation="ROLLBACK")

    assert isinstance(said(record("Update", NEW), stack, goes_back=True), Evidence)


def test_an_update_goes_on_where_the_stack_is_updated_still_some_seconds_later() -> None:
    me, stack = record("Update", NEW), Stack("UPDATE_IN_PROGRESS", operation="UPDATE_STACK")

    assert isinstance(said(me, stack, goes_back=True), Evidence)
    assert isinstance(said(me, stack, goes_back=True, after=TWICE - 1), Evidence)
    assert said(me, stack, goes_back=True, after=TWICE) is Meaning.FORWARD


def test_with_rollback_disabled_it_is_never_known_that_a_mirrored_update_goes_on() -> None:
    me, stack = record("Update", NEW), Stack("UPDATE_IN_PROGRESS", rollback_disabled=True)

    assert isinstance(said(me, stack, goes_back=True, mirrors=True, after=3599), Evidence)
    assert said(me, stack, goes_back=True, mirrors=False, after=TWICE) is Meaning.FORWARD


@pytest.mark.parametrize(
    ("status", "resource", "means"),
    [
        ("DELETE_IN_PROGRESS", Resource("DELETE_IN_PROGRESS", OLD), Meaning.GENUINE),
        ("ROLLBACK_IN_PROGRESS", Resource("DELETE_IN_PROGRESS", OLD), Meaning.UNDOES),
        ("ROLLBACK_IN_PROGRESS", Resource("DELETE_IN_PROGRESS"), Meaning.UNDOES),
        # Removed from the template.
        (
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Resource("DELETE_IN_PROGRESS", OLD),
            Meaning.GENUINE,
        ),
        # Clean-up after a replacement: the current one has another ID.
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Resource("UPDATE_COMPLETE", NEW), Meaning.REPLACED),
        (
            "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            Resource("UPDATE_COMPLETE", NEW),
            Meaning.UNDOES,
        ),
        ("UPDATE_ROLLBACK_IN_PROGRESS", Resource("DELETE_IN_PROGRESS", OLD), Meaning.UNDOES),
        # After a creation that failed with rollback disabled.
        ("UPDATE_IN_PROGRESS", Resource("DELETE_IN_PROGRESS", OLD), Meaning.GENUINE),
    ],
)
def test_a_delete_is_of_a_resource_that_is_deleted_or_was_replaced(
    status: str, resource: Resource, means: Meaning
) -> None:
    assert said(record("Delete", OLD), status, resource) is means


@pytest.mark.parametrize(
    ("status", "received", "means"),
    [
        ("DELETE_IN_PROGRESS", False, Meaning.GENUINE),
        ("DELETE_IN_PROGRESS", True, Meaning.NOTHING_MADE),
        ("ROLLBACK_IN_PROGRESS", False, Meaning.UNDOES),
        ("ROLLBACK_IN_PROGRESS", True, Meaning.NOTHING_MADE),
    ],
)
def test_a_delete_by_a_generated_id_is_not_of_a_create_whose_answer_was_received(
    status: str, means: Meaning, *, received: bool
) -> None:
    deleted = Resource("DELETE_IN_PROGRESS", "web-Bundle-1ABC")
    answers = Answers(Stack(status), deleted, received=received)
    me = record("Delete", "web-Bundle-1ABC")

    assert meaning(me, answers, NOON, goes_back=False, mirrors=False) is means


@pytest.mark.parametrize(
    ("root", "is_confirmed"),
    [
        ("UPDATE_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_IN_PROGRESS", False),
        ("", False),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", True),
        ("UPDATE_COMPLETE", True),
    ],
)
def test_a_nested_stack_cleans_up_once_the_root_stack_is_updated(
    root: str, *, is_confirmed: bool
) -> None:
    me, stack = record("Delete", OLD), Stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", root_id="top")
    answers = Answers(stack, Resource("UPDATE_COMPLETE", NEW), root=Stack(root))

    assert needs_root(me, stack)
    means = meaning(me, answers, NOON, goes_back=False, mirrors=False)
    assert (means is Meaning.REPLACED) == is_confirmed


@pytest.mark.parametrize(
    "stack",
    [Stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), Stack("DELETE_IN_PROGRESS", root_id="a")],
)
def test_of_another_stack_the_root_is_not_asked(stack: Stack) -> None:
    assert not needs_root(record("Delete", OLD), stack)


def test_a_received_answer_confirms_no_delete_of_a_stack_at_rest() -> None:
    answers, me = Answers(Stack("CREATE_COMPLETE"), received=True), record("Delete", OLD)

    assert isinstance(meaning(me, answers, NOON, goes_back=False, mirrors=False), Evidence)


@pytest.mark.parametrize(
    "status",
    [
        *("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        *("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", *AT_REST_STATUSES),
    ],
)
def test_the_current_resource_of_a_stack_that_keeps_it_is_not_deleted(status: str) -> None:
    me, resource = record("Delete", OLD), Resource("UPDATE_COMPLETE", OLD)

    assert isinstance(said(me, status, resource), Evidence)
    assert said(me, status, resource, after=AT_REST) is Meaning.NOT_SENT


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_what_was_replaced_is_not_deleted_while_a_rollback_may_go_back_to_it(status: str) -> None:
    me, resource = record("Delete", OLD), Resource("UPDATE_COMPLETE", NEW)

    assert isinstance(said(me, status, resource), Evidence)
    assert said(me, status, resource, after=AT_REST) is Meaning.NOT_SENT


@pytest.mark.parametrize("status", ["", "DELETE_COMPLETE"])
def test_a_delete_of_a_stack_that_is_gone_changes_nothing(status: str) -> None:
    me = record("Delete", OLD)

    assert isinstance(said(me, status, after=AT_REST - 1), Evidence)
    assert said(me, status, after=AT_REST) is Meaning.GONE


def test_evidence_that_was_interrupted_starts_again() -> None:
    me = replace(record("Create"), evidence=Evidence("updates", NOON - 1000, ""))

    assert isinstance(said(me, "CREATE_COMPLETE"), Evidence)


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_what_is_said_once_is_not_believed_at_the_deadline_either(request_type: str) -> None:
    me = record(request_type, OLD, seconds=-1)

    for status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", ""):
        assert isinstance(said(me, status, Resource("UPDATE_COMPLETE", OLD)), Evidence)
