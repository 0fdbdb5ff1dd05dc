"""How many requests can be under way before each design breaks, and what breaks first.

The sizes are those of real statements, items, messages and answers, seen in the sandbox; that
crhelper breaks where it is said to is seen there as well. All else is arithmetic on AWS's quotas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from benchmarks.ceilings import request_sizes
from benchmarks.ceilings.request_sizes import Ours, Stock
from benchmarks.section import Section, Table
from instance_bundle import budget
from instance_bundle.request.properties import DEFAULT_SERVICE_TIMEOUT
from instance_bundle.responses import response
from sandbox import serve
from sandbox.clients import Clients
from sandbox.upstream import quotas

SEEN = "test"
"""How a ceiling is shown: the sandbox has the limit, and the design was run into it."""
CALCULATED = "arithmetic"


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota of AWS's.

    Attributes:
        name: of what.
        value: the most, or with a rate the most of a second that lasts.
        unit: of the value.
        source: URL of the page that says so.
        soft: AWS raises it on request.
    """

    name: str
    value: int
    unit: str
    source: str
    soft: bool = False

    def __str__(self) -> str:
        return f"{self.value:,} {self.unit}{' (soft)' if self.soft else ''}"


_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_BUSES = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
_STATES = "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"
_QUEUES = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"
)
_TABLES = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"
_ON_DEMAND = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
)
_SEND_MESSAGE = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"
)
_RESPONSES = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html"
)
_PROVIDER = "https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.custom_resources.Provider.html"
_THROTTLING = "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"
_FILTER = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html"
_WAITER = (
    "https://docs.aws.amazon.com/boto3/latest/reference/services/ec2/waiter/BundleTaskComplete.html"
)

POLICY = Limit("a function's resource-based policy", quotas.POLICY_BYTES, "bytes", _LAMBDA)
STATEMENT_ID = Limit(
    "a statement's ID",
    quotas.STATEMENT_ID,
    "characters",
    "https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html",
)
RULES = Limit("rules of a bus", quotas.RULES, "rules", _BUSES, soft=True)
RULE_NAME = Limit(
    "a rule's name",
    quotas.RULE_NAME,
    "characters",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html",
)
TARGET_INPUT = Limit(
    "a target's Input",
    quotas.TARGET_INPUT,
    "characters",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html",
)
DESCRIBES = Limit("DescribeBundleTasks", 20, "calls a second", _THROTTLING, soft=True)
FILTER_VALUES = Limit("values of a filter", 200, "values", _FILTER)
CONCURRENCY = Limit("Lambda's concurrency", 1_000, "invocations at once", _LAMBDA, soft=True)
FUNCTION_SECONDS = Limit("a function's timeout", 900, "seconds", _LAMBDA)
WAITER_SECONDS = Limit("boto3's bundle_task_complete, as it is set", 600, "seconds", _WAITER)
EVENT = Limit("an asynchronous event", 1_048_576, "bytes", _LAMBDA)
EXECUTIONS = Limit("open executions", 1_000_000, "executions", _STATES, soft=True)
EXECUTION_NAME = Limit("an execution's name", 80, "characters", _STATES)
EXECUTION_INPUT = Limit("an execution's input", 262_144, "bytes", _STATES)
EXECUTION_HISTORY = Limit("an execution's history", 25_000, "events", _STATES)
PROVIDER_SECONDS = Limit("totalTimeout, as it is set", 1_800, "seconds", _PROVIDER)
MOST_PROVIDER_SECONDS = Limit("totalTimeout, at the most", 3_600, "seconds", _PROVIDER)
IN_FLIGHT = Limit("messages in flight", 120_000, "messages", _QUEUES, soft=True)
DELAY = Limit("a message's delay", 900, "seconds", _SEND_MESSAGE)
MESSAGE = Limit("a message", 1_048_576, "bytes", _SEND_MESSAGE)
WRITES = Limit("writes of a new on-demand table", 4_000, "units a second", _ON_DEMAND, soft=True)
ITEM = Limit("an item", 409_600, "bytes", _TABLES)
ANSWER = Limit("a response to CloudFormation", response.LIMIT, "bytes", _RESPONSES)

