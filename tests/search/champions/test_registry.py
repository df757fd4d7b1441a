import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from optrack.architectures import architecture
from optrack.search import NothingStoredError, TrackingError
from optrack.search.champions.champion import load_folder, save_folder
from optrack.search.champions.mlflow_model import save_model
from optrack.search.champions.recipe import Recipe
from optrack.search.champions.registry import (
    BEST_ALIAS,
    CHAMPION_ALIAS,
    load_champion,
    model_name,
    register,
    registered,
    set_best,
    update_figures,
)

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)

FRESH = """
import sys, numpy as np
from optrack.search.champions.registry import load_champion
from optrack.search.champions.recipe import Recipe
images = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
for family in ("small", None):
    print(load_champion("mine", family, tracking_uri=sys.argv[1]).logits(images).tobytes().hex())
"""

WITHOUT_OPTRACK = """
import json, mlflow, numpy as np
images = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
found = mlflow.pyfunc.load_model("models:/mine@best").predict(images[:, 0])
print(json.dumps(found["probabilities"].tolist()))
"""


class Store:
    """An MLflow store in a folder, with retrained models in their runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)
        found = self.client.get_experiment_by_name("mine")
        self._experiment = found.experiment_id if found else self._created()

    def _created(self) -> str:
        return self.client.create_experiment("mine", artifact_location=str(self.folder / "mlruns"))

    def retrained(self, family: str = "small", seed: int = 0) -> str:
        """The run of a model with random weights."""
        configuration: dict[str, Any] = {
            "study": "mine",
            "family": family,
            "trial": 3,
            "seed": seed,
            "architecture": "lenet",
            "model": {},
            "input": [1, 28, 28],
            "classes": ["zero", "one"],
            "mean": [0.3],
            "std": [0.2],
            "data": {"digest": "abc", "image_size": 28},
        }
        torch.manual_seed(seed)
        state = architecture("lenet")((1, 28, 28), 2).state_dict()
        folder = self.folder / f"{family}-{seed}"
        save_folder(folder / "champion", state=state, recipe=Recipe.model_validate(configuration))
        save_model(folder / "model", folder / "champion", Recipe.model_validate(configuration))
        run_id = self.client.create_run(self._experiment).info.run_id
        self.client.log_artifacts(run_id, str(folder / "model"), "model")
        shutil.rmtree(folder)
        return run_id

    def model_folder(self, run_id: str) -> Path:
        return self.folder / "mlruns" / run_id / "artifacts" / "model"

    def versions(self, name: str) -> dict[str, str]:
        """The versions of a registered model and their runs."""
        found = self.client.search_model_versions(f"name = '{name}'")
        return {str(version.version): str(version.run_id) for version in found}


@pytest.fixture
def store(tmp_path: Path, empty_mlflow: Path) -> Iterator[Store]:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield Store(tmp_path)
    assert os.environ.get("MLFLOW_TRACKING_URI") == before


def fresh(code: str, *arguments: str, tracking_uri: str = "") -> str:
    """What a process that knows nothing prints."""
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONWARNINGS": "ignore"}
    if tracking_uri:
        environment["MLFLOW_TRACKING_URI"] = tracking_uri
    return subprocess.check_output(
        [sys.executable, "-c", code, *arguments], env=environment, text=True, stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_a_fresh_process_rebuilds_a_champion_from_the_registry_alone_and_gives_identical_logits(store: Store) -> None:
    small, wide = store.retrained("small", seed=1), store.retrained("wide", seed=2)
    register(store.uri, "mine", "small", small)
    register(store.uri, "mine", "wide", wide)
    set_best(store.uri, "mine", "wide")
    expected = [load_folder(store.model_folder(run_id)).logits(IMAGES) for run_id in (small, wide)]
    assert not np.array_equal(expected[0], expected[1])
    assert fresh(FRESH, store.uri).split() == [logits.tobytes().hex() for logits in expected]


@pytest.mark.slow
def test_mlflow_s_users_get_the_same_probabilities_without_knowing_optrack(store: Store) -> None:
    run_id = store.retrained()
    register(store.uri, "mine", "small", run_id)
    set_best(store.uri, "mine", "small")
    found = json.loads(fresh(WITHOUT_OPTRACK, tracking_uri=store.uri))
    np.testing.assert_allclose(found, load_folder(store.model_folder(run_id)).probabilities(IMAGES), atol=1e-4)


def test_registering_a_run_again_makes_no_second_version(store: Store) -> None:
    first, second = store.retrained(seed=1), store.retrained(seed=2)
    for run_id, version in ((first, "1"), (first, "1"), (second, "2"), (first, "1")):
        assert register(store.uri, "mine", "small", run_id) == set_best(store.uri, "mine", "small") == version
    for name, alias in (("mine.small", CHAMPION_ALIAS), ("mine", BEST_ALIAS)):
        assert store.versions(name) == {"1": first, "2": second}
        assert store.client.get_model_version_by_alias(name, alias).run_id == first


def test_the_registry_says_where_a_champion_comes_from_and_what_its_test_said(store: Store) -> None:
    run_id = store.retrained(seed=7)
    register(store.uri, "mine", "small", run_id)
    (champion,) = registered(store.uri, "mine").values()
    assert (champion.version, champion.run_id) == ("1", run_id)
    assert (champion.best, champion.figures) == (False, {})
    tags = store.client.get_model_version("mine.small", "1").tags
    assert tags == {
        "optrack.study": "mine",
        "optrack.family": "small",
        "optrack.trial": "3",
        "optrack.seed": "7",
        "optrack.data_digest": "abc",
    }
    set_best(store.uri, "mine", "small")
    update_figures(store.uri, "mine", "small", run_id, {"test/accuracy": 0.1 + 0.2, "test/loss": 1e-9})
    (champion,) = registered(store.uri, "mine").values()
    assert champion.best
    assert champion.figures == {"test_accuracy": 0.1 + 0.2, "test_loss": 1e-9}
    for name in ("mine", "mine.small"):
        noted = {"test_accuracy": repr(0.1 + 0.2), "test_loss": "1e-09"}
        assert store.client.get_model_version(name, "1").tags == {**tags, **noted}


def test_figures_outlive_another_registration_of_the_same_run(store: Store) -> None:
    run_id = store.retrained()
    register(store.uri, "mine", "small", run_id, figures={"test/accuracy": 0.5})
    register(store.uri, "mine", "small", run_id)
    assert registered(store.uri, "mine")["small"].figures == {"test_accuracy": 0.5}


def test_the_winner_can_be_another_family_later(store: Store) -> None:
    register(store.uri, "mine", "small", store.retrained("small"))
    register(store.uri, "mine", "wide", store.retrained("wide"))
    set_best(store.uri, "mine", "small")
    set_best(store.uri, "mine", "wide")
    assert {name: champion.best for name, champion in registered(store.uri, "mine").items()} == {
        "small": False,
        "wide": True,
    }
    assert load_champion("mine", tracking_uri=store.uri).family == "wide"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (("a.b", "c"), "'a.b.c' belongs to family 'b.c' of study 'a', and cannot belong to family 'c' of study 'a.b'"),
        (("theirs", "c"), "'theirs.c' belongs to someone else, and cannot belong to family 'c' of study 'theirs'"),
    ],
)
def test_a_name_that_belongs_to_others_is_refused(other: tuple[str, str], message: str, store: Store) -> None:
    run_id = store.retrained()
    register(store.uri, "a", "b.c", run_id)
    store.client.create_registered_model("theirs.c")
    with pytest.raises(TrackingError, match=message):
        register(store.uri, *other, run_id)
    with pytest.raises(NothingStoredError):
        load_champion(*other, tracking_uri=store.uri)
    assert set(registered(store.uri, "a")) == {"b.c"}
    assert registered(store.uri, "a.b") == {}
    assert registered(store.uri, "it's/mine") == {}


def test_a_study_named_like_another_one_s_champion_cannot_have_a_winner(store: Store) -> None:
    run_id = store.retrained()
    register(store.uri, "a", "b", run_id)
    register(store.uri, "a.b", "c", run_id)
    message = "'a.b' belongs to family 'b' of study 'a', and cannot belong to study 'a.b' too"
    with pytest.raises(TrackingError, match=message):
        set_best(store.uri, "a.b", "c")
    assert model_name("a", "b") == model_name("a.b")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("mine", "smal"), r"unknown champion 'smal' \(did you mean 'small'\?\); valid names: small"),
        (("mine", None), "study 'mine' has no best champion yet, only those of small"),
        (("mien", "small"), r"'mien' has no .* yet \(did you mean 'mine'\?\): `optrack retrain mien` .* of mine"),
        (("it's/mine", "small"), 'study "it\'s/mine" has no registered champion yet .* of mine'),
        (("mien", None), "study 'mien' has no registered champion yet"),
    ],
)
def test_what_is_not_registered_is_said_with_what_is(asked: tuple[str, str | None], message: str, store: Store) -> None:
    register(store.uri, "mine", "small", store.retrained())
    with pytest.raises(NothingStoredError, match=message) as caught:
        load_champion(*asked, tracking_uri=store.uri)
    assert "\n" not in str(caught.value)


def test_an_empty_registry_says_how_champions_are_made(store: Store) -> None:
    with pytest.raises(NothingStoredError, match="no registered champion yet: `optrack retrain mine` makes them"):
        load_champion("mine", tracking_uri=store.uri)
    with pytest.raises(NothingStoredError, match="no registered champion yet"):
        set_best(store.uri, "mine", "small")
    assert registered(store.uri, "mine") == {}


def test_reading_where_nothing_is_recorded_leaves_no_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(NothingStoredError, match=r"nothing is recorded in sqlite:.* yet"):
        load_champion("mine", tracking_uri=uri)
    assert registered(uri, "mine") == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:////nowhere/at/all/mlflow.db", "there is no folder /nowhere/at/all"),
        ("http://127.0.0.1:9", "MLflow at http://127.0.0.1:9 does not answer"),
        ("nonsense", "--tracking-uri must be"),
    ],
)
def test_a_registry_that_is_away_is_named(uri: str, message: str) -> None:
    for ask in (lambda: load_champion("mine", tracking_uri=uri), lambda: registered(uri, "mine")):
        with pytest.raises(TrackingError, match=message):
            ask()


def test_a_missing_alias_is_named(store: Store) -> None:
    register(store.uri, "mine", "small", store.retrained())
    set_best(store.uri, "mine", "small")
    store.client.delete_registered_model_alias("mine.small", CHAMPION_ALIAS)
    store.client.delete_registered_model_alias("mine", BEST_ALIAS)
    with pytest.raises(NothingStoredError, match=r"registered model 'mine\.small' has no alias 'champion'"):
        load_champion("mine", "small", tracking_uri=store.uri)
    with pytest.raises(NothingStoredError, match="registered model 'mine' has no alias 'best'"):
        load_champion("mine", tracking_uri=store.uri)
    assert registered(store.uri, "mine") == {}


@pytest.mark.parametrize("file", ["weights.safetensors", "configuration.json", "."])
def test_a_deleted_artifact_is_named(file: str, store: Store) -> None:
    run_id = store.retrained()
    register(store.uri, "mine", "small", run_id)
    set_best(store.uri, "mine", "small")
    path = store.model_folder(run_id) / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(NothingStoredError, match=f"the model mine.small version 1 is gone: there is no .*{run_id}"):
        load_champion("mine", "small", tracking_uri=store.uri)
    with pytest.raises(NothingStoredError, match=f"the model of run {run_id} is gone"):
        register(store.uri, "mine", "small", run_id)


def test_a_run_that_is_not_there_cannot_be_registered(store: Store) -> None:
    with pytest.raises(NothingStoredError, match="has no run 0123"):
        register(store.uri, "mine", "small", "0123")
    assert store.versions("mine.small") == {}


def test_a_champion_is_asked_for_by_its_name_and_a_study_for_its_own_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.retrained()
    for study in ("mine", "theirs"):
        register(store.uri, study, "small", run_id)
    asked: list[str | None] = []
    search: Any = MlflowClient.search_registered_models

    def asking(client: MlflowClient, wanted: str | None = None, **options: Any) -> Any:
        asked.append(wanted)
        return search(client, wanted, **options)

    monkeypatch.setattr(MlflowClient, "search_registered_models", asking)
    load_champion("mine", "small", tracking_uri=store.uri)
    assert asked == []
    assert set(registered(store.uri, "mine")) == {"small"}
    assert asked == ["tags.`optrack.study` = 'mine'"]
