"""What is read out of a stored study: where it stands, and which configuration of each family is best."""

from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from .optuna_store import StoredFamily


def status(study: str, families: Sequence[StoredFamily]) -> dict[str, Any]:
    """Trials by state and the best one, family by family, as `optrack status --json` prints it.

    Interrupted trials and start configurations that wait for their turn are counted beside the total, not in it.
    """
    return {"study": study, "families": [_family_status(family) for family in families]}


def best(study: str, families: Sequence[StoredFamily]) -> dict[str, Any]:
    """The best configuration of each family with a finished trial, as `optrack best --json` prints it."""
    return {
        "study": study,
        "metric": families[0].study.metric,
        "families": [
            {"family": family.name, **_trial(trial), "mlflow_run": trial.user_attrs.get("mlflow_run")}
            for family in families
            if (trial := family.best) is not None
        ],
    }


def _family_status(family: StoredFamily) -> dict[str, Any]:
    counts = {
        "finished": len(family.in_state(TrialState.COMPLETE)),
        "pruned": len(family.in_state(TrialState.PRUNED)),
        "failed": len(family.in_state(TrialState.FAIL)),
        "running": len(family.in_state(TrialState.RUNNING)),
    }
    waiting = len(family.in_state(TrialState.WAITING))
    return {
        "family": family.name,
        "trials": {"total": sum(counts.values()), **counts, "waiting": waiting},
        "epochs": sum(len(trial.intermediate_values) for trial in family.trials),
        "best": None if family.best is None else _trial(family.best),
    }


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "value": trial.value,
        "epoch": trial.user_attrs.get("best_epoch"),
        "params": trial.params,
    }
