"""What is recorded of people's own networks, and when it may run."""

import json
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from optrack.architectures import architecture
from optrack.datasets import Prepared
from optrack.search import Data, Family, Float, OwnSourceError, Study, StudyError
from optrack.search.champions.champion import load_folder, save_folder
from optrack.search.champions.mlflow_model import save_model
from optrack.search.champions.recipe import Recipe, read_recipe
from optrack.search.coordinator.checks import check_models, check_study
from optrack.search.coordinator.comparable import check_comparable
from optrack.search.stores.records import DATA_RECORD, SOURCE_RECORD, STUDY_RECORD, data_record
from optrack.search.stores.trials import StoredFamily
from optrack.search.training.own_code import data_code, network_code
from optrack.sources import SourceError

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, classes, *, width: int = 8):
        super().__init__()
        self.features = nn.Conv2d(input_shape[0], width, 3)
        self.head = nn.Linear(width, classes)

    def forward(self, images):
        return self.head(self.features(images).relu().mean(dim=(2, 3)))
"""
DIGEST = sha256(NET.encode()).hexdigest()
NAME = "own_code_net.py:Net"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("own_code_net.py").write_text(NET)
    return tmp_path


def family(**parts: Any) -> Family:
    values: dict[str, Any] = {"architecture": NAME, "space": {"lr": Float(0.1, 1.0)}, **parts}
    return Family("f", **values)


def study(**parts: Any) -> Study:
    return Study("s", data=Data("digits"), families=[family(**parts)])


def saved(into: Path, **changes: Any) -> Path:
    """A champion with somebody's own network."""
    configuration: dict[str, Any] = {
        "study": "s",
        "family": "f",
        "architecture": NAME,
        "source": {"file": "own_code_net.py", "sha256": DIGEST},
        "model": {"width": 4},
        "input": [1, 8, 8],
        "classes": ["a", "b"],
        "mean": [0.3],
        "std": [0.2],
        "data": {"image_size": 8},
        **changes,
    }
    torch.manual_seed(1)
    state = architecture(NAME)((1, 8, 8), 2, width=4).state_dict()
    code = NET.encode() if configuration.get("source") else None
    save_folder(into, state=state, recipe=Recipe.model_validate(configuration), code=code)
    return into


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)


def test_the_code_of_a_network_and_of_a_data_set_is_recorded_as_it_is() -> None:
    code = network_code(family())
    assert code is not None
    assert (code.file, code.content, code.digest) == ("own_code_net.py", NET.encode(), DIGEST)
    assert code.as_json() == {"file": "own_code_net.py", "sha256": DIGEST}
    assert network_code(family(architecture="mlp")) is None
    assert data_code(study()) is None
    own = data_code(replace(study(), data=Data(NAME)))
    assert own is not None
    assert own.digest == DIGEST
    with pytest.raises(SourceError, match="there is no file"):
        network_code(family(architecture="nowhere.py:Net"))


def test_its_hyperparameters_are_the_keyword_only_parameters_of_its_constructor() -> None:
    check_study(study(options={"width": 4}))
    with pytest.raises(StudyError, match=r"unknown hyperparameter 'widht' \(did you mean 'width'"):
        check_study(study(options={"widht": 4}))
    with pytest.raises(StudyError, match=r"width should be a valid integer, but got 0\.5"):
        check_study(study(options={"width": 0.5}))


def test_a_hyperparameter_must_not_have_a_name_of_the_training_s() -> None:
    Path("clash.py").write_text(NET.replace("width", "momentum"))
    with pytest.raises(StudyError, match=r"clash\.py:Net must not take 'momentum', which the training takes"):
        check_study(study(architecture="clash.py:Net"))


def test_an_annotation_that_no_value_could_be_checked_against_is_said() -> None:
    Path("odd.py").write_text(NET.replace("width: int = 8", "width: int = 8, layer: nn.Linear = None"))
    with pytest.raises(StudyError, match="layer"):
        check_study(study(architecture="odd.py:Net", options={"layer": 1}))


def test_the_contract_is_checked_at_every_corner_of_the_space() -> None:
    from optrack.search import Int

    Path("corner.py").write_text(NET.replace("width, 3)", "width, 3)\n        assert width < 9"))
    check_models(family(architecture="corner.py:Net", space={"width": Int(1, 8)}), (1, 8, 8), 2)
    with pytest.raises(StudyError, match=r"family 'f': corner\.py:Net cannot be built, line 8: AssertionError"):
        check_models(family(architecture="corner.py:Net", space={"width": Int(1, 9)}), (1, 8, 8), 2)


