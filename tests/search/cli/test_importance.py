import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution

from optrack.search import Budget, Data, Family, Float, Study, StudyError
from optrack.search.cli.importance import importance
from optrack.search.stores.records import STUDY_RECORD

STUDY = Study(
    "mine",
    data=Data("digits"),
    budget=Budget(trials=1, epochs=1),
    families=[Family("linear", architecture="logistic", space={"lr": Float(0.1, 1.0), "weight_decay": Float(0, 1)})],
)
UNIT = FloatDistribution(0.0, 1.0)


def no_page(*_: Any, **__: Any) -> None:
    """In the place of a page with figures, which takes its time and has tests of its own."""


def row_of(name: str, table: str) -> str:
    (line,) = (line for line in table.splitlines() if name in line.split())
    return line


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a storage in which `lr` decides in 12 finished trials, and `weight_decay` does not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("optrack.search.importance.write_page", no_page)
    verbosity = optuna.logging.get_verbosity()
    url = f"sqlite:///{tmp_path}/optuna.db"
    stored = optuna.create_study(study_name="mine/linear", storage=url, direction="maximize")
    stored.set_user_attr(STUDY_RECORD, STUDY.to_json())
    for number in range(12):
        params = {"lr": number / 12, "weight_decay": number * 5 % 12 / 12}
        stored.add_trial(
            optuna.trial.create_trial(
                value=number / 12, params=params, distributions={"lr": UNIT, "weight_decay": UNIT}
            )
        )
    yield url
    optuna.logging.set_verbosity(verbosity)


@pytest.mark.parametrize("evaluator", ["ped_anova", "mdi"])
def test_the_json_has_the_evaluator_and_an_interval_for_each_share(
    evaluator: str, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    importance("mine", evaluator=evaluator, storage=storage, as_json=True)
    (family,) = json.loads(capsys.readouterr().out)["families"]
    assert (family["family"], family["evaluator"], family["completed"]) == ("linear", evaluator, 12)
    assert family["intervals"].keys() == family["importances"].keys() == {"lr", "weight_decay"}
    for name, share in family["importances"].items():
        low, high = family["intervals"][name]
        assert 0 <= low <= share <= high <= 1
    assert "weight_decay" in family["unproven"]


def test_the_table_shows_each_share_with_its_interval_and_says_too_few(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    importance("mine", evaluator="mdi", storage=storage, as_json=True)
    (family,) = json.loads(capsys.readouterr().out)["families"]
    importance("mine", evaluator="mdi", storage=storage)
    table = capsys.readouterr().out
    assert "mine: importance of hyperparameters (mdi)" in table
    for name, share in family["importances"].items():
        low, high = family["intervals"][name]
        assert f" {share:.2f} " in row_of(name, table)
        assert f" {low:.2f}-{high:.2f} " in row_of(name, table)
    assert row_of("linear", table).split()[1] == "12"
    assert "too few trials to rank: 12 finished, 20 needed" in row_of("linear", table)
    assert "not told from chance" in row_of("weight_decay", table)


def test_an_unknown_evaluator_is_refused_and_nothing_is_written(storage: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"unknown evaluator 'anova'.*valid names: ped_anova, fanova, mdi"):
        importance("mine", evaluator="anova", storage=storage)
    assert [path.name for path in tmp_path.iterdir()] == ["optuna.db"]


def test_a_family_without_finished_trials_has_a_row_without_shares(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = optuna.create_study(study_name="mine/new", storage=storage, direction="maximize")
    empty.set_user_attr(STUDY_RECORD, STUDY.to_json())
    importance("mine", storage=storage)
    assert row_of("new", capsys.readouterr().out).split()[:5] == ["new", "0", "-", "-", "-"]
