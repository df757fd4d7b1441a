from typing import Any

from optuna.trial import TrialState

from optrack.search import Data, Family, Float, Study
from optrack.search.coordinator.strategies import suggest
from optrack.search.stores.optuna_store import (
    STUDY_ATTRIBUTE,
    StoredFamily,
    open_family,
    open_storage,
    queue_again,
    stored_families,
)
from optrack.search.stores.summary import best, status

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
        open_family(storage, study, family).set_user_attr(STUDY_ATTRIBUTE, study.to_json())
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
            queue_again(storage, trial)
        elif state != TrialState.RUNNING:
            opened.tell(trial, value, state=state)
    return stored_families(storage, "s")


def test_status_counts_trials_by_state_and_waiting_ones_beside_the_total(url: str) -> None:
    answer = status("s", stored(url))
    busy, idle = answer["families"]
    assert answer["study"] == "s"
    assert busy["family"] == "busy"
    assert busy["trials"] == {"total": 5, "finished": 2, "pruned": 1, "failed": 1, "running": 1, "waiting": 1}
    assert busy["epochs"] == 12
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
