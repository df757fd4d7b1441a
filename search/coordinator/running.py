"""Run a study: check everything first, then open both stores, prepare the images and start the workers."""

from collections.abc import Callable

from ...datasets import Prepared, Progress
from ..errors import NothingStoredError
from ..launchers.machine import Machine, devices_of, launcher_of
from ..stores import optuna_store as stores
from ..stores.addresses import make_state_folder
from ..stores.comparable import check_comparable
from ..stores.mlflow_tracker import MlflowTracker
from ..stores.places import Places, check_places, prepared_data
from ..study.study import Study
from .checks import check_models, check_study, check_weights
from .coordinator import Coordinator, Observer, Outcome


def run_study(
    study: Study,
    *,
    places: Places,
    machine: Machine,
    observer: Observer,
    on_decoded: Progress | None = None,
    on_start: Callable[[Coordinator], None] = lambda _: None,
) -> Outcome:
    """Search until the study's budget is spent.

    Args:
        study: what to search; trials that are stored count.
        places: where things lie.
        machine: what may be used.
        observer: who watches.
        on_decoded: told how many images of how many are decoded.
        on_start: gets the coordinator before it runs, so that a signal handler can stop it.

    Raises:
        OptrackError: bad input, or a store that does not answer; before anything is written where that can be known.
    """
    check_study(study)
    check_places(places)
    devices = devices_of(machine, most=study.budget.trials * len(study.families))
    data = prepared_data(study, places, on_decoded)
    for family in study.families:
        check_models(family, data.input_shape, len(data.classes))
        check_weights(family, data.input_shape, len(data.classes))
    _check_stored(study, data, places.storage)
    with stores.owned(places.storage, study.name), launcher_of(machine, devices) as launcher:
        coordinator = Coordinator(
            study,
            # Workers import torch while the stores are opened.
            storage=stores.open_storage(places.storage),
            tracker=MlflowTracker(places.tracking_uri, study, data),
            launcher=launcher,
            data=data,
            weights=make_state_folder(places.storage) / "weights" / study.name,
            observer=observer,
        )
        on_start(coordinator)
        return coordinator.run()


def _check_stored(study: Study, data: Prepared, url: str) -> None:
    try:
        storage = stores.read_storage(url)
    except NothingStoredError:
        return
    check_comparable(study, data, stores.stored_families(storage, study.name))
