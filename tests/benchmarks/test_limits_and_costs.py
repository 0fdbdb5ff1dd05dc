"""docs/limits-and-costs.md has the prices, and the limits, that the code has."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks import prices, summary
from benchmarks.ceilings import designs
from benchmarks.polling import assumptions
from cli.prices import FILE
from instance_bundle import budget
from instance_bundle.request.formats import LONGEST_PREFIX
from instance_bundle.request.properties import (
    DEFAULT_COMPLETION_TIMEOUT,
    DEFAULT_SERVICE_TIMEOUT,
    SCHEMA_FILE,
)
from sandbox.artifact import REPOSITORY
from sandbox.cloudformation import templates

PAGE = summary.PAGE.read_text()
TEMPLATE = templates.parse((REPOSITORY / "template.yaml").read_text())
SHOWN = [*summary.tables(PAGE)]
MEASURED = [*summary.tables((REPOSITORY / "benchmarks" / "results" / "README.md").read_text())]
SCHEMA = json.loads(SCHEMA_FILE.read_text())
KEPT = json.loads(FILE.read_text())


def rows(*columns: str) -> list[tuple[str, ...]]:
    """The rows of all tables of the page with these columns."""
    return [each for table in SHOWN if table.columns == columns for each in table.rows]


def row(*columns: str, about: str) -> tuple[str, ...]:
    """The one row that is about something."""
    [found] = [each for each in rows(*columns) if about in each[0]]
    return found


def measured(*columns: str) -> list[tuple[str, ...]]:
    """The rows of the first table of the results with these columns, cut down to them."""
    table = next(each for each in MEASURED if {*columns} <= {*each.columns})
    return table.only(columns)


def at_rest(about: str) -> tuple[str, ...]:
    return row("What", "Price", "A month, $", about=about)


def for_each(about: str) -> tuple[str, ...]:
    return row("What", "Price", "For each, $", about=about)


def alarm_metrics(alarm: Mapping[str, Any]) -> int:
    """How many metrics an alarm has."""
    return sum("MetricStat" in each for each in alarm.get("Metrics", [{"MetricStat": {}}]))


def test_the_pollers_are_those_of_the_queues_that_lambda_polls() -> None:
    sources = [
        each["Properties"]
        for each in TEMPLATE["Resources"].values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    idle = prices.idle_month(assumptions.FIRST_POLLERS, assumptions.LONG_POLL)

    _, price, month = at_rest("Lambda's pollers of three queues")

    assert len(sources) == 3
    assert f"${prices.SQS_REQUEST * 1e6:.2f} for a million requests ({prices.AS_OF})" in price
    assert month == f"{len(sources) * idle:.2f} at most"


def test_the_alarms_are_those_of_the_template() -> None:
    alarms = [
        alarm_metrics(each["Properties"])
        for each in TEMPLATE["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]

    _, price, month = at_rest("Six alarms, of eight metrics")

    assert (len(alarms), sum(alarms)) == (6, 8)
    assert f"${prices.ALARM_METRIC:.2f} for each metric" in price
    assert month == f"{sum(alarms) * prices.ALARM_METRIC:.2f}"


def test_at_rest_the_application_costs_its_pollers_and_its_alarms() -> None:
    of_each = [float(at_rest(about)[2].split()[0]) for about in ("pollers", "Six alarms")]

    assert f"costs ${sum(of_each):.2f} a month at most" in PAGE


def test_the_ledger_and_the_dashboard_have_their_prices() -> None:
    _, of_table, gigabyte = at_rest("The ledger")
    _, of_dashboard, month = at_rest("A dashboard")

    assert f"${prices.TABLE_GB:.2f} stored, and ${prices.RECOVERY_GB:.2f} for" in of_table
    assert gigabyte == f"{prices.TABLE_GB + prices.RECOVERY_GB:.2f}"
    assert f"${prices.DASHBOARD:.2f} ({prices.OTHERS_AS_OF})" in of_dashboard
    assert month == f"{prices.DASHBOARD:.2f}"
    assert f"${prices.OWN_METRIC:.2f} a month for each of the application's" in PAGE
    assert f"${prices.LOGS_GB:.2f} for each GB of logs ({prices.OTHERS_AS_OF})" in PAGE


def test_polls_cost_at_most_what_the_page_says() -> None:
    bundles = measured("design", "at once", "$ a 1,000 bundles")
    stages = measured("stage", "its end is found by", "$ a 1,000 stages")
    ours = [float(usd) for design, _, usd in bundles if design == "this application"]
    storing = [
        float(usd)
        for stage, found_by, usd in stages
        if stage in ("an AMI, pending", "an AMI, storing") and found_by.startswith("polls alone")
    ]

    assert (len(ours), len(storing)) == (5, 2)
    assert for_each("Polls")[2] == "0.001 at most"
    assert max(*ours, sum(storing)) / 1000 < 0.001


def test_reads_and_events_have_their_prices() -> None:
    _, of_blocks, gigabyte = for_each("StoreImage: EC2 reads the snapshots")
    _, of_events, bundle = for_each(f"S3's events of {assumptions.PARTS} parts and a manifest")

    assert f"${prices.SNAPSHOT_BLOCK * 1000:.3f} for 1,000 blocks of 512 KiB" in of_blocks
    block = prices.SNAPSHOT_BLOCK * prices.SNAPSHOT_BLOCKS_OF_GB
    assert gigabyte == f"{block:.4f} for each GB"
    assert f"${prices.OBJECT_EVENT * 1e6:.2f} for a million ({prices.AS_OF})" in of_events
    assert bundle == f"{(assumptions.PARTS + 1) * prices.OBJECT_EVENT:.4f}"


def test_what_is_kept_has_the_prices_of_the_command_with_their_dates() -> None:
    regions = sorted({*KEPT["snapshots"]["regions"], *KEPT["objects"]["regions"]})
    expected = []
    for region in regions:
        cells = [region]
        for kind in ("snapshots", "objects"):
            price = KEPT[kind]["regions"].get(region)
            cells += [f"{price['usd']:g}", price["date"]] if price else ["unknown", "unknown"]
        expected.append(tuple(cells))

    assert rows("Region", "Snapshots, $", "Date", "Objects, $", "Date") == expected
    assert KEPT["snapshots"]["page"] in PAGE
    assert KEPT["objects"]["page"] in PAGE


def test_the_example_of_what_is_kept_is_right() -> None:
    text = " ".join(PAGE.split())
    [(size, both, snapshot, stored)] = re.findall(
        r"a volume of (\d+) GB costs \$([\d.]+) a month at most in us-east-1: \$([\d.]+) for its "
        r"snapshot and \$([\d.]+) for the object",
        text,
    )
    of_kinds = [
        int(size) * KEPT[kind]["regions"]["us-east-1"]["usd"] for kind in ("snapshots", "objects")
    ]

    assert [snapshot, stored] == [f"{usd:.2f}" for usd in of_kinds]
    assert both == f"{sum(of_kinds):.2f}"


@pytest.mark.parametrize(
    ("about", "limit"),
    [
        ("1,000 invocations at once", designs.CONCURRENCY),
        ("120,000 messages in flight", designs.IN_FLIGHT),
        ("900 seconds of a message's delay", designs.DELAY),
        ("300 rules of a bus", designs.RULES),
        ("400 KB of an item", designs.ITEM),
        ("4,000 write units a second", designs.WRITES),
        ("20 calls a second that last", designs.DESCRIBES),
        ("4,096 bytes of a custom resource's response", designs.ANSWER),
    ],
)
def test_the_quotas_are_those_of_the_code_with_their_pages(
    about: str, limit: designs.Limit
) -> None:
    found, page, _ = row("Limit", "AWS page", "What happens when it is met", about=about)

    number, unit, *_ = found.split()
    value = int(number.replace(",", "")) * (1024 if unit == "KB" else 1)
    assert value == limit.value
    assert limit.source in page


def test_what_happens_at_a_limit_has_the_figures_of_the_application() -> None:
    resources = {name: each["Properties"] for name, each in TEMPLATE["Resources"].items()}
    polls, events = (
        resources[name]["ScalingConfig"]["MaximumConcurrency"]
        for name in ("PollSource", "EventSource")
    )
    age = resources["InstanceBundleFunction"]["EventInvokeConfig"]["MaximumEventAgeInSeconds"]
    tags = SCHEMA["properties"]["Image"]["properties"]
    buckets = TEMPLATE["Parameters"]["AllowedBuckets"]["MaxLength"]
    text = " ".join(PAGE.split())

    for sentence in (
        f"Its polls use {polls} invocations at once, and events of EC2's and S3's {events}.",
        f"an event of CloudFormation's again for {age // 60} minutes",
        f"`Storage.S3.Prefix` has {LONGEST_PREFIX} bytes at most",
        f"`Image.Tags` has {tags['Tags']['maxItems']} at most",
        f"`Image.ObjectTags` has {tags['ObjectTags']['maxItems']} at most",
        f"{DEFAULT_SERVICE_TIMEOUT:,} seconds for an answer",
        f"{DEFAULT_COMPLETION_TIMEOUT:,} seconds for a wait condition",
        f"repeated by a poll {budget.AFTER_FAULT} seconds later",
        f"the longest delay is {designs.LONGEST_DELAY} seconds",
        f"`AllowedBuckets` has 50 names and {buckets:,} characters at most",
    ):
        assert sentence in text


def test_each_quota_has_a_page_of_aws_and_says_what_happens() -> None:
    found = rows("Limit", "AWS page", "What happens when it is met")

    assert len(found) > 20
    assert [each for each in found if "](https://docs.aws.amazon.com/" not in each[1]] == []
    assert [each for each in found if len(each) != 3 or not each[2].endswith(".")] == []
