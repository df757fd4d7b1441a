"""The commands that tests fork behave as the console script does."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def started(forked_optrack: Path, folder: Path, slow: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program that is called, while its command searches in the current folder."""
    command = [forked_optrack, "run", slow, "--launcher", "inline", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: any((folder / "mlruns").rglob("weights.safetensors")))  # it has trained an epoch
        yield process
        process.kill()


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def commands_in(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and process.is_running() and folder in _current_folder(process)
    ]


def _current_folder(process: psutil.Process) -> list[Path]:
    try:
        return [Path(process.cwd())]
    except psutil.Error:
        return []


@pytest.mark.parametrize("arguments", ["studies --json", "best digitz", "run"])
def test_a_forked_command_says_and_returns_what_the_console_script_does(
    arguments: str, forked_optrack: Path, shell: Run, folder: Path
) -> None:
    forked = subprocess.run(
        [forked_optrack, *arguments.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    real = shell(*arguments.split())
    assert (forked.returncode, forked.stdout, forked.stderr) == (real.returncode, real.stdout, real.stderr)


@pytest.mark.slow
def test_a_command_whose_caller_is_killed_is_killed_too(started: subprocess.Popen[bytes], folder: Path) -> None:
    started.kill()
    started.wait()
    until(lambda: commands_in(folder) == [])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_gets_a_signal_ends_its_caller_in_its_own_way(
    number: signal.Signals, started: subprocess.Popen[bytes], folder: Path
) -> None:
    [command] = [process for process in commands_in(folder) if process.pid != started.pid]
    command.send_signal(number)
    assert started.wait(60) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
