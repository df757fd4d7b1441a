"""Make MLflow equal to Optuna's storage while no search runs."""

from ..stores import (
    DATA_RECORD,
    NONE,
    RUN_RECORD,
    MlflowTracker,
    Records,
    open_storage,
    owned,
    stored_families,
    whole_study,
)
from .best_trial import BestTrial
from .reconciler import Mended, Reconciler


def sync_study(study: str, *, storage_url: str, tracking_uri: str) -> Mended:
    """Compare all that is stored of a study with MLflow, value by value, and mend MLflow.

    Raises:
        StorageError: the study is being run by another process, which keeps MLflow equal itself.
        TrackingError: MLflow does not answer.
    """
    with owned(storage_url, study):
        storage = open_storage(storage_url)
        records = {
            family.name: Records.of(storage, f"{study}/{family.name}") for family in stored_families(storage, study)
        }
        for each in records.values():
            each.identify()
        families = stored_families(storage, study)
        reconciler = Reconciler(
            tracker=MlflowTracker(tracking_uri, whole_study(families), families[0].kept.get(DATA_RECORD, NONE)),
            best=BestTrial.beside(storage_url, study),
            remember=lambda family, trial, run_id: records[family].write({RUN_RECORD: run_id}, trial),
            thorough=True,
            alive=False,
        )
        for family in families:
            reconciler.study(family)
        return reconciler.mended
