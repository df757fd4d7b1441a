"""`kill -9` at random moments of a search: the next run resumes where it was, and nothing differs in the end."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

SCRIPT = Path(sys.executable).with_name("optrack")

TORTURE = os.environ.get("OPTRACK_TORTURE")
"""A folder for what all deaths came to; see `make torture`."""

KILLS, EPOCHS = (50, 40) if TORTURE else (4, 5)
MOMENTS = [round(0.75 * number, 2) for number in range(20)] if TORTURE else [1.0, 4.0]
"""Seconds after the start."""

INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes; the second one before Python has begun and after it has ended, which shells show as the first."""

NET = """
import math

import torch
from torch import nn

from optrack.search.training import checkpoint, loop

checkpoint.WRITING_SHARE = {share}

if not hasattr(loop, "uncounted"):
    loop.uncounted = loop.run_epoch

    def run_epoch(job, epoch, *arguments):
        with open("epochs.log", "a") as log:
            log.write(f"{{job.trial}} {{epoch}}\\n")
        return loop.uncounted(job, epoch, *arguments)

    loop.run_epoch = run_epoch


class Net(nn.Module):
    def __init__(self, input_shape, classes, *, width: int = 8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(width * input_shape[1] * input_shape[2], classes),
        )

    def forward(self, images):
        return self.layers(images)
"""

STUDY = """
from optrack.search import Budget, Categorical, Data, Family, Float, Pruner, Study

STUDY = Study(
    "killed",
    data=Data("digits", image_size=16),
    budget=Budget(trials=2, epochs={epochs}),
    pruner=Pruner("none"),
    families=[
        Family(
            "net",
            architecture="net.py:Net",
            options={{"batch_size": 2, "augmentation": "crop_flip", "schedule": "plateau", "decay_patience": 1}},
            space={{"lr": Float(1e-4, 1e-3, log=True), "optimizer": Categorical("adam", "sgd")}},
        ),
    ],
)
"""


@dataclass(frozen=True, slots=True)
class Search:
    """A search in a folder of its own."""

    folder: Path

    @classmethod
    def made(cls, folder: Path, empty_mlflow: Path) -> "Search":
        folder.mkdir()
        shutil.copy(empty_mlflow, folder / "mlflow.db")
        # As it comes in the torture; in the short test after each epoch, however short that is.
        (folder / "net.py").write_text(NET.format(share="checkpoint.WRITING_SHARE" if TORTURE else "math.inf"))
        (folder / "killed.py").write_text(STUDY.format(epochs=EPOCHS))
        return cls(folder)

    @contextlib.contextmanager
    def started(self, *options: str) -> Generator[subprocess.Popen[bytes]]:
        environment = {**os.environ, "HOME": str(self.folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
        command = [SCRIPT, "run", "killed.py", "--workers", "1", "--threads", "1", *options]
        with (self.folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def completed(self) -> None:
        with self.started() as process:
            assert process.wait() == 0, (self.folder / "output.log").read_text()

    def killed(self, *, after_seconds: float) -> bool:
        """Kill the coordinator so long after the first epoch that it begins; whether it was still there."""
        with self.started() as process:
            before = len(self.epochs)
            while len(self.epochs) == before and process.poll() is None:
                time.sleep(0.02)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after_seconds)
            ended = process.poll() is not None
            process.kill()
        return not ended

    @property
    def epochs(self) -> list[str]:
        """Trial and number of each epoch that was begun."""
        log = self.folder / "epochs.log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def table(self) -> list[Any]:
        """All that is stored of the trials, except for how long they took."""
        trials = optuna.load_study(study_name="killed/net", storage=f"sqlite:///{self.folder}/optuna.db").trials
        assert {trial.state for trial in trials} == {TrialState.COMPLETE}
        return [
            (trial.number, trial.params, trial.value, trial.intermediate_values, trial.user_attrs["best_epoch"])
            for trial in trials
        ]


@pytest.mark.slow
def test_each_kill_costs_the_epoch_under_way_and_no_bit(tmp_path: Path, empty_mlflow: Path) -> None:
    through = Search.made(tmp_path / "through", empty_mlflow)
    through.completed()
    assert len(through.epochs) == 2 * EPOCHS
    killed = Search.made(tmp_path / "killed", empty_mlflow)
    moments = random.Random(0)  # noqa: S311 - no secret
    kills = sum(killed.killed(after_seconds=moments.uniform(0, 2)) for _ in range(KILLS))
    killed.completed()
    more = len(killed.epochs) - len(through.epochs)
    equal = killed.table == through.table
    if TORTURE:
        tally = {"deaths": kills, "epochs": 2 * EPOCHS, "more_epochs": more, "deviations": [] if equal else ["table"]}
        (Path(TORTURE) / "kills.json").write_text(json.dumps({"command": "run, kill -9", **tally}))
    assert equal
    assert 0 <= more <= kills
    assert not list((killed.folder / ".optrack").rglob("checkpoint*"))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes that are started hear Ctrl-C, also where these tests run in the background of a shell and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_in_the_first_seconds_of_a_first_run_leaves_a_usable_folder(
    moment: float, tmp_path: Path, empty_mlflow: Path
) -> None:
    search = Search.made(tmp_path / "first", empty_mlflow)
    (search.folder / "mlflow.db").unlink()
    with search.started("--epochs", "1") as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, seconds = process.wait(), time.monotonic() - began
    first = (search.folder / "output.log").read_text()
    with search.started("--epochs", "1") as process:
        again = process.wait()
    said = (search.folder / "output.log").read_text()
    ended_well = code in INTERRUPTED or (code == 0 and "Next:" in first)  # in the end all had been done before
    if TORTURE:
        is_usable = ended_well and again == 0
        deviations = [] if is_usable else [f"after {moment} s: {code}, {again}: {first[-300:]}{said[-300:]}"]
        tally = {"command": "run, Ctrl-C", "deaths": 1, "seconds": seconds, "deviations": deviations}
        (Path(TORTURE) / f"ctrl-c-{moment}.json").write_text(json.dumps(tally))
    assert ended_well, first
    assert again == 0, said
    assert "Traceback" not in first + said
    assert len(search.table) == 2


HANGING = """
import multiprocessing
import time

from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, classes, *, width: int = 8):
        super().__init__()
        self.layer = nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], classes)

    def forward(self, images):
        if multiprocessing.parent_process() is not None:  # in a worker
            time.sleep(10**6)
        return self.layer(images.flatten(1))
"""


@pytest.mark.slow
def test_a_worker_that_sleeps_for_ever_is_named_and_ends_neither_the_search_nor_its_time(
    tmp_path: Path, empty_mlflow: Path
) -> None:
    search = Search.made(tmp_path / "hanging", empty_mlflow)
    (search.folder / "net.py").write_text(HANGING)
    with search.started("--trials", "1", "--timeout", "3") as process:
        assert process.wait() == 0
    assert "the time is up" in (search.folder / "output.log").read_text()
    with search.started("--trials", "1", "--hang-timeout", "3") as process:
        assert process.wait() == 1
    lines = (search.folder / "output.log").read_text().splitlines()
    named = [line for line in lines if line.startswith("net 0: its worker process gave no sign for 3")]
    assert len(named) == 2
    assert all(line.endswith("and was killed; it is queued again and resumes at its last checkpoint") for line in named)
    assert any(line.startswith("1 of 1 failed: its worker process gave no sign for 3") for line in lines)
