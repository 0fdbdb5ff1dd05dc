import inspect
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from crhelper import CfnResource

from benchmarks.ceilings import designs as ceilings
from benchmarks.ceilings.designs import Ceiling, Limit, Need, Sizes
from benchmarks.ceilings.request_sizes import Ours, Stock, item_bytes
from benchmarks.ceilings.stock_crhelper import Refused
from instance_bundle import aws, budget
from instance_bundle.polling import messages

SIZES = Sizes(
    stock=Stock(
        statement=330, envelope=54, adds=200, refused=Refused(61, "The policy is full."), rules=62
    ),
    ours=Ours(
        event=48_000,
        item=1_700,
        largest_item=50_000,
        message=600,
        answer=3_700,
        batch=100,
        handed=10,
    ),
)
API = botocore.session.get_session()


def admitted(ceilings_: tuple[Ceiling, ...], limit: Limit) -> int:
    [found] = [ceiling.requests for ceiling in ceilings_ if ceiling.limit == limit]
    return found


def test_the_designs_break_in_this_order() -> None:
    found = [(d.first.limit, d.first.requests) for d in ceilings.designs(SIZES)]
    assert found == [
        (ceilings.POLICY, 61),
        (ceilings.DESCRIBES, 100),
        (ceilings.DESCRIBES, 300),
        (ceilings.WRITES, 4_000 * budget.NEXT_POLL // 4),
    ]


@pytest.mark.parametrize("statement", [300, 330, 339, 410])
def test_a_policy_holds_as_many_statements_as_fit_with_their_commas(statement: int) -> None:
    stock = replace(SIZES.stock, statement=statement)
    count = ceilings.statements(stock)

    def size(statements: int) -> int:
        return stock.envelope + statements * statement + statements - 1

    assert size(count) <= ceilings.POLICY.value < size(count + 1)


def test_a_call_for_a_batch_lets_as_many_more_requests_be_under_way() -> None:
    alone = ceilings.this_application(replace(SIZES, ours=replace(SIZES.ours, batch=1)))
    batch = ceilings.this_application(SIZES)
    once = admitted(alone.ceilings, ceilings.DESCRIBES)
    assert once == ceilings.DESCRIBES.value * budget.NEXT_POLL
    assert admitted(batch.ceilings, ceilings.DESCRIBES) == once * SIZES.ours.batch


@pytest.mark.parametrize(("item", "units"), [(1_024, 2), (1_025, 4), (50_000, 98)])
def test_each_write_is_of_the_whole_item(item: int, units: int) -> None:
    design = ceilings.this_application(replace(SIZES, ours=replace(SIZES.ours, item=item)))
    assert admitted(design.ceilings, ceilings.WRITES) == 4_000 * budget.NEXT_POLL // units


def test_the_limit_with_batches_as_lambda_delivers_them_is_reported() -> None:
    at_once, *_ = ceilings.section(SIZES).tables
    few = ceilings.DESCRIBES.value * budget.NEXT_POLL * SIZES.ours.handed
    assert any(f"let {few:,} requests be under way" in note for note in at_once.notes)


def test_a_need_fits_up_to_its_limit() -> None:
    limit = Limit("a name", 64, "characters", "https://docs.aws.amazon.com")
    assert Need(limit, 64, "all of it").fits
    assert not Need(limit, 65, "one more").fits


def test_of_the_designs_only_this_application_fits_the_largest_request() -> None:
    fits = {d.name: all(need.fits for need in d.needs) for d in ceilings.designs(SIZES)}
    assert [name for name, all_fit in fits.items() if all_fit] == ["this application"]


def test_a_size_that_no_longer_fits_is_reported() -> None:
    sizes = replace(SIZES, ours=replace(SIZES.ours, answer=4_097))
    *_, needs = ceilings.section(sizes).tables
    [row] = [row for row in needs.rows if row[1] == ceilings.ANSWER.name]
    assert row[4] == "no"


def test_each_row_has_a_text_for_each_column_and_a_source() -> None:
    for table in ceilings.section(SIZES).tables:
        assert table.rows
        for row in table.rows:
            assert len(row) == len(table.columns)
            assert row[-1].startswith("https://")


def test_an_item_is_measured_as_dynamodb_does() -> None:
    item: dict[str, Any] = {
        "item": {"S": "ré"},  # 4 and 3
        "deadline": {"N": "1800003570000"},  # 8, and 1 for each two of nine digits, and 1
        "sent": {"BOOL": True},  # 4 and 1
    }
    assert item_bytes(item) == 7 + 14 + 5


def test_limits_are_those_of_the_apis_models() -> None:
    def longest(service: str, shape: str) -> int:
        found: int = API.get_service_model(service).shape_for(shape).metadata["max"]
        return found

    assert longest("lambda", "StatementId") == ceilings.STATEMENT_ID.value
    assert longest("events", "RuleName") == ceilings.RULE_NAME.value
    assert longest("events", "TargetInput") == ceilings.TARGET_INPUT.value
    assert longest("stepfunctions", "Name") == ceilings.EXECUTION_NAME.value
    assert longest("stepfunctions", "SensitiveData") == ceilings.EXECUTION_INPUT.value


def test_intervals_are_those_of_the_libraries() -> None:
    waiter = API.get_waiter_model("ec2").get_waiter("BundleTaskComplete")
    assert waiter.delay == ceilings.WAITER_INTERVAL
    assert waiter.delay * waiter.max_attempts == ceilings.WAITER_SECONDS.value
    minutes = inspect.signature(CfnResource).parameters["polling_interval"].default
    assert minutes * 60 == ceilings.CRHELPER_INTERVAL


def test_what_is_said_of_this_application_is_what_it_does() -> None:
    assert messages.LONGEST_APART == ceilings.LONGEST_DELAY
    assert ceilings.FILTER_VALUES.value == aws.FILTER_VALUES
