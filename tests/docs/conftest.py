"""A folder with what the pages of the guide need, and a shell in it that runs their commands."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BIN = Path(sys.executable).parent
# Those that stand on the pages, and the defaults of what is started there.
PORTS: tuple[str, ...] = ("5000", "5001", "8080", "8600")
COMMAND_SECONDS = 300
SERVER_SECONDS = 180


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the commands of a page can run: photos/ and new/ with pictures, data/ with traffic signs."""
    for number, name in enumerate(("ants", "bees")):
        _pictures(tmp_path / "photos" / name, 30, colour=number, side=48)
    _pictures(tmp_path / "new", 2, colour=1, side=64)
    (tmp_path / "new" / "00000_00000.jpg").rename(tmp_path / "new" / "one.jpg")
    for label in range(43):
        _pictures(tmp_path / "data" / "gtsrb" / "train" / f"{label:05}", 4, colour=label, side=30)
        _pictures(tmp_path / "data" / "gtsrb" / "test" / f"{label:05}", 1, colour=label, side=30)
    return tmp_path


def _pictures(folder: Path, count: int, *, colour: int, side: int) -> None:
    """Noise in one of six colours, so that classes are soon told apart; two pictures of each thing, as GTSRB's."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(colour)
    for number in range(count):
        pixels = generator.integers(0, 120, (side, side, 3), dtype=np.uint8)
        pixels[..., colour % 3] += 60 + 60 * (colour % 2)
        Image.fromarray(pixels).save(folder / f"{number // 2:05}_{number % 2:05}.jpg")


class Shell:
    """What a reader's terminal is: a folder, an environment, and servers that stay up in the background.

    Ports that stand on the pages are replaced by free ones, so that two pages can run at once. `programs` is a folder
    whose programs come before those that are installed.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self._servers: list[tuple[subprocess.Popen[bytes], Path]] = []
        # Only for commands that end by themselves: Ctrl-C is for the real console script.
        self._programs = {"PATH": f"{programs}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"}
        self._environment = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "https_proxy": "http://127.0.0.1:9",  # where nobody listens: nothing is downloaded
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "OMP_NUM_THREADS": "1",
        }
        (folder / "home").mkdir()

    def with_free_ports(self, text: str) -> str:
        """The text with the ports that this shell uses."""
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self._ports[found[1]], text)

    def run(self, command: str) -> tuple[int, str]:
        """Run a command to its end; its exit code, and all that it printed."""
        ended = subprocess.run(
            ["bash", "-c", command],  # noqa: S607 - whichever comes first in PATH
            cwd=self.folder,
            env=self._environment | self._programs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return ended.returncode, ended.stdout

    def enter(self, folder: str) -> tuple[int, str]:
        """Go into a folder, as `cd` does."""
        self.folder = (self.folder / folder).resolve(strict=True)
        return 0, ""

    def start(self, command: str) -> tuple[int, str]:
        """Start a server and wait until it answers at each port that its command names; 0, and what it printed."""
        ports = [int(port) for port in self._ports.values() if port in command]
        assert ports, f"the test does not know at which port {command} answers"
        assert not any(_answers(port) for port in ports), f"something else answers where {command} would"
        log = self.folder / f"server-{len(self._servers)}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],  # noqa: S607
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that it can be ended with its children
            )
        self._servers.append((server, log))
        deadline = time.monotonic() + SERVER_SECONDS
        for port in ports:
            while not _answers(port):
                assert server.poll() is None, f"{command} has ended: {log.read_text()}"
                assert time.monotonic() < deadline, f"{command} does not answer at {port}: {log.read_text()}"
                time.sleep(0.2)
        return 0, log.read_text()

    def end_servers(self) -> None:
        """End all servers with their children, as Ctrl-C would at the end of a page."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for server, _ in self._servers:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, number)
            for server, _ in self._servers:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(10)
        self._servers.clear()


def _free_ports(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [str(probe.getsockname()[1]) for probe in probes]


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


@pytest.fixture
def shell(folder: Path, forked_optrack: Path) -> Iterator[Shell]:
    """A shell in a prepared folder; its servers are ended with the test."""
    opened = Shell(folder, forked_optrack.parent)
    yield opened
    opened.end_servers()
