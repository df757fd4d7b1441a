import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from optrack.search import Data, Family, Float, Study
from optrack.search.coordinator.strategies import suggest
from optrack.search.stores.optuna_store import (
    open_family,
    open_storage,
    requeue,
    stored_families,
)
from optrack.search.stores.records import STUDY_RECORD
from optrack.search.stores.trials import (
    OPTUNA_STATES,
    STATE_WORDS,
    StoredFamily,
    best,
    epoch_of,
    status,
    trial_of,
)
from optrack.search.study.metric import EpochResult

SPACE: dict[str, Any] = {"lr": Float(0.1, 1.0)}


def stored(url: str, metric: Any = "val_accuracy") -> list[StoredFamily]:
    """Family `busy` with a trial in each state, and family `idle` without any."""
    families = [
        Family("busy", architecture="mlp", space=SPACE, start=[{"lr": 0.5}]),
        Family("idle", architecture="mlp", space=SPACE),
    ]
    study = Study("s", data=Data("digits"), families=families, metric=metric)
    storage = open_storage(url)
    for family in families:
        open_family(storage, study, family).set_user_attr(STUDY_RECORD, study.to_json())
    opened = stored_families(storage, "s")[0].optuna_study
    for state, value in [
        (TrialState.COMPLETE, 0.5),
        (TrialState.COMPLETE, 0.75),
        (TrialState.PRUNED, None),
        (TrialState.FAIL, None),
        (TrialState.RUNNING, None),
        (TrialState.WAITING, None),
    ]:
        trial = opened.ask()
        suggest(trial, SPACE, {})
        trial.report(0.25, 1)
        trial.report(0.5, 2)
        trial.set_user_attr("best_epoch", 2)
        trial.set_user_attr("mlflow_run", f"run{trial.number}")
        if state == TrialState.WAITING:
            requeue(storage, opened, trial.number)
        elif state != TrialState.RUNNING:
            opened.tell(trial, value, state=state)
    return stored_families(storage, "s")


def test_status_counts_trials_by_state_which_add_up_to_the_total(url: str) -> None:
    answer = status("s", stored(url))
    busy, idle = answer["families"]
    assert answer["study"] == "s"
    assert busy["family"] == "busy"
    assert busy["trials"] == {"total": 6, "finished": 2, "pruned": 1, "failed": 1, "running": 1, "waiting": 1}
    assert busy["epochs"] == 12
    assert busy["apart"] == 0
    assert idle["trials"] == {"total": 0, "finished": 0, "pruned": 0, "failed": 0, "running": 0, "waiting": 0}
    assert idle["epochs"] == 0
    assert idle["best"] is None


def test_status_names_the_best_trial_with_its_configuration(url: str) -> None:
    families = stored(url)
    assert status("s", families)["families"][0]["best"] == {
        "trial": 1,
        "value": 0.75,
        "epoch": 2,
        "params": {"lr": families[0].trials[1].params["lr"]},
    }


def test_best_lists_the_families_that_have_a_finished_trial(url: str) -> None:
    answer = best("s", stored(url, "val_loss"))
    assert answer == {
        "study": "s",
        "metric": "val_loss",
        "families": [
            {
                "family": "busy",
                "trial": 0,
                "value": 0.5,
                "epoch": 2,
                "params": {"lr": 0.5},
                "mlflow_run": "run0",
            }
        ],
    }


NUMBER = st.floats()
EPOCH = st.builds(
    EpochResult,
    epoch=st.integers(1, 10_000),
    train_loss=NUMBER,
    train_accuracy=NUMBER,
    val_loss=st.none() | NUMBER,
    val_accuracy=st.none() | NUMBER,
    lr=NUMBER,
    seconds=NUMBER,
)


@given(EPOCH)
def test_an_epoch_is_read_back_from_json_bit_by_bit(epoch: EpochResult) -> None:
    assert repr(epoch_of(json.loads(json.dumps(asdict(epoch))))) == repr(epoch)  # repr tells NaN and -0.0 apart


def test_an_epoch_without_validation_is_read_from_its_metrics() -> None:
    epoch = EpochResult(
        epoch=2, train_loss=0.5, train_accuracy=0.75, val_loss=None, val_accuracy=None, lr=0.1, seconds=3.0
    )
    assert epoch_of({"epoch": 2, **epoch.metrics()}) == epoch


def test_every_state_of_optuna_has_its_word() -> None:
    assert {OPTUNA_STATES[STATE_WORDS[state]]: state for state in TrialState} == {state: state for state in TrialState}
    assert list(OPTUNA_STATES) == ["finished", "pruned", "failed", "running", "waiting"]


def test_a_trial_is_read_with_all_that_was_stored() -> None:
    epochs = [
        EpochResult(epoch=n, train_loss=1.0, train_accuracy=0.5, val_loss=0.5, val_accuracy=n / 4, lr=0.1, seconds=n)
        for n in (1, 2)
    ]
    lr = FloatDistribution(0.0, 1.0)
    stored = create_trial(
        value=0.5,
        params={"lr": 0.1},
        distributions={"lr": lr},
        intermediate_values={1: 0.25, 2: 0.5},
        user_attrs={
            "epochs": [asdict(epoch) for epoch in epochs],
            "best_epoch": 2,
            "planned_epochs": 5,
            "patience": 3,
            "replicate_of": 0,
            "mlflow_run": "abc",
            "reason": "because",
        },
    )
    stored.number = 4
    stored.datetime_start, stored.datetime_complete = datetime(2026, 5, 1), datetime(2026, 5, 2)  # noqa: DTZ001
    trial = trial_of(stored)
    assert (trial.number, trial.state, trial.value) == (4, "finished", 0.5)
    assert (trial.params, trial.distributions) == ({"lr": 0.1}, {"lr": lr})
    assert (trial.reported, trial.epochs, trial.best_epoch, trial.seconds) == (2, tuple(epochs), 2, 3.0)
    assert (trial.planned_epochs, trial.patience, trial.replicate_of) == (5, 3, 0)
    assert (trial.mlflow_run, trial.reason) == ("abc", "because")
    assert (trial.started, trial.ended) == (stored.datetime_start, stored.datetime_complete)


@pytest.mark.parametrize(
    ("state", "value", "kept"),
    [
        (TrialState.COMPLETE, 0.5, 0.5),
        (TrialState.COMPLETE, math.inf, None),
        (TrialState.PRUNED, 0.5, None),
        (TrialState.FAIL, None, None),
    ],
)
def test_only_a_finished_trial_has_a_value_and_only_a_finite_one(
    state: TrialState, value: float | None, kept: float | None
) -> None:
    assert trial_of(create_trial(state=state, value=value)).value == kept
