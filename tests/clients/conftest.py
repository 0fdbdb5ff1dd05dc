"""Real clients, a project that they work on, and sandboxes that they work against."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.deployment import STACK_NAME, deploy
from sandbox.functions.interpreter import prepare_runtime
from tests.stacks.examples import patch_sleep
from tests.stacks.support import Aws, SandboxProcess

from . import table
from .table import Row
from .tool import Tool, of_sandbox, version_of, without_account

ROWS: list[Row] = []
_OUTCOMES: dict[str, str] = {}

_SAM = REPOSITORY / ".venv-sam" / "bin" / "sam"
_AWS = REPOSITORY / ".venv" / "bin" / "aws"
_FOLDERS = ("events", "examples", "functions")
_FILES = ("LICENSE", "README.md", "samconfig.toml", "template.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here needs real clients."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.clients)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember how each test ends; a failure anywhere in it counts."""
    if report.skipped:
        assert isinstance(report.longrepr, tuple)
        _OUTCOMES[report.nodeid] = f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
        ROWS.append(Row("", "", report.nodeid.rpartition("::")[2], test=report.nodeid))
        return
    before = _OUTCOMES.get(report.nodeid, "passed")
    _OUTCOMES[report.nodeid] = report.outcome if before == "passed" else before


def pytest_terminal_summary() -> None:
    """Show the commands and their results."""
    if ROWS:
        table.show(ROWS, _OUTCOMES)


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of the functions' runtime."""
    runtime = prepare_runtime()
    if runtime.version != "3.13":
        pytest.fail("sam build needs a python3.13 on the PATH, and there is none")
    return runtime.python


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what belongs to the application, so that nothing is found in the checkout."""
    directory = tmp_path_factory.mktemp("project")
    for name in _FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, directory / name, ignore=unwanted)
    for name in _FILES:
        shutil.copy(REPOSITORY / name, directory)
    # Bytecode of who works on it with another Python.
    stray = directory / "functions" / "instance_bundle" / "__pycache__" / "app.cpython-311.pyc"
    stray.parent.mkdir()
    stray.touch()
    return directory


@pytest.fixture(scope="session")
def sam_without_account(
    project: Path, python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tool:
    """SAM CLI of somebody who has no AWS account."""
    if not _SAM.exists():
        pytest.fail("SAM CLI is missing: `make clients` sets it up")
    environment = without_account(
        PATH=f"{python.parent}:{_SAM.parent}:/usr/local/bin:/usr/bin:/bin",
        __SAM_CLI_APP_DIR=str(_settings_of_sam(tmp_path_factory.mktemp("sam"))),
    )
    return Tool("SAM CLI", version_of(_SAM), _SAM, project, ROWS, environment)


def _settings_of_sam(directory: Path) -> Path:
    """SAM CLI's own settings, by which it has just checked for a newer version."""
    settings = {"lastVersionCheck": time.time(), "telemetryEnabled": False}
    (directory / "metadata.json").write_text(json.dumps(settings))
    return directory


@pytest.fixture(scope="session")
def built(sam_without_account: Tool) -> Path:
    """The directory that `sam build` has built into."""
    sam_without_account.run("build")
    directory = sam_without_account.directory / ".aws-sam" / "build"
    sam_without_account.see(f"{size_of(directory / 'InstanceBundleFunction'):.1f} MB unpacked")
    return directory


def size_of(directory: Path) -> float:
    """The MB (10^6 bytes) of the files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A sandbox that clients on this machine reach, with the application deployed at first."""
    process = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    yield Aws(process.ready, Clients(process.ready["endpoint"]))
    assert process.end() == 0


@pytest.fixture
def bare_sandbox(sandbox: Aws) -> Aws:
    """The sandbox, with no stack in it."""
    cloudformation = sandbox.clients.cloudformation
    # Stacks that import from others are newer than those, and come first.
    for stack in cloudformation.describe_stacks()["Stacks"]:
        cloudformation.delete_stack(StackName=stack["StackId"])
        assert sandbox.at_rest(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    return sandbox


@pytest.fixture
def application(sandbox: Aws) -> dict[str, str]:
    """The outputs of the application's stack in the sandbox, whatever its parameters are."""
    found = sandbox.clients.cloudformation.list_stacks(
        StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"]
    )
    if STACK_NAME in {stack["StackName"] for stack in found["StackSummaries"]}:
        return sandbox.outputs(sandbox.stack(STACK_NAME))
    return deploy(sandbox.clients, {})


@pytest.fixture
def sam(sam_without_account: Tool, built: Path, sandbox: Aws) -> Tool:
    """SAM CLI in the project that it has built, for the sandbox; it polls stacks each second."""
    return _against(sam_without_account, sandbox.ready, SAM_CLI_POLL_DELAY="1")


@pytest.fixture
def aws(project: Path, sandbox: Aws, tmp_path: Path) -> Tool:
    """AWS CLI in the project, for the sandbox; its waiters are in a hurry."""
    patch_sleep(tmp_path / "sleep")
    environment = without_account(PYTHONPATH=str(tmp_path / "sleep"))
    tool = Tool("AWS CLI", version_of(_AWS), _AWS, project, ROWS, environment)
    return _against(tool, sandbox.ready)


def _against(tool: Tool, ready: Mapping[str, str], **more: str) -> Tool:
    return replace(tool, environment={**tool.environment, **of_sandbox(ready), **more})


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """The rows of the table, for what is no command of a tool's."""
    return ROWS
