"""What the workflow of this repository promises, read from the workflow."""

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from tools.nightly import PARTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github/workflows/check.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
TRIGGERS: dict[str, Any] = WORKFLOW[True]  # YAML 1.1 takes the key `on` for a boolean
RELEASE_TEXT = (ROOT / ".github/workflows/release.yml").read_text()
RELEASE: dict[Any, Any] = yaml.safe_load(RELEASE_TEXT)
RUNTIME = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"]["Runtime"]

each_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def steps_with(action: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs of each step that uses the action."""
    uses = (step for step in job["steps"] if step.get("uses", "").startswith(f"{action}@"))
    return [step.get("with", {}) for step in uses]


def scripts(*jobs: dict[str, Any]) -> Iterator[str]:
    for job in jobs or JOBS.values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def commands(*jobs: dict[str, Any]) -> set[str]:
    """The lines of all scripts of the jobs; by default of all jobs."""
    return {line.strip() for script in scripts(*jobs) for line in script.splitlines()}


def targets(*jobs: dict[str, Any]) -> list[str]:
    """What `make` is run for in the jobs; by default in all jobs."""
    typed = (shlex.split(command) for command in commands(*jobs))
    return sorted({target for program, *rest in typed if program == "make" for target in rest})


def made(*goals: str) -> set[str]:
    """The commands that make would run for these goals, those of makes in it as well."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *goals],  # noqa: S607  the one of PATH
        cwd=ROOT,
        env={**environment, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # What make says itself, and what it starts makes with, begins with its name.
    of_make = re.compile(r'(\w+=\S* )*(\S*/)?make\b|echo "[^"]*"$')
    return {line for line in done.stdout.splitlines() if not of_make.match(line)}


def test_changes_start_it_with_the_permissions_of_their_author() -> None:
    assert TRIGGERS.keys() == {"push", "pull_request", "workflow_dispatch", "schedule"}
    assert TRIGGERS["push"] == {"branches": ["main"]}
    assert "secrets." not in TEXT


def test_make_knows_each_target() -> None:
    assert {"unit", "test", "test-sandbox"} <= set(targets())
    for target in targets():
        made(target)


def test_all_that_the_gate_runs_is_run_for_each_change() -> None:
    gate = made("check")
    each_change = [job for job in JOBS.values() if "if" not in job]

    assert any('-m "faults' in command for command in gate)
    assert gate - made(*targets(*each_change)) - commands(*each_change) == set()


def test_all_that_the_gate_runs_is_run_at_night() -> None:
    nightly = [part.command[-1] for part in PARTS if part.command[0] == "make"]

    assert "nightly" in targets(JOBS["nightly"])
    assert made("check") - made(*nightly) == set()


def test_what_each_change_has_to_pass_leaves_out_the_nightly_forms_alone() -> None:
    conditions = {name: job["if"] for name, job in JOBS.items() if "if" in job}

    assert conditions.keys() == {"nightly"}
    assert not [step for job in JOBS.values() for step in job["steps"] if "if" in step]
    assert not [key for job in JOBS.values() for key in job if key == "continue-on-error"]


@pytest.mark.parametrize(
    ("job", "target", "variable"),
    [
        ("clients", "clients", "REQUIRE_CONTAINERS"),
        ("nightly", "nightly", "REQUIRE_CONTAINERS"),
        ("stacks", "test", "REQUIRE_NODE"),
        ("nightly", "nightly", "REQUIRE_NODE"),
    ],
)
def test_no_test_is_skipped_for_what_a_runner_has(job: str, target: str, variable: str) -> None:
    [step] = [step for step in JOBS[job]["steps"] if step.get("run") == f"make {target}"]

    assert step["env"][variable]


@pytest.mark.parametrize("target", ["audit", "nightly"])
def test_no_audit_is_skipped(target: str) -> None:
    steps = [step for job in JOBS.values() for step in job["steps"]]
    [step] = [step for step in steps if step.get("run") == f"make {target}"]

    assert step["env"]["REQUIRE_AUDIT"]


def test_each_action_is_pinned_with_its_version() -> None:
    uses = [line.split("uses:")[1].strip() for line in TEXT.splitlines() if "uses:" in line]
    pin = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

    assert uses
    assert [each for each in uses if not pin.fullmatch(each)] == []
    assert len({each.split("@")[0] for each in uses}) == len(set(uses)), "two pins of one action"


def test_examples_pin_the_same_actions_alike() -> None:
    example = (ROOT / "examples/pipeline/github-actions.yml").read_text()
    pins = dict(re.findall(r"uses: (\S+)@(.*)", TEXT))
    others = dict(re.findall(r"uses: (\S+)@(.*)", example))

    assert pins.keys() & others.keys() == {"actions/checkout"}
    assert pins["actions/checkout"] == others["actions/checkout"]


@each_job
def test_a_job_may_read_the_repository_and_nothing_else(job: dict[str, Any]) -> None:
    assert WORKFLOW["permissions"] == {}
    assert job["permissions"] == {"contents": "read"}


@each_job
def test_a_checkout_leaves_no_credentials_behind(job: dict[str, Any]) -> None:
    [checkout] = steps_with("actions/checkout", job)

    assert checkout["persist-credentials"] is False


@each_job
def test_a_job_ends_and_its_runner_is_a_fixed_one(job: dict[str, Any]) -> None:
    assert 0 < job["timeout-minutes"] <= (240 if "if" in job else 45)
    assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])


