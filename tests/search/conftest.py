"""Studies from thin air, prepared digits, a study that was searched, and quiet libraries."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import optuna
import pytest
import typer
from hypothesis import strategies as st

from optrack.datasets import DataRequest, Prepared, prepare
from optrack.search import Budget, Categorical, Data, Family, Float, Int, Pruner, Sampler, Study
from optrack.search.study.space import applies, ordered

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,10}", fullmatch=True)
CHOICES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=6)
TEXT_KEYS = st.text(max_size=6)


@st.composite
def conditions(draw: st.DrawFn, parents: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Nothing, or one of the parents with one or some of the values that it can have."""
    if not parents or draw(st.booleans()):
        return {}
    parent = draw(st.sampled_from(sorted(parents)))
    wanted = draw(st.lists(st.sampled_from(parents[parent]), min_size=1, max_size=2))
    return {parent: wanted[0] if draw(st.booleans()) else tuple(wanted)}


@st.composite
def floats(draw: st.DrawFn, when: dict[str, Any]) -> Float:
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind == "log":
        low, high = sorted(draw(st.tuples(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3))))
        return Float(low, high, log=True, when=when)
    if kind == "step":
        digits, first = draw(st.integers(0, 3)), draw(st.integers(-50, 50))
        width, steps = draw(st.integers(1, 30)), draw(st.integers(0, 4))
        scale = 10**digits
        return Float(first / scale, (first + width * steps) / scale, step=width / scale, when=when)
    low, high = sorted(draw(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))))
    return Float(low, high, when=when)


@st.composite
def ints(draw: st.DrawFn, when: dict[str, Any]) -> Int:
    low, step, steps = draw(st.integers(-1000, 1000)), draw(st.integers(1, 9)), draw(st.integers(0, 4))
    if step == 1 and low > 0:
        return Int(low, low + steps, log=True, when=when)
    return Int(low, low + step * steps, step=step, when=when)


@st.composite
def spaces(draw: st.DrawFn, options: Mapping[str, Any]) -> dict[str, Float | Int | Categorical]:
    parents: dict[str, tuple[Any, ...]] = {name: (value, 7) for name, value in options.items()}
    space: dict[str, Float | Int | Categorical] = {}
    for name in draw(st.permutations("abcd"))[: draw(st.integers(0, 4))]:
        when = draw(conditions(parents))
        kind = draw(st.sampled_from(["float", "int", "categorical"]))
        if kind == "float":
            space[name] = draw(floats(when))
        elif kind == "int":
            space[name] = draw(ints(when))
        else:
            choices = draw(st.lists(CHOICES, min_size=1, max_size=3, unique=True))
            space[name] = Categorical(*choices, when=when)
            parents[name] = tuple(choices)
    # A condition may stand before what it looks at.
    return {name: space[name] for name in draw(st.permutations(sorted(space)))}


def values_of(distribution: Float | Int | Categorical) -> st.SearchStrategy[Any]:
    if isinstance(distribution, Categorical):
        return st.sampled_from(distribution.choices)
    if isinstance(distribution, Int):
        return st.integers(0, distribution.count() - 1).map(lambda steps: distribution.low + steps * distribution.step)
    return st.sampled_from([distribution.low, distribution.high])


