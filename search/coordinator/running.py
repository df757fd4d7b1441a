"""Run a study: check everything first, then open both stores, prepare the images and start the workers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import NothingStoredError
from ..launchers import Machine, Outcome, devices_of, launcher_of
from ..mirror import BestTrial, LiveMirror, Reconciler
from ..stores import (
    Places,
    StoredFamily,
    check_places,
    data_record,
    make_state_folder,
    owned,
    prepared_data,
    remembering,
)
from ..stores import optuna_store as stores
from ..study import Study
from .changes import changes
from .checks import check_models, check_study, fetch_weights
from .comparable import refused, relocations
from .coordinator import Coordinator
from .observer import Observer


def run_study(
    study: Study,
    *,
    only: Sequence[str] | None = None,
    places: Places,
    machine: Machine,
    observer: Observer,
    retry_failed: bool = False,
    on_start: Callable[[Callable[[], None]], None] = lambda _: None,
) -> Outcome:
    """Search until the study's budget is spent.

    What has changed since the study was last run is said first. Families whose new trials could not be compared with
    their stored ones are not searched, and the others are.

    Args:
        study: what to search; stored trials count.
        only: names of the families to search; None is all.
        places: where the stores and the data are.
        machine: what may be used.
        observer: watches.
        retry_failed: train failed trials again.
        on_start: called before it runs with what stops it, for a signal handler.

    Raises:
        OptrackError: bad input, or a store that does not answer; if possible before anything is written.
    """
    members = [family.name for family in study.families]
    whole, study = study, _with_families(study, members if only is None else only)
    check_study(study)
    check_places(places, mlflow_answers=False)
    devices = devices_of(machine, most=study.budget.trials * len(study.families))
    data = prepared_data(study, places, observer.decoded)
    for family in study.families:
        check_models(family, data.input_shape, len(data.classes))
        fetch_weights(family, data.input_shape, len(data.classes))
    stored = _stored(places, study)
    present = [family for family in stored if family.name in members]
    not_comparable = refused(study, data, present)
    for family, difference in not_comparable.items():
        observer.family_refused(family, difference)
    study = _with_families(study, [family.name for family in study.families if family.name not in not_comparable])
    unchanged = [family for family in present if family.name not in not_comparable]
    for line in [*relocations(study, unchanged), *changes(study, whole.families, stored)]:
        observer.noticed(line)
    with owned(places.storage, study.name) as ownership, launcher_of(machine, devices) as launcher:
        storage = stores.open_storage(places.storage, ownership)  # workers import torch meanwhile
        stores.note_members(storage, stored, members)
        stores.start_over(storage, study, failed=retry_failed)
        best = BestTrial.beside(places.storage, study.name)

        reader = stores.read_storage(places.storage)  # with connections of its own, for the mirror's thread

        def reconciler() -> Reconciler:
            from ..mirror import MlflowTracker  # imports MLflow, which takes seconds

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
            members=members,
            also_mirrored=[family.name for family in stored if family.is_removed or family.name not in members],
        )
        on_start(coordinator.stop)
        return replace(coordinator.run(), refused=not_comparable)


def _with_families(study: Study, names: Sequence[str]) -> Study:
    known = {family.name: family for family in study.families}
    return replace(study, families=[known[name] for name in names])


def _stored(places: Places, study: Study) -> Sequence[StoredFamily]:
    """Return all families of a study that are stored, those that it has not any more included."""
    try:
        return stores.stored_families(stores.read_storage(places.storage), study.name, removed=True)
    except NothingStoredError:
        return ()
