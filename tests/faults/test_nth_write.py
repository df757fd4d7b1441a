"""A command dies at its N-th write, for every N: the same command again completes it, and nothing is lost or doubled.

It is killed right before the write, and for some N so many bytes later, in the middle of a file. `make test-slow` tries
a sample; `make torture` tries every N, and adds what it found to the folder that `OPTRACK_TORTURE` names.
"""

import difflib
import gc
import json
import os
import pprint
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow import MlflowClient
from PIL import Image
from sqlalchemy import Engine

from optrack.search.stores import read_storage, stored_families

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

STUDY = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "mine",
    data=Data("digits"),
    budget=Budget(trials=3, epochs=3),
    pruner=Pruner("median", n_startup_trials=1),
    families=[
        Family(
            "linear",
            architecture="logistic",
            options={"batch_size": 256},
            space={"lr": Float(1e-4, 1e-1, log=True)},
            start=[{"lr": 1e-3}, {"lr": 1e-2}, {"lr": 1e-4}],  # the second one is better, the third one is pruned
        )
    ],
)
"""

TORTURE = os.environ.get("OPTRACK_TORTURE")
PARTS = 8 if TORTURE else 1
SAMPLE = 5

WITHIN = (0, 1000, 30_000)
"""Bytes of a file that are still written: none, a part of a small file, a part of what a database writes at a time."""

INLINE = ("--launcher", "inline", "--threads", "1")


class Place:
    """A folder that commands are called in; its contents before and after them are kept beside it, to start from."""

    def __init__(self, root: Path, program: Path, empty_mlflow: Path) -> None:
        self.folder = root / "work"
        self._root = root
        self._program = program
        self._empty_mlflow = empty_mlflow

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def done(self, *arguments: str, **environment: str) -> None:
        answer = self.call(*arguments, **environment)
        assert answer.returncode == 0, (arguments, answer.stderr)

    def start_from(self, name: str, make: Callable[["Place"], None]) -> None:
        """Let the folder be as `make` leaves it."""
        kept = self._root / name
        if not kept.exists():
            make(self)
            shutil.copytree(self.folder, kept)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(kept, self.folder)

    def images(self) -> None:
        """Class folders, of which nothing is known yet."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for value, name in ((0, "dark"), (200, "light")):
            (self.folder / "photos" / name).mkdir(parents=True)
            for number in range(12):
                image = Image.new("RGB", (16, 16), (value + number, value, value))
                image.save(self.folder / f"photos/{name}/{number}.png")

    def begun(self) -> None:
        """The images are decoded, and MLflow's tables are made."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "mine.py").write_text(STUDY)
        shutil.copy(self._empty_mlflow, self.folder)
        self.done("dataset", "prepare", "digits")

    def searched(self) -> None:
        self.start_from("begun", Place.begun)
        self.done("run", "mine.py", *INLINE)

    def retrained(self) -> None:
        self.start_from("searched", Place.searched)
        self.done("retrain", "mine.py", "--seeds", "2", *INLINE)

    def tested(self) -> None:
        self.start_from("retrained", Place.retrained)
        self.done("test", "mine.py")

    def lost(self) -> None:
        """A search is complete, and MLflow has nothing of it any more."""
        self.start_from("searched", Place.searched)
        shutil.copy(self._empty_mlflow, self.folder)
        shutil.rmtree(self.folder / "mlruns")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, forked_optrack: Path, empty_mlflow: Path) -> Place:
    return Place(tmp_path_factory.mktemp("deaths"), forked_optrack, empty_mlflow)


@contextmanager
def looked_at(folder: Path) -> Generator[Path]:
    """The folder under a name of its own: under the old one, files that were there before may still be open."""
    link = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")
    link.symlink_to(folder)
    try:
        yield link
    finally:
        link.unlink()
        for engine in [each for each in gc.get_objects() if type(each) is Engine]:
            engine.dispose()


def trials(folder: Path) -> list[Any]:
    """All that Optuna's storage holds of the trials, without what each run makes anew; the best weights are there."""
    (family,) = stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), "mine")
    assert family.best is not None
    best = folder / ".optrack/best/mine/linear"
    assert [path.name for path in best.iterdir()] == [str(family.best.number)]
    assert json.loads((best / f"{family.best.number}/configuration.json").read_text())["value"] == family.best.value
    return [
        (
            *(trial.number, trial.state, trial.value, trial.params, trial.seed, trial.reason),
            [{**asdict(epoch), "seconds": None} for epoch in trial.epochs],
        )
        for trial in family.trials
    ]


VOLATILE_TAGS = {"optrack.mirrored", "optrack.search_id", "optrack.test_openings", "mlflow.parentRunId", "mlflow.user"}


