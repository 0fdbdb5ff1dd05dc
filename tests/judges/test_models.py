"""botocore's models as an oracle: what the sandbox answers to the calls that it claims is what they
say, with no member that they lack, none missing, and each of the right type. What they do not allow
in a request is refused."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import botocore
import pytest

from sandbox import deployment, world
from tests.signed import send
from tests.stacks.support import Aws, signing_secret
from tests.stacks.trials import (
    BUNDLE_AND_REGISTER,
    BUNDLE_INSTANCE,
    STORE_IMAGE,
    Steps,
    Trial,
    carry_out,
)

from .oracle import answers, images, objects, planted, services, stacks, wrong
from .oracle.claimed import CALLS, answered
from .oracle.recorder import Exchange, Judged, Recording, operation
from .table import Fault, Suite

_SHOWING = (
    '.venv/bin/python -c "from botocore.session import get_session; '
    "print(get_session().get_service_model('{service}').shape_for('{shape}').enum)\""
)

SUITE = Suite(
    "botocore's models",
    botocore.__version__,
    "the sandbox's answers to each call that it claims, as they are sent, and its refusals",
    (
        Fault(
            "EC2's Platform is `windows` in its own examples, and `Windows` in the model",
            _SHOWING.format(service="ec2", shape="PlatformValues"),
        ),
        Fault(
            "events of a stack have the stack's own states, such as "
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS, which the model has no room for",
            _SHOWING.format(service="cloudformation", shape="ResourceStatus"),
        ),
    ),
)

_FAULTS_OF_MODELS = re.compile(
    r"'windows' is no string of PlatformValues$"
    r"|'UPDATE_(ROLLBACK_)?COMPLETE_CLEANUP_IN_PROGRESS' is no string of ResourceStatus$"
)


def _life(trial: Trial) -> Steps:
    """Create, update with replacement, delete."""
    trial.create(trial.body("one", OnDelete="Delete"))
    yield trial.rests()
    assert trial.problems("CREATE_COMPLETE", 1, ["one"]) == []
    trial.update(trial.body("two", OnDelete="Delete"))
    yield trial.rests()
    assert trial.problems("UPDATE_COMPLETE", 2, ["two"]) == []
    trial.delete()
    yield trial.rests()
    assert trial.problems("DELETE_COMPLETE", 2, []) == []


@dataclass(frozen=True)
class Judgement:
    """The sandbox, and what was answered to each call so far."""

    endpoint: str
    exchanges: dict[str, list[Exchange]]

    def accepted(self, call: str) -> list[Exchange]:
        """What was carried out."""
        return [each for each in self.exchanges[call] if each.answer.status < 300]


@pytest.fixture(scope="module")
def judged() -> Iterator[Judgement]:
    """What was answered to each call, by clients and in whole stacks."""
    server = Recording()
    with server:
        clients = Judged(server.endpoint)
        made = world.make(clients)
        outputs = deployment.deploy(clients, {})
        ready = {
            "endpoint": server.endpoint,
            "service_token": outputs["ServiceToken"],
            "bucket": made.bucket,
            "instance_id": made.instance_id,
            "ebs_instance_id": made.ebs_instance_id,
            "secret": signing_secret(clients),
        }
        aws = Aws(ready, clients)
        methods = (BUNDLE_INSTANCE, BUNDLE_AND_REGISTER, STORE_IMAGE)
        trials = [
            Trial(aws, instance=method.instance(aws, "complete"), method=method)
            for method in methods
        ]
        carry_out(aws, [_life(trial) for trial in trials])
        images.drive(clients, made.ebs_instance_id, made.instance_id)
        objects.drive(clients)
        services.drive(clients)
        stacks.drive(clients)
        found: dict[str, list[Exchange]] = defaultdict(list)
        for exchange in server.exchanges:
            found[exchange.call].append(exchange)
        yield Judgement(server.endpoint, found)


def _found(call: str, status: int, headers: dict[str, str], body: str) -> list[str]:
    model = operation(call)
    assert model is not None
    ids = dict.fromkeys(("x-amzn-requestid", "x-amz-request-id", "x-amz-id-2"), "a")
    answer = answers.Answer(status, ids | headers, body.encode())
    return list(answers.problems(model, answer))


@pytest.mark.parametrize("answer", planted.RIGHT, ids=lambda answer: answer[0])
def test_the_oracle_finds_nothing_in_a_right_answer(
    answer: tuple[str, int, dict[str, str], str],
) -> None:
    assert _found(*answer) == []


@pytest.mark.parametrize(
    "planted_fault", planted.WRONG, ids=lambda fault: f"{fault[0]} {fault[-1]}"
)
def test_the_oracle_finds_a_planted_fault(
    planted_fault: tuple[str, int, dict[str, str], str, str],
) -> None:
    call, status, headers, body, words = planted_fault
    found = _found(call, status, headers, body)
    assert [problem for problem in found if words in problem], found


@pytest.mark.usefixtures("judged")
def test_each_call_that_the_sandbox_answers_is_claimed() -> None:
    assert {*answered()} - {*CALLS} == set()


@pytest.mark.parametrize("call", CALLS)
def test_what_is_answered_is_what_the_model_says(judged: Judgement, call: str) -> None:
    model = operation(call)
    assert model is not None
    assert judged.accepted(call), "it was never called, or never carried out"
    problems = {
        f"{each.answer.status} {problem}"
        for each in judged.exchanges[call]
        for problem in answers.problems(model, each.answer)
        if not _FAULTS_OF_MODELS.search(problem)
    }
    assert sorted(problems) == []


@pytest.mark.parametrize("call", CALLS)
def test_what_the_model_does_not_allow_is_refused(judged: Judgement, call: str) -> None:
    """A member that no operation has is refused by EC2 alone; others may ignore it."""
    model = operation(call)
    assert model is not None
    longest = max(judged.accepted(call), key=lambda each: len(each.sent.body))
    problems = []
    for what, sent in wrong.requests(model, longest.sent):
        path, body = sent.path, sent.body
        got = send(judged.endpoint, sent.service, body, sent.headers, method=sent.method, path=path)
        answer = answers.Answer(got.status, got.headers, got.body)
        is_refused = 400 <= got.status < 500
        may_be_ignored = what == "unknown" and not call.startswith("ec2:")
        if not is_refused and not (may_be_ignored and got.status < 300):
            problems.append(f"{what}: {got.status} {got.body[:200]!r}")
        problems += [f"{what}: {problem}" for problem in answers.problems(model, answer)]
    assert [each for each in problems if not _FAULTS_OF_MODELS.search(each)] == []