@st.composite
def starts(draw: st.DrawFn, space: Mapping[str, Float | Int | Categorical], options: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for name in ordered(space):
        when = space[name].when
        known = {**options, **values}
        if draw(st.booleans()) and (applies(when, known) or not all(parent in known for parent in when)):
            values[name] = draw(values_of(space[name]))
    return values


@st.composite
def families(draw: st.DrawFn) -> Family:
    options = draw(st.dictionaries(st.sampled_from(["x", "y"]), CHOICES, max_size=2))
    space = draw(spaces(options))
    return Family(
        draw(NAMES),
        architecture=draw(TEXT_KEYS),
        options=options,
        space=space,
        start=draw(st.lists(starts(space, options), max_size=2)),
    )


@st.composite
def studies(draw: st.DrawFn) -> Study:
    positive = st.integers(1, 10**6)
    strategy_options = st.dictionaries(st.sampled_from(["some", "other"]), CHOICES, max_size=2)
    return Study(
        draw(NAMES),
        data=Data(
            draw(st.text(min_size=1, max_size=8)),
            image_size=draw(st.none() | positive),
            validation=draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
            split_seed=draw(st.integers(0, 2**32 - 1)),
        ),
        families=draw(st.lists(families(), min_size=1, max_size=2, unique_by=lambda family: family.name)),
        budget=Budget(
            trials=draw(positive),
            epochs=draw(positive),
            patience=draw(st.none() | positive),
            total_epochs=draw(st.none() | positive),
            timeout_seconds=draw(st.none() | st.floats(0, 1e9, exclude_min=True)),
        ),
        metric=draw(st.sampled_from(["val_accuracy", "val_loss"])),
        sampler=Sampler(draw(TEXT_KEYS), options=draw(strategy_options)),
        pruner=Pruner(draw(TEXT_KEYS), options=draw(strategy_options)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


# Tests write `@given(study=...)`, or `st.from_type(Family)`, and so need not import this file.
st.register_type_strategy(Family, families())
st.register_type_strategy(Study, studies())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The digits at their own size of 8x8 pixels."""
    return _digits(tmp_path_factory, image_size=None)


@pytest.fixture(scope="session")
def digits_16(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The digits at 16x16 pixels, the smallest that every registered architecture takes."""
    return _digits(tmp_path_factory, image_size=16)


def _digits(tmp_path_factory: pytest.TempPathFactory, image_size: int | None) -> Prepared:
    folder = tmp_path_factory.mktemp("digits")
    return prepare(
        DataRequest("digits", image_size=image_size, validation=0.2, split_seed=0, data_dir=folder, cache_dir=folder)
    )


@pytest.fixture(scope="session")
def json_of() -> Any:
    """A study as nested lists and dicts."""

    def parsed(study: Study) -> Any:
        return json.loads(study.to_json())

    return parsed


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a storage that is not there yet."""
    return f"sqlite:///{tmp_path / 'optuna.db'}"


@pytest.fixture
def job_of(digits: Prepared) -> Any:
    """A small job on the digits at 8x8 pixels: `job_of(epochs=2, lr=0.1)`; what training takes may stand beside."""
    from optrack.search.training import Job, TrainingConfig

    def made(**changes: Any) -> Job:
        fields = set(TrainingConfig.__dataclass_fields__)
        settings: dict[str, Any] = {"batch_size": 256, "lr": 0.01}
        settings |= {name: changes.pop(name) for name in fields & set(changes)}
        parts: dict[str, Any] = {
            "family": "f",
            "trial": 0,
            "architecture": "mlp",
            "model": {"width": 32, "dropout": 0.2},
            "data": digits,
            "epochs": 3,
            "seed": 1,
        }
        return Job(training=TrainingConfig(**settings), **{**parts, **changes})

    return made


@pytest.fixture(scope="session")
def searched_once(empty_mlflow: Path, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The folder of a study `tiny` that was searched: two families, two trials of three epochs each."""

    def make(folder: Path) -> None:
        shutil.copy(empty_mlflow, folder / "mlflow.db")
        _search(folder)

    return made_once("searched_inline", make)


def _search(folder: Path) -> None:
    from optrack.search.cli.progress import LineProgress
    from optrack.search.coordinator.running import run_study

    families = [
        Family(
            name,
            architecture=architecture,
            options={"batch_size": 256, **options},
            space={"lr": Float(1e-4, 1e-1, log=True)},
            start=[{"lr": 1e-3}, {"lr": 1e-2}],  # the second one is better
        )
        for name, architecture, options in (("linear", "logistic", {}), ("deep", "mlp", {"width": 16}))
    ]
    study = Study(
        "tiny", data=Data("digits"), budget=Budget(trials=2, epochs=3), pruner=Pruner("none"), families=families
    )
    run_study(study, places=_places(folder), machine=_machine(), observer=LineProgress())


@pytest.fixture(scope="session")
def retrained_once(searched_once: Path, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The same study in another folder, with two models of each family."""
    return made_once("retrained_inline", lambda folder: _retrain(_copied(searched_once, folder)))


def _retrain(places: Any) -> None:
    from optrack.search.cli.training_progress import TrainingProgress
    from optrack.search.retraining.retraining import retrain_study
    from optrack.search.stores.optuna_store import read_storage, stored_families

    families = stored_families(read_storage(places.storage), "tiny")
    retrain_study(families, seeds=2, confirm=0, places=places, machine=_machine(), observer=TrainingProgress())


@pytest.fixture
def searched(searched_once: Path, tmp_path: Path) -> Any:
    """Where a study that was searched lies, to be changed at will."""
    return _copied(searched_once, tmp_path / "searched")


@pytest.fixture
def retrained(retrained_once: Path, tmp_path: Path) -> Any:
    """Where a study with retrained models lies, to be changed at will."""
    return _copied(retrained_once, tmp_path / "retrained")


def _places(folder: Path) -> Any:
    from optrack.search.stores.places import Places

    return Places(
        storage=f"sqlite:///{folder}/optuna.db",
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        data_dir=folder / "data",
        cache_dir=folder / "cache",
    )


def _machine() -> Any:
    from optrack.search.launchers.machine import Machine

    return Machine(launcher="inline", device="cpu", threads=1)


def _copied(source: Path, folder: Path) -> Any:
    """Both stores in another folder; MLflow remembers in the process where each run's artifacts lie."""
    from optrack.search.stores.mlflow_database import have_tables

    remembered: Any = resolve_name("mlflow.tracking._tracking_service.utils:_artifact_repos_cache")
    remembered.clear()
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-shm"))
    have_tables(f"sqlite:///{folder}/mlflow.db")
    return _places(folder)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[str, Callable[[str], bool]], str]:
    """Open a page in headless Chromium without a network; the document once it is as wanted, with a silent console.

    On a busy machine the browser's time can be over before its frames come, so a page is opened up to five times.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium")

    def opened(address: str, is_wanted: Callable[[str], bool]) -> str:
        for attempt in range(5):
            browser = subprocess.run(
                [
                    *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"),
                    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
                    *("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
                    *(f"--user-data-dir={tmp_path}/profile-{attempt}", "--enable-logging=stderr"),
                    *("--virtual-time-budget=300000", address),
                ],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert "CONSOLE" not in browser.stderr
            if is_wanted(browser.stdout):
                return browser.stdout
        raise AssertionError(f"{address} does not become what it should be")

    return opened


@pytest.fixture
def typed() -> Callable[..., typer.Context]:
    """What a command knows of how it was called: `typed("predict", "tiny", "one.png")`."""
    from optrack.search.cli.app import app

    group: Any = typer.main.get_command(app)

    def called(name: str, *arguments: str) -> typer.Context:
        return group.commands[name].make_context(name, list(arguments))

    return called