def test_no_script_contains_an_expression() -> None:
    assert [script for script in scripts() if "${{" in script] == []


def test_the_tests_run_on_each_python_that_is_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = int(project["requires-python"].removeprefix(">=3."))
    newest = int(RUNTIME.removeprefix("python3."))
    job = JOBS["unit"]
    matrix = job["strategy"]["matrix"]["python"]
    [python] = steps_with("actions/setup-python", job)

    assert matrix == [f"3.{minor}" for minor in range(oldest, newest + 1)]
    assert "unit" in targets(job)
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    # The last one is the one that `python3` runs.
    assert python["python-version"].split("\n")[-2] == "${{ matrix.python }}"


@each_job
def test_a_job_has_the_python_that_functions_run_on(job: dict[str, Any]) -> None:
    [python] = steps_with("actions/setup-python", job)

    assert RUNTIME.removeprefix("python") in python["python-version"].split()


def test_a_tag_makes_a_draft_of_a_release_with_the_files_of_make() -> None:
    [job] = RELEASE["jobs"].values()
    *_, create = scripts(job)

    assert RELEASE[True] == {"push": {"tags": ["v*"]}}
    assert (RELEASE["permissions"], job["permissions"]) == ({}, {"contents": "write"})
    assert targets(job) == ["release"]
    assert create.startswith('gh release create "$GITHUB_REF_NAME" dist/* --draft --verify-tag ')
    assert [script for script in scripts(job) if "${{" in script] == []
    assert steps_with("actions/checkout", job)[0]["persist-credentials"] is False
    assert steps_with("actions/setup-python", job) == steps_with(
        "actions/setup-python", JOBS["lint"]
    )


def test_the_release_uses_the_actions_that_are_used_for_each_change() -> None:
    uses = [set(re.findall(r"uses: (.*)", text)) for text in (RELEASE_TEXT, TEXT)]

    assert uses[0]
    assert uses[0] <= uses[1]


@pytest.mark.parametrize(("tag", "status"), [("v0.1.0", 0), ("v0.1.1", 1)])
def test_a_tag_of_another_version_is_not_released(tag: str, status: int, tmp_path: Path) -> None:
    [job] = RELEASE["jobs"].values()
    [check] = [script for script in scripts(job) if script.startswith("test ")]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "cfn-instance-bundle-0.1.0.zip").touch()

    done = subprocess.run(
        ["bash", "-c", check],  # noqa: S607  the one of PATH
        cwd=tmp_path,
        env={**os.environ, "GITHUB_REF_NAME": tag},
        check=False,
    )

    assert done.returncode == status