def runs(folder: Path) -> list[Any]:
    """All that MLflow holds of the runs; checks that the runs of trials are equal to Optuna's trials."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (family,) = stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), "mine")
    of_trials = {trial.mlflow_run: trial for trial in family.trials}
    assert {run.info.run_id for run in found if run.data.tags["optrack.stage"] == "search"} == set(of_trials)
    answer = list[Any]()
    for run in found:
        figures = [name for name in run.data.metrics if not name.endswith(("seconds", "latency_ms"))]
        histories = {
            name: [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]
            for name in sorted(figures)
        }
        # What was the best before; and once more by who goes on after a death between these and the state.
        histories |= {name: history[-1:] for name, history in histories.items() if name.startswith("best/")}
        if run.info.run_id in of_trials:
            trial = of_trials[run.info.run_id]
            for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
                assert histories[name] == [(epoch.epoch, getattr(epoch, name)) for epoch in trial.epochs]
        openings = int(run.data.tags.get("optrack.test_openings", 0))
        assert openings <= 2  # whoever dies after the first one has seen the test images
        tags = {name: value for name, value in run.data.tags.items() if name not in VOLATILE_TAGS}
        artifacts = files(Path(str(run.info.artifact_uri)))
        images = [each.dataset.digest for each in (run.inputs.dataset_inputs if run.inputs else ())]
        answer.append((run.info.status, tags, openings > 0, run.data.params, images, histories, artifacts))
    return sorted(answer, key=lambda run: (run[0], sorted(run[1].items())))  # MLflow's tags come in any order


def files(root: Path) -> dict[str, Any]:
    """The files of a run: what differs between two runs is only named."""
    # A kill while MLflow copies an artifact leaves its unfinished copy beside it.
    found = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".artifact.uploading")]
    same = (".safetensors", ".npz", "configuration.json", ".png")
    return {str(path.relative_to(root)): path.read_bytes() if path.name.endswith(same) else None for path in found}


def registered(folder: Path) -> list[Any]:
    """The registry: each model with its aliases, and its versions."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    versions = client.search_model_versions()
    assert all(Path(str(version.source)).is_dir() for version in versions)
    return [
        *sorted(
            (model.name, cast("dict[str, str]", model.aliases), model.tags)
            for model in client.search_registered_models()
        ),
        *sorted(
            (each.name, int(each.version), {name: value for name, value in each.tags.items() if "latency" not in name})
            for each in versions
        ),
    ]


def left(folder: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(path.name for path in folder.iterdir())


def whole(folder: Path) -> Any:
    names = left(folder)
    with looked_at(folder) as link:
        return names, trials(link), runs(link), registered(link)


def reported(folder: Path) -> Any:
    page = (folder / "mine-report.html").read_text()
    return whole(folder), re.sub(r'nonce[-=]"?[\w-]+|Written on [-\d]+ at [:\d]+', "", page)


def written(folder: Path) -> Any:
    """A new study, without its estimate of the time."""
    study = re.sub(r"about .*? min|at most .*? min|less than .*? min", "", (folder / "new.py").read_text())
    return left(folder), left(folder / "photos"), study, (folder / "photos/optrack-test.txt").read_text()


@dataclass(frozen=True, slots=True)
class Story:
    """A command, the folder that it is called in, and what it leaves there, without what differs between two runs."""

    arguments: tuple[str, ...]
    before: Callable[[Place], None]
    record: Callable[[Path], Any]


STORIES = {
    "new": Story(("new", "new.py", "--images", "photos"), Place.images, written),
    "run": Story(("run", "mine.py", *INLINE), Place.begun, whole),
    "retrain": Story(("retrain", "mine.py", "--seeds", "2", *INLINE), Place.searched, whole),
    "test": Story(("test", "mine.py"), Place.retrained, whole),
    "report": Story(("report", "mine.py"), Place.tested, reported),
    "sync": Story(("sync", "mine.py"), Place.lost, whole),
}


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", STORIES)
def test_a_command_may_die_at_every_write(name: str, part: int, place: Place, tmp_path: Path) -> None:
    story = STORIES[name]

    def begin() -> None:
        place.start_from(story.before.__name__, story.before)

    begin()
    counted = tmp_path / "writes"
    place.done(*story.arguments, OPTRACK_TEST_COUNT_WRITES=str(counted))
    expected, writes = story.record(place.folder), counted.stat().st_size
    deaths, deviations = 0, list[str]()
    numbers = range(1 + part, writes + 1, PARTS if TORTURE else max(1, writes // SAMPLE))
    for index, number in enumerate(numbers):
        bytes_later = {"OPTRACK_TEST_DIE_WITHIN": str(WITHIN[number % len(WITHIN)])}
        for within in ({}, bytes_later) if index % 4 == 0 else ({},):
            begin()
            killed = place.call(*story.arguments, OPTRACK_TEST_DIE_AT_WRITE=str(number), **within)
            deaths += killed.returncode in (-signal.SIGKILL, -signal.SIGXFSZ)
            deviation = recovered(place, story, expected)
            if deviation is not None:
                deviations.append(f"write {number} {within}: {deviation}")
    if TORTURE:
        tally = {"command": name, "writes": writes, "deaths": deaths, "deviations": deviations}
        (Path(TORTURE) / f"{name}-{part}.json").write_text(json.dumps(tally))
    assert not deviations, "\n".join(deviations)
    assert deaths > 0


def recovered(place: Place, story: Story, expected: Any) -> str | None:
    """Call the command again; None if all is as if nothing had happened, otherwise what is not."""
    answer = place.call(*story.arguments)
    if answer.returncode != 0 and not (story.record is written and "'new.py' is there already" in answer.stderr):
        return f"exit {answer.returncode}: {answer.stderr.strip()[-500:]}"
    try:
        found = story.record(place.folder)
    except Exception as error:  # noqa: BLE001 - whatever is missing or doubled
        return repr(error)
    return None if found == expected else f"{difference(found, expected)} after {answer.stderr.strip()[-500:]}"


def difference(found: Any, expected: Any) -> str:
    """Say where two values differ first."""
    before, after = (pprint.pformat(value, width=300).splitlines() for value in (expected, found))
    lines = difflib.unified_diff(before, after, n=0, lineterm="")
    return " ".join(f"{line:.300}" for line in lines)[:6000]
