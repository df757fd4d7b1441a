"""Run a study: check everything first, then open both stores, prepare the images and start the workers."""

import os
from collections.abc import Callable
from contextlib import suppress

from ..errors import NothingStoredError
from ..launchers import Machine, Outcome, devices_of, launcher_of
from ..mirror import BestTrial, LiveMirror, Reconciler
from ..stores import Places, check_places, data_record, make_state_folder, owned, prepared_data, remembering
from ..stores import optuna_store as stores
from ..study import Study
from .checks import check_models, check_study, fetch_weights
from .comparable import check_comparable
from .coordinator import Coordinator
from .observer import Observer


def run_study(
    study: Study,
    *,
    places: Places,
    machine: Machine,
    observer: Observer,
    retry_failed: bool = False,
    on_start: Callable[[Callable[[], None]], None] = lambda _: None,
) -> Outcome:
    """Search until the study's budget is spent.

    Args:
        study: what to search; stored trials count.
        places: where the stores and the data are.
        machine: what may be used.
        observer: watches.
        retry_failed: train failed trials again.
        on_start: called before it runs with what stops it, for a signal handler.

    Raises:
        OptrackError: bad input, or a store that does not answer; if possible before anything is written.
    """
    check_study(study)
    check_places(places, mlflow_answers=False)
    devices = devices_of(machine, most=study.budget.trials * len(study.families))
    data = prepared_data(study, places, observer.decoded)
    for family in study.families:
        check_models(family, data.input_shape, len(data.classes))
        fetch_weights(family, data.input_shape, len(data.classes))
    with suppress(NothingStoredError):
        stored = stores.stored_families(stores.read_storage(places.storage), study.name)
        for line in check_comparable(study, data, stored):
            observer.noticed(line)
    with owned(places.storage, study.name) as ownership, launcher_of(machine, devices) as launcher:
        storage = stores.open_storage(places.storage, ownership)  # workers import torch meanwhile
        if retry_failed:
            stores.retry_failed(storage, study)
        best = BestTrial.beside(places.storage, study.name)

        reader = stores.read_storage(places.storage)  # with connections of its own, for the mirror's thread

        def reconciler() -> Reconciler:
            from ..mirror import MlflowTracker  # imports MLflow, which takes seconds

            # MLflow's own patience is minutes, without a word; the mirror's has no end, with one.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
            tracker = MlflowTracker(places.tracking_uri, study, data_record(data))
            return Reconciler(tracker=tracker, best=best, remember=remembering(reader, study.name))

        coordinator = Coordinator(
            study=study,
            storage=storage,
            launcher=launcher,
            data=data,
            best=best,
            mirror=LiveMirror(storage=reader, study=study.name, opened=reconciler, notice=observer.noticed),
            weights=make_state_folder(places.storage) / "weights" / study.name,
            observer=observer,
        )
        on_start(coordinator.stop)
        return coordinator.run()