UNIT = 1_024
"""Bytes of an item that a write unit is for."""
INVOCATION = 0.2
"""Seconds that an invocation for one poll is taken to last, in any design."""
BATCH = 4.0
"""Seconds that a message of a full batch is taken to be in flight, and its invocation to last: a
second in which it is gathered, and 0.03 for each poll."""
WRITES_OF_A_POLL = 2
"""The ledger's writes for a poll: take the lease, save progress."""
CRHELPER_INTERVAL = 120
"""Seconds between crhelper's polls, as it is set."""
PROVIDER_INTERVAL = 5
"""Seconds: the provider framework's queryInterval, as it is set."""
WAITER_INTERVAL = 15
"""Seconds: the waiter's delay, as it is set."""
PROVIDER_FUNCTIONS = 2
"""Invocations at once for a poll: the framework's function waits for the user's."""
EVENTS_OF_A_POLL = 3
"""Of an execution's history: a task is scheduled, started, and fails to be tried again."""

LONGEST_DELAY = 300
"""Seconds that a poll is put off at the most: one whose batch crashed the function."""

_SUFFIX = 8
"""Characters that crhelper adds to the logical ID, for names of rules and statements."""
_LONGEST_LOGICAL_ID = 255
_REQUEST_ID = 36
"""Characters of a UUID."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What was seen in the sandbox of crhelper as it is, and of this application."""

    stock: Stock
    ours: Ours


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many requests of a design one limit admits at once.

    Attributes:
        limit: the limit.
        requests: how many.
        calculation: why so many.
        shown: how that is known, `SEEN` or `CALCULATED`.
    """

    limit: Limit
    requests: int
    calculation: str
    shown: str = CALCULATED


@dataclass(frozen=True, slots=True)
class Need:
    """What one request needs of a limit.

    Attributes:
        limit: the limit.
        needs: how much, in the limit's unit.
        what: for what.
        shown: how that is known, `SEEN` or `CALCULATED`.
    """

    limit: Limit
    needs: int
    what: str
    shown: str = CALCULATED

    @property
    def fits(self) -> bool:
        """Whether the limit admits it."""
        return self.needs <= self.limit.value


@dataclass(frozen=True, slots=True)
class Design:
    """A way to wait for bundle tasks.

    Attributes:
        name: what tables call it.
        ceilings: what limits the requests that are under way at once.
        needs: what the largest request needs that this application takes, and one that lasts as
            long as CloudFormation waits.
    """

    name: str
    ceilings: tuple[Ceiling, ...]
    needs: tuple[Need, ...]

    @property
    def first(self) -> Ceiling:
        """What breaks first."""
        return min(self.ceilings, key=lambda ceiling: ceiling.requests)


def designs(sizes: Sizes) -> tuple[Design, ...]:
    """All of them, this application last."""
    return (
        crhelper(sizes),
        provider_framework(sizes),
        waiting_function(sizes),
        this_application(sizes),
    )


def crhelper(sizes: Sizes) -> Design:
    """crhelper as it is: a rule and a statement for each request that is polled."""
    stock = sizes.stock
    name = _LONGEST_LOGICAL_ID + _SUFFIX
    return Design(
        "crhelper, as it is",
        (
            Ceiling(
                POLICY,
                statements(stock),
                f"{stock.statement} bytes a statement, {stock.envelope} around them",
                SEEN,
            ),
            Ceiling(RULES, RULES.value, "a rule a request, where no others are", SEEN),
            _describes(CRHELPER_INTERVAL),
            _concurrency(CRHELPER_INTERVAL, INVOCATION, f"{INVOCATION:g} s a poll"),
        ),
        (
            Need(RULE_NAME, name, f"the longest logical ID, and {_SUFFIX} more", SEEN),
            Need(STATEMENT_ID, name, "the same", SEEN),
            Need(TARGET_INPUT, sizes.ours.event + stock.adds, "the event, and its own", SEEN),
        ),
    )


def provider_framework(sizes: Sizes) -> Design:
    """The CDK's provider framework: an execution of Step Functions for each request
    (https://github.com/aws/aws-cdk/tree/main/packages/aws-cdk-lib/custom-resources)."""
    polls = DEFAULT_SERVICE_TIMEOUT // PROVIDER_INTERVAL
    return Design(
        "CDK provider framework",
        (
            _describes(PROVIDER_INTERVAL),
            _concurrency(
                PROVIDER_INTERVAL,
                INVOCATION * PROVIDER_FUNCTIONS,
                f"{INVOCATION:g} s a poll, in two functions at once",
            ),
            Ceiling(EXECUTIONS, EXECUTIONS.value, "an execution a request"),
        ),
        (
            Need(EXECUTION_NAME, _REQUEST_ID, "the request's ID"),
            Need(EXECUTION_INPUT, sizes.ours.event, "the event"),
            Need(EXECUTION_HISTORY, EVENTS_OF_A_POLL * polls, f"{polls} polls"),
            Need(PROVIDER_SECONDS, DEFAULT_SERVICE_TIMEOUT, "as long as CloudFormation waits"),
            Need(MOST_PROVIDER_SECONDS, DEFAULT_SERVICE_TIMEOUT, "the same"),
        ),
    )


def waiting_function(sizes: Sizes) -> Design:
    """A function that waits inside, by boto3's waiter: an invocation for each request."""
    return Design(
        "Lambda that waits inside",
        (
            _describes(WAITER_INTERVAL),
            Ceiling(CONCURRENCY, CONCURRENCY.value, "an invocation a request"),
        ),
        (
            Need(EVENT, sizes.ours.event, "the event"),
            Need(WAITER_SECONDS, DEFAULT_SERVICE_TIMEOUT, "as long as CloudFormation waits"),
            Need(FUNCTION_SECONDS, DEFAULT_SERVICE_TIMEOUT, "the same"),
        ),
    )


def this_application(sizes: Sizes) -> Design:
    """A message for each request, and a Describe call for each batch of them.

    Each request is assumed to be polled as often as any ever is.
    """
    seen, interval = sizes.ours, budget.NEXT_POLL
    units = WRITES_OF_A_POLL * ceil(seen.item / UNIT)
    return Design(
        "this application",
        (
            _describes(interval, seen.batch),
            Ceiling(
                WRITES,
                WRITES.value * interval // units,
                f"{_every(interval)}, {units} units each, of an item of {seen.item:,} bytes",
            ),
            _concurrency(interval, BATCH / seen.batch, f"{BATCH:g} s a batch of {seen.batch}"),
            Ceiling(
                IN_FLIGHT,
                round(IN_FLIGHT.value * interval / BATCH),
                f"{_every(interval)}, {BATCH:g} s from receipt to deletion",
            ),
        ),
        (
            Need(EVENT, seen.event, "the event"),
            Need(ITEM, seen.largest_item, "the event", SEEN),
            Need(MESSAGE, seen.message, "the request's key", SEEN),
            Need(DELAY, LONGEST_DELAY, "the poll that is put off longest"),
            Need(FILTER_VALUES, seen.batch, "the tasks of a batch"),
            Need(ANSWER, seen.answer, "the answer", SEEN),
        ),
    )


def statements(stock: Stock) -> int:
    """How many of crhelper's statements a policy holds; commas are between them."""
    return (POLICY.value - stock.envelope + 1) // (stock.statement + 1)


def run(say: Callable[[str], None]) -> Section:
    """See the sizes in a sandbox, run crhelper into its ceiling, and calculate the others.

    Raises:
        RuntimeError: crhelper broke elsewhere than its sizes say.
    """
    say("Ceilings: deploying the application")
    with serve.running() as ready:
        clients = Clients(ready.endpoint)
        say("Ceilings: crhelper as it is, until a request is refused")
        stock = request_sizes.of_stock(clients)
        say(f"Ceilings: {stock.refused.under_way} requests under way, then: {stock.refused.reason}")
        if stock.refused.under_way != statements(stock):
            raise RuntimeError(f"{statements(stock)} requests were to be admitted")
        say("Ceilings: this application, with the largest request that it takes")
        ours = request_sizes.of_ours(ready, clients)
    return section(Sizes(stock, ours))


def section(sizes: Sizes) -> Section:
    """What the sizes come to."""
    found = designs(sizes)
    return Section("Ceilings", (_at_once(found, sizes.ours), _ceilings(found), _needs(found)))


def _at_once(found: tuple[Design, ...], seen: Ours) -> Table:
    ours = found[-1].first.requests
    return Table(
        "Requests under way at once, until a limit of AWS is reached",
        (
            "design",
            "what breaks first",
            "limit",
            "requests",
            "this application's",
            "shown by",
            "source",
        ),
        tuple(
            (
                design.name,
                design.first.limit.name,
                str(design.first.limit),
                f"{design.first.requests:,}",
                f"{ours / design.first.requests:.3g} times as many",
                design.first.shown,
                design.first.limit.source,
            )
            for design in found
        ),
        (
            "Limits are of an account that has asked for no more; soft ones are raised on request.",
            "Rates are those that last; EC2 first lets 100 DescribeBundleTasks through at once.",
            (
                f"A poll is every {CRHELPER_INTERVAL} s with crhelper, {PROVIDER_INTERVAL} s with "
                f"the provider framework and {WAITER_INTERVAL} s with the waiter, as they are set; "
                f"with this application every {budget.NEXT_POLL} s, the most often. With half "
                "as many polls, twice as many requests can be under way, except with crhelper."
            ),
            (
                f"This application's batches are full, of {seen.batch}; if no function gathered "
                f"more than the {seen.handed} that Lambda delivers, DescribeBundleTasks would "
                f"let {_describes(budget.NEXT_POLL, seen.handed).requests:,} requests be under way."
            ),
            (
                "crhelper and the provider framework answer FAILED for a poll that EC2 throttles "
                "beyond the SDK's tries; this application polls again "
                f"{budget.AFTER_FAULT} s later."
            ),
            "How fast EC2 lets tasks begin is the same for all designs, and left out.",
        ),
    )


def _ceilings(found: tuple[Design, ...]) -> Table:
    return Table(
        "What else limits the requests under way at once, lowest first",
        ("design", "limit of", "limit", "requests", "calculated from", "shown by", "source"),
        tuple(
            (
                design.name,
                ceiling.limit.name,
                str(ceiling.limit),
                f"{ceiling.requests:,}",
                ceiling.calculation,
                ceiling.shown,
                ceiling.limit.source,
            )
            for design in found
            for ceiling in sorted(design.ceilings, key=lambda each: each.requests)
        ),
        (
            f"An invocation is assumed to last {INVOCATION:g} s a poll, {BATCH:g} s a batch.",
            "An on-demand table takes twice its highest load so far, so that its limit grows.",
        ),
    )


def _needs(found: tuple[Design, ...]) -> Table:
    return Table(
        "One request: the largest that this application takes, and an hour long",
        ("design", "limit of", "limit", "needs", "fits", "for", "shown by", "source"),
        tuple(
            (
                design.name,
                need.limit.name,
                str(need.limit),
                f"{need.needs:,}",
                "yes" if need.fits else "no",
                need.what,
                need.shown,
                need.limit.source,
            )
            for design in found
            for need in design.needs
        ),
        (
            (
                "The largest is an Update of all that it may hold, before and after: upload "
                "policies as large as S3 takes them, prefixes of 900 bytes, 9 tags; and a logical "
                "ID of 255 characters."
            ),
        ),
    )


def _describes(interval: int, tasks: int = 1) -> Ceiling:
    """EC2 is asked every so many seconds about each task, and about so many of them in a call."""
    of = f", {tasks} tasks a call" if tasks > 1 else ""
    return Ceiling(DESCRIBES, DESCRIBES.value * interval * tasks, f"{_every(interval)}{of}")


def _concurrency(interval: int, seconds: float, calculation: str) -> Ceiling:
    """Each poll takes so many seconds of an invocation."""
    admitted = round(CONCURRENCY.value * interval / seconds)
    return Ceiling(CONCURRENCY, admitted, f"{_every(interval)}, {calculation}")


def _every(interval: int) -> str:
    return f"a poll every {interval} s"
