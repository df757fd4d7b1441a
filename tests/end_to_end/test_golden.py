"""A folder that an earlier version wrote still opens, answers as it did, and is gone on with."""

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from PIL import Image

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)

Answer = subprocess.CompletedProcess[str]
Optrack = Callable[..., Answer]


@pytest.fixture(autouse=True)
def golden(folder: Path) -> Path:
    """The golden folder as the current one; it was written in another one, which is not there."""
    with tarfile.open(GOLDEN / "study.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def tracking_uri(golden: Path) -> str:
    """Of MLflow's records, whose artifacts our own commands have found where they lie now."""
    from optrack.search.stores import client

    uri = f"sqlite:///{golden}/mlflow.db"
    client(uri)
    return uri


@pytest.mark.parametrize("command", ["status", "best", "test"])
def test_answers_are_those_of_the_version_that_wrote_it(optrack: Optrack, command: str) -> None:
    answer = optrack(command, "golden.py", "--json")
    assert answer.returncode == 0
    assert_holds(json.loads(answer.stdout), EXPECTED[command])


def assert_holds(answer: Any, expected: Any) -> None:
    """Whether an answer has all that is expected; more keys may stand beside."""
    if isinstance(expected, dict):
        for key, value in expected.items():  # pyright: ignore[reportUnknownVariableType]
            assert_holds(answer[key], value)
    elif isinstance(expected, list):
        assert len(answer) == len(expected)  # pyright: ignore[reportUnknownArgumentType]
        for one, other in zip(answer, expected, strict=True):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            assert_holds(one, other)
    else:
        assert answer == expected


def test_a_search_goes_on_beside_the_trials_that_are_there(optrack: Optrack, golden: Path) -> None:
    before = recorded_trials(golden)
    answer = optrack("run", "golden.py", "--trials", 5, "--launcher", "inline", "--threads", 1)
    assert answer.returncode == 0, answer.stderr
    assert len(before) == 6
    after = recorded_trials(golden)
    assert {key: after[key] for key in before} == before
    families = json.loads(optrack("status", "golden.py", "--json").stdout)["families"]
    assert [family["trials"]["total"] for family in families] == [5, 5]
    assert optrack("report", "golden.py").returncode == 0
    assert "golden" in (golden / "golden-report.html").read_text()


def recorded_trials(folder: Path) -> dict[tuple[str, int], tuple[Any, ...]]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    found = {
        (name, trial.number): (trial.state, trial.values, trial.params, trial.intermediate_values, trial.user_attrs)
        for name in ("golden/linear", "golden/mine")
        for trial in optuna.load_study(study_name=name, storage=storage).get_trials()
    }
    storage.engine.dispose()
    return found


def test_the_winner_answers_for_image_files(optrack: Optrack, golden: Path) -> None:
    Image.fromarray(IMAGES[0, 0]).save(golden / "first.png")
    answer = optrack("predict", "golden.py", "first.png", "--json")
    assert answer.returncode == 0, answer.stderr
    assert EXPECTED["pyfunc"][0]["label"] in answer.stdout


@pytest.mark.parametrize("family", ["linear", "mine"])
def test_a_champion_has_the_logits_that_it_had(family: str, tracking_uri: str) -> None:
    from optrack.search import load_champion

    champion = load_champion("golden", family, tracking_uri=tracking_uri)
    np.testing.assert_allclose(champion.logits(IMAGES), EXPECTED["logits"][family], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")  # of MLflow about its own types
def test_mlflow_loads_the_winner_by_the_module_that_the_model_names(tracking_uri: str) -> None:
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    model: Any = mlflow.pyfunc.load_model("models:/golden@best")
    answers: list[dict[str, Any]] = json.loads(model.predict(IMAGES[:, 0]).to_json(orient="records"))
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in EXPECTED["pyfunc"]]
    for answer, expected in zip(answers, EXPECTED["pyfunc"], strict=True):
        np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], rtol=1e-4, atol=1e-5)
