"""The commands that a newcomer types."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from tests.fixtures import PATIENCE

from .support import Observers, SandboxProcess, children, is_running, wait_for


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m sandbox serve`, where it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "serve", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_demo_ends_with_the_bundles_id_and_place() -> None:
    shown = shown_by_the_demo()

    assert "bun-" in shown
    assert "s3://instance-bundles/web/windows" in shown
    assert "web/windows.manifest.xml" in shown


def test_the_demo_of_the_other_method_ends_with_the_images_id_and_place() -> None:
    shown = shown_by_the_demo("--method", "StoreImage")

    [image_id] = {*re.findall(r"ami-[0-9a-f]{17}", shown)}
    assert f"s3://instance-bundles/{image_id}.bin" in shown


def shown_by_the_demo(*options: str) -> str:
    """What the demo prints, from the start of the stack to its end."""
    demo = subprocess.run(
        [sys.executable, "-m", "sandbox", "demo", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "\x1b" not in demo.stdout
    parts = ("event started: ", "event complete: complete 100%", "DELETE_COMPLETE")
    places = [demo.stdout.find(part) for part in parts]
    assert places == sorted(places), demo.stdout
    assert min(places) > 0, demo.stdout
    assert "CREATE_COMPLETE" in demo.stdout
    return demo.stdout


def assert_ready(ready: dict[str, str], clients: Clients) -> None:
    """The ready file describes what there is."""
    instances = clients.ec2.describe_instances(
        InstanceIds=[ready["instance_id"], ready["ebs_instance_id"]]
    )
    kinds = {
        instance["InstanceId"]: (instance["RootDeviceType"], instance["State"]["Name"])
        for reservation in instances["Reservations"]
        for instance in reservation["Instances"]
    }
    assert kinds == {
        ready["instance_id"]: ("instance-store", "running"),
        ready["ebs_instance_id"]: ("ebs", "running"),
    }
    assert clients.s3.list_objects_v2(Bucket=ready["bucket"])["KeyCount"] == 0
    assert ready["service_token"].startswith("arn:aws:lambda:us-east-1:")


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_sandbox_lists_its_resources_and_a_signal_ends_it_with_all_its_processes(
    tmp_path: Path, with_signal: signal.Signals
) -> None:
    sandbox = SandboxProcess.start(tmp_path)
    clients = Observers(sandbox.ready["endpoint"])
    assert_ready(sandbox.ready, clients)
    clients.functions.invoke(FunctionName=sandbox.ready["service_token"], Payload=b"{}")
    started = children(sandbox.process.pid)

    assert sandbox.end(with_signal) == 0

    assert started
    wait_for(lambda: None if any(map(is_running, started)) else True, "its processes to end")
    usage = sandbox.log.read_text()
    assert f"AWS_ENDPOINT_URL={sandbox.ready['endpoint']}" in usage
    assert "Traceback" not in usage


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
