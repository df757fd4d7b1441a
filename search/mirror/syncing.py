"""Make MLflow equal to Optuna's storage while no search runs."""

from ..stores import (
    DATA_RECORD,
    NONE,
    Records,
    open_storage,
    owned,
    remembering,
    stored_families,
    whole_study,
)
from .best_trial import BestTrial
from .mlflow_tracker import MlflowTracker
from .reconciler import Mended, Reconciler


def sync_study(study: str, *, storage_url: str, tracking_uri: str) -> Mended:
    """Compare all that is stored of a study with MLflow, value by value, and mend MLflow.

    Raises:
        StorageError: the study is being run by another process, which keeps MLflow equal itself.
        TrackingError: MLflow does not answer.
    """
    with owned(storage_url, study):
        storage = open_storage(storage_url)
        for family in stored_families(storage, study, removed=True):
            Records.of(storage, family.optuna_study.study_name).identify()
        families = stored_families(storage, study, removed=True)
        if not families:  # a kill left it without a trial
            return Mended()
        present = [family for family in families if not family.is_removed] or families
        reconciler = Reconciler(
            tracker=MlflowTracker(tracking_uri, whole_study(present), present[0].kept.get(DATA_RECORD, NONE)),
            best=BestTrial.beside(storage_url, study),
            remember=remembering(storage, study),
            thorough=True,
            alive=False,
        )
        for family in families:
            reconciler.study(family)
        return reconciler.mended
