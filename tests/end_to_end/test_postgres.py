"""Studies whose trials lie in a real PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

pytestmark = pytest.mark.slow

Start = Callable[..., subprocess.Popen[str]]

INLINE = ("--launcher", "inline", "--threads", "1")

MAIN = "from optrack.search.cli import main; main()"

# The command line with little patience, and a trial's end that waits for a word.
HURRIED = """
import sys
from optrack.search.cli import main
from optrack.search.coordinator.coordinator import Coordinator
from optrack.search.stores import waiting_storage
end = Coordinator._end

def ended(*arguments):
    print("the first trial ends", flush=True)
    sys.stdin.readline()
    end(*arguments)

Coordinator._end = ended
assert waiting_storage.PATIENCE_SECONDS > 1
waiting_storage.PATIENCE_SECONDS = 0.1
main()
"""


def python(folder: Path, program: str, *arguments: str) -> subprocess.Popen[str]:
    """The command line in a process of its own, whose connections end with it."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trials(url: str) -> list[FrozenTrial]:
    storage = optuna.storages.RDBStorage(url)
    try:
        return optuna.load_study(study_name="slow/deep", storage=storage).trials
    except KeyError:
        return []
    finally:
        storage.engine.dispose()


def until_mid_trial(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if any(trial.state == TrialState.RUNNING and trial.intermediate_values for trial in trials(url)):
            return
        time.sleep(0.2)
    pytest.fail("no trial came to its first epoch")


def is_complete(url: str, count: int, epochs: int) -> None:
    found = [(trial.number, trial.state, list(trial.intermediate_values)) for trial in trials(url)]
    assert found == [(number, TrialState.COMPLETE, list(range(1, epochs + 1))) for number in range(count)]


def test_two_folders_share_a_study_one_after_the_other(
    start: Start, slow: str, postgres: Any, postgres_url: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tracking = postgres.database("tracking")  # MLflow's tables, on the same server
    command = (slow, "--trials", "2", "--epochs", "3", "--storage", postgres_url, "--tracking-uri", tracking)
    first = start("run", *command, "--workers", "1")
    until_mid_trial(first, postgres_url)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / slow).write_text((folder / slow).read_text())

    def optrack(*arguments: str) -> tuple[int, str, str]:
        process = python(elsewhere, MAIN, *arguments)
        out, err = process.communicate()
        return process.returncode, out, err

    _, out, _ = optrack("status", slow, "--storage", postgres_url, "--json")
    [family] = json.loads(out)["families"]
    assert family["trials"]["running"] == 1
    code, _, err = optrack("run", *command, *INLINE)
    assert code == 2
    assert f"optrack: error: study 'slow' is being run by process {first.pid} on host " in err
    assert first.poll() is None

    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    code, _, err = optrack("run", *command, *INLINE)
    assert code == 0, err
    is_complete(postgres_url, 2, 3)
    assert optrack("best", slow, "--storage", postgres_url)[0] == 0


def test_a_server_may_be_restarted_in_the_middle(start: Start, slow: str, postgres: Any, postgres_url: str) -> None:
    process = start("run", slow, "--trials", "2", "--epochs", "3", "--storage", postgres_url, "--workers", "1")
    until_mid_trial(process, postgres_url)
    postgres.stop()
    assert process.stderr is not None
    for line in process.stderr:
        if "does not answer" in line:
            break
    postgres.start()
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert said.count("answers again") == 1
    is_complete(postgres_url, 2, 3)


def test_a_server_that_stays_away_ends_the_run_with_the_command_that_goes_on(
    slow: str, postgres: Any, postgres_url: str, folder: Path
) -> None:
    command = ("run", slow, "--trials", "2", "--epochs", "1", "--storage", postgres_url, *INLINE)
    process = python(folder, HURRIED, *command)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "the first trial ends\n"
    postgres.stop()
    _, said = process.communicate("go on\n", timeout=60)
    postgres.start()
    assert process.returncode == 1
    waits, error = said.strip().split("\n")[-2:]
    assert "does not answer; the search waits for it, up to" in waits
    assert error.startswith("optrack: error: storage postgresql://optrack@/")
    assert f"; `optrack run {slow} --trials 2 --epochs 1 " in error
    assert error.endswith(f"--storage '{postgres_url}'` goes on where it stopped")
    process = python(folder, MAIN, *command)
    assert (process.communicate(), process.returncode)[1] == 0
    is_complete(postgres_url, 2, 1)
