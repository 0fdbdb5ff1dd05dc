"""The commands that a newcomer types."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients

from .support import SandboxProcess, children, is_running, wait_for


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m sandbox serve`, where it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "serve", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_demo_ends_with_the_bundles_id_and_place() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "sandbox", "demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "CREATE_COMPLETE" in demo.stdout
    assert "bun-" in demo.stdout
    assert "s3://instance-bundles/web/windows" in demo.stdout
    assert "web/windows.manifest.xml" in demo.stdout
    assert "DELETE_COMPLETE" in demo.stdout
    assert "\x1b" not in demo.stdout


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sandbox_and_leaves_no_process(
    tmp_path: Path, with_signal: signal.Signals
) -> None:
    sandbox = SandboxProcess.start(tmp_path)
    clients = Clients(sandbox.ready["endpoint"])
    clients.functions.invoke(FunctionName=sandbox.ready["service_token"], Payload=b"{}")
    started = children(sandbox.process.pid)

    assert sandbox.end(with_signal) == 0

    assert started
    wait_for(lambda: None if any(map(is_running, started)) else True, "its processes to end")
    usage = sandbox.log.read_text()
    assert f"AWS_ENDPOINT_URL={sandbox.ready['endpoint']}" in usage
    assert "Traceback" not in usage


def test_the_ready_file_tells_what_there_is(tmp_path: Path) -> None:
    sandbox = SandboxProcess.start(tmp_path)
    try:
        clients = Clients(sandbox.ready["endpoint"])
        instances = clients.ec2.describe_instances(
            InstanceIds=[sandbox.ready["instance_id"], sandbox.ready["ebs_instance_id"]]
        )
        kinds = {
            instance["InstanceId"]: (instance["RootDeviceType"], instance["State"]["Name"])
            for reservation in instances["Reservations"]
            for instance in reservation["Instances"]
        }
        assert kinds == {
            sandbox.ready["instance_id"]: ("instance-store", "running"),
            sandbox.ready["ebs_instance_id"]: ("ebs", "running"),
        }
        assert clients.s3.list_objects_v2(Bucket=sandbox.ready["bucket"])["KeyCount"] == 0
        assert sandbox.ready["service_token"].startswith("arn:aws:lambda:us-east-1:")
    finally:
        sandbox.end()


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sandbox = serve("--port", str(port))

    assert sandbox.returncode == 2
    assert sandbox.stdout == ""
    assert sandbox.stderr == (
        f"Port {port} on 127.0.0.1 is in use. Stop the other program, or choose another port: "
        f"make sandbox PORT={port + 1}\n"
    )


def test_an_address_of_another_machine_is_named() -> None:
    sandbox = serve("--host", "192.0.2.1", "--port", "0")  # an address for documentation, RFC 5737

    assert sandbox.returncode == 2
    assert sandbox.stderr.startswith("The sandbox cannot listen on port 0 of 192.0.2.1 (")
    assert sandbox.stderr.count("\n") == 1
