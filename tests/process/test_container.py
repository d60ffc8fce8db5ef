"""The container image and what stands around it, as far as that can be seen without Docker."""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.fakes.image import Image
from tests.process.program import Program, central_system, program

if sys.platform == "win32":
    pytest.skip("images are of Linux", allow_module_level=True)

REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "docker"

# The package is installed from the index, with all that it needs, into an empty environment.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    # Slower than any other test, and not stuck.
    faulthandler.cancel_dump_traceback_later()
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    made = Image(REPOSITORY, folder)
    try:
        made.build(DOCKER / "Dockerfile")
        yield made
    finally:
        made.remove()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_nobody_special(process: int) -> bool:
    """Whether a process runs as a user who is not root."""
    status = Path(f"/proc/{process}/status")
    return not status.exists() or "\nUid:\t0" not in status.read_text()


async def get(port: int, path: str, host: str) -> str:
    """The status line of an answer."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return bytes(await stream.receive_some()).decode("latin-1").partition("\r\n")[0]


async def healthy(image: Image, running: Program, **variables: str) -> None:
    """Wait until the health check is content."""
    with trio.move_on_after(60):
        while running.process.returncode is None:
            if await trio.to_thread.run_sync(partial(image.is_healthy, **variables)):
                return
    raise AssertionError(f"not healthy\nstdout: {running.out}\nstderr: {running.err}")


async def test_the_image_runs_on_cloud_foundry_as_nobody(image: Image) -> None:
    assert image.user == "10001:10001"
    assert image.volumes == ["/data"]
    port = free_port()
    platform = {
        "VCAP_APPLICATION": json.dumps({"application_uris": ["fleet.example.test"]}),
        "PORT": str(port),
        "CF_INSTANCE_INDEX": "7",
    }
    assert not await trio.to_thread.run_sync(partial(image.is_healthy, **platform))
    variables = {**dict.fromkeys(os.environ), **image.variables(), **platform}
    async with central_system() as (central, url):
        command = image.program(*image.command, "--csms", url)
        async with program(command=command, cwd=image.path(""), environ=variables, **image.options) as running:
            await healthy(image, running, **platform)
            names = [f"CS-BASIC-7000{number}" for number in range(1, 10)]
            for name in names:
                await central.wait_for(name, "BootNotification", timeout=60)
            assert is_nobody_special(running.process.pid)
            # The router of the platform comes with the name of a route; somebody else's name is refused.
            assert "200" in await get(port, "/metrics", "fleet.example.test")
            assert "403" in await get(port, "/metrics", "evil.example")
            running.signal(getattr(signal, image.stop_signal))
            assert await running.ended(within=60) == 0
    assert "registered: Accepted" in running.out
    assert (image.path("/data") / "configurations").is_dir()


async def test_without_a_platform_the_image_listens_where_its_configuration_says(image: Image) -> None:
    arguments = ("check", "/etc/simulator/config.json")
    variables = {**dict.fromkeys(os.environ), **image.variables()}
    async with program(
        command=image.program(*arguments), cwd=image.path(""), environ=variables, **image.options
    ) as running:
        assert await running.ended(within=60) == 0, running.out
    config = json.loads(image.path("/etc/simulator/config.json").read_text())
    assert config["uiServer"]["options"] == {"host": "0.0.0.0", "port": 8080}


# -- around it ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing")
def test_make_builds_and_starts_and_make_clean_removes(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$IMAGE:$TAG" "$@"\n')
    docker.chmod(0o755)

    def make(*words: str) -> list[str]:
        command = ["make", "-s", "-C", str(DOCKER), f"DOCKER={docker}", *words]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return result.stdout.splitlines()

    compose = f"ocpp-fleet-simulator:latest compose --file {DOCKER}/compose.yaml"
    build = (
        f"ocpp-fleet-simulator:latest build --file {DOCKER}/Dockerfile --tag ocpp-fleet-simulator:latest {REPOSITORY}"
    )
    assert make() == [build, f"{compose} up --detach"]
    assert make("SUBMODULES_INIT=true") == make()
    assert make("clean") == [f"{compose} down", "ocpp-fleet-simulator:latest image rm ocpp-fleet-simulator:latest"]
    assert make("build", "TAG=1.2")[0].startswith("ocpp-fleet-simulator:1.2 build ")