def test_batches_of_one_image_are_refused_where_its_batch_norm_would_meet_them() -> None:
    head = "nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, classes))"
    Path("normed.py").write_text(NET.replace("nn.Linear(width, classes)", head))
    options = {"batch_size": 1}
    check_models(family(options=options), (1, 8, 8), 2)
    with pytest.raises(StudyError, match=r"batch_size must be at least 2 with the batch norm of normed\.py:Net"):
        check_models(family(architecture="normed.py:Net", options=options), (1, 8, 8), 2)


def test_a_champion_is_built_where_its_code_lies_as_it_was_recorded(folder: Path) -> None:
    champion = load_folder(saved(folder / "champion"))
    assert champion.logits(IMAGES).shape == (3, 2)


def test_recorded_code_runs_only_when_it_is_named(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load_folder(saved(folder / "champion")).logits(IMAGES)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    with pytest.raises(OwnSourceError, match=r"there is no file own_code_net\.py .*: --run-source own_code_net\.py"):
        load_folder(folder / "champion")
    with pytest.raises(
        OwnSourceError, match=r"its recorded code is called own_code_net\.py, but --run-source names 'x\.py'"
    ):
        load_folder(folder / "champion", run_source="x.py")
    again = load_folder(folder / "champion", run_source="own_code_net.py")
    assert np.array_equal(again.logits(IMAGES), expected)


def test_code_that_was_changed_is_not_taken_for_what_was_recorded(folder: Path) -> None:
    saved(folder / "champion", source={"file": "own_code_net.py", "sha256": "0" * 64})
    with pytest.raises(OwnSourceError, match="is not what it was"):
        load_folder(folder / "champion")
    with pytest.raises(OwnSourceError, match="is not what it was"):
        load_folder(folder / "champion", run_source="own_code_net.py")


def test_a_network_without_recorded_code_is_never_looked_for(folder: Path) -> None:
    saved(folder / "champion", source=None)
    with pytest.raises(OwnSourceError, match="whose code was not recorded"):
        load_folder(folder / "champion")


@pytest.mark.parametrize("name", ["../own_code_net.py", "a/b.py", "net.txt", ""])
def test_a_champion_names_no_file_outside_of_its_folder(folder: Path, name: str) -> None:
    saved(folder / "champion")
    path = folder / "champion" / "configuration.json"
    configuration = json.loads(path.read_text())
    configuration["source"]["file"] = name
    path.write_text(json.dumps(configuration))
    with pytest.raises(StudyError, match=r"is not a champion's configuration: source\.file"):
        load_folder(folder / "champion", run_source=name)


def test_mlflow_runs_recorded_code_only_when_its_configuration_or_the_environment_names_it(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = saved(folder / "champion")
    expected = load_folder(champion).probabilities(IMAGES)
    save_model(folder / "model", champion, read_recipe(champion))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    load_model: Any = import_module("mlflow.pyfunc").load_model
    with pytest.raises(OwnSourceError):
        load_model(str(folder / "model"))
    for named in (False, True):
        if not named:
            monkeypatch.setenv("OPTRACK_RUN_SOURCE", "own_code_net.py")
        else:
            monkeypatch.delenv("OPTRACK_RUN_SOURCE")
        model = load_model(str(folder / "model"), model_config={"run_source": "own_code_net.py"} if named else None)
        answer = model.predict(IMAGES.transpose(0, 2, 3, 1))
        assert np.array_equal(np.array(answer["probabilities"].tolist(), dtype=np.float32), expected)


def stored(data: Prepared, state: optuna.trial.TrialState | None) -> list[StoredFamily]:
    opened = optuna.create_study(study_name="s/f")
    opened.set_user_attr(DATA_RECORD, data_record(data))
    opened.set_user_attr(SOURCE_RECORD, {"file": "own_code_net.py", "sha256": DIGEST})
    if state is not None:
        value = 0.5 if state == optuna.trial.TrialState.COMPLETE else None
        opened.add_trial(optuna.create_trial(state=state, value=value))
    opened.set_user_attr(STUDY_RECORD, study().to_json())
    return [StoredFamily.read(opened)]


def test_trials_of_changed_code_do_not_stand_beside_those_of_the_code_before(digits: Prepared) -> None:
    finished, failed = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL
    plain = replace(study(), data=Data("digits"))
    check_comparable(plain, digits, stored(digits, finished))
    Path("own_code_net.py").write_text(NET + "# mended\n")
    with pytest.raises(
        StudyError, match=r"source in family 'f' was own_code_net\.py with SHA-256 [0-9a-f]{12} and is "
    ):
        check_comparable(plain, digits, stored(digits, finished))
    check_comparable(plain, digits, stored(digits, failed))
    check_comparable(plain, digits, stored(digits, None))
