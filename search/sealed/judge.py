"""Test what was retrained, compare the families, and mark the winner in the registry."""

from collections.abc import Callable, Sequence

from ...datasets import Progress
from ..champions import set_best
from ..coordinator import check_comparable
from ..errors import NothingStoredError
from ..results import StudyResults, TestResult, Verdict, collect, recorded_runs, retrained_models, verdict
from ..stores import (
    ModelRun,
    Places,
    RunStore,
    StoredFamily,
    check_places,
    check_searched,
    owned,
    prepared_data,
    relocated,
    whole_study,
)
from ..study import Study
from .sealed_test import evaluate_models
from .unrecorded import Unrecorded


def judge_study(
    stored: Sequence[StoredFamily],
    *,
    only: Sequence[str] | None = None,
    file: Study | None = None,
    again: bool = False,
    margin: float,
    places: Places,
    on_decoded: Progress | None = None,
    on_noticed: Callable[[str], None] = lambda _: None,
    on_tested: Callable[[ModelRun, TestResult], None],
) -> tuple[StudyResults, Verdict]:
    """Test the models that were not tested yet, and compare all families that were.

    Args:
        stored: all families of a study.
        only: names of those to test, each with a retrained model; None for all that have one.
        file: the study as its file is by now, if there is one: where its images and user-defined networks lie, should
            they have moved.
        again: also test those that were tested; it is counted and shown from then on.
        margin: the least difference of two families that matters, as a share.
        places: where things lie.
        on_decoded: called with (decoded, total) image counts.
        on_noticed: called with what users should know.
        on_tested: called with each result.

    Raises:
        NothingStoredError: there is nothing to test; nothing is written.
        OptrackError: a store does not answer, or the models do not fit the test part.
        DataError: there is no test part, or something is wrong with its files.
    """
    chosen = [family for family in stored if only is None or family.name in only]
    names, known = [family.name for family in chosen], whole_study(stored)
    study = relocated(known, file, places)
    check_searched([family for family in chosen if not family.best_apart])  # others may be retrained already
    check_places(places)
    runs = recorded_runs(places.tracking_uri, study.name)
    models = {} if runs is None else _models(runs, names)
    missing = [name for name in names if not models.get(name)]
    if runs is None or len(missing) == len(names) or (only is not None and missing):
        raise NothingStoredError(
            f"family {missing[0]!r} of study {study.name!r} has no retrained model: `optrack retrain {study.name}` "
            "makes it"
        )
    unrecorded = Unrecorded.beside(places.storage, study.name)
    found = [model for family in models.values() for model in family]
    if again or any(not model.tested or unrecorded.of(model.run_id) for model in found):
        if study != known:
            for line in check_comparable(study, prepared_data(study, places, on_decoded), stored):
                on_noticed(line)
        with owned(places.storage, study.name):
            evaluate_models(
                study,
                _models(runs, names),  # once more, now that nobody else can be testing
                runs=runs,
                places=places,
                again=again,
                on_decoded=on_decoded,
                on_tested=on_tested,
            )
    results = collect(stored, storage=places.storage, tracking_uri=places.tracking_uri)
    tests = {family.name: family.tests for family in results.families}
    judged = verdict(tests, by_validation=results.by_validation, margin=margin)
    set_best(places.tracking_uri, study.name, judged.winner)
    return results, judged


def _models(runs: RunStore, names: Sequence[str]) -> dict[str, list[ModelRun]]:
    found = retrained_models(runs, runs.families())
    return {name: found.get(name, []) for name in names}
