"""Test what was retrained, compare the families, and mark the winner in the registry."""

from collections.abc import Callable, Sequence

from ...datasets import Progress
from ..champions.registry import set_best
from ..errors import NothingStoredError
from ..results.collecting import collect
from ..results.values import FamilyResult, RetrainedModel, StudyResults, TestResult
from ..results.verdict import Verdict, verdict
from ..stores.candidates import check_searched
from ..stores.model_runs import ModelRuns
from ..stores.optuna_store import owned
from ..stores.places import Places, check_places
from ..stores.trials import StoredFamily
from .sealed_test import evaluate_models


def judge_study(
    stored: Sequence[StoredFamily],
    *,
    only: Sequence[str] | None = None,
    again: bool = False,
    places: Places,
    on_decoded: Progress | None = None,
    on_tested: Callable[[FamilyResult, RetrainedModel, TestResult], None],
) -> tuple[StudyResults, Verdict]:
    """Test the models that were not tested yet, and compare all families that were.

    Args:
        stored: all families of a study.
        only: names of those to test, each with a retrained model; None for all that have one.
        again: test those that were tested, too; it is counted and shown from then on.
        places: where things lie.
        on_decoded: told how many images of how many are decoded.
        on_tested: told each result.

    Raises:
        NothingStoredError: there is nothing to test; nothing is written.
        OptrackError: a store does not answer, or the models do not fit the test part.
        DataError: there is no test part, or something is wrong with its files.
    """
    chosen = [family for family in stored if only is None or family.name in only]
    names, study = [family.name for family in chosen], stored[0].study.name
    check_searched(chosen)
    check_places(places)
    results = collect(stored, storage=places.storage, tracking_uri=places.tracking_uri)
    families = [family for family in results.families if family.name in names]
    missing = [family.name for family in families if not family.models]
    if len(missing) == len(families) or (only is not None and missing):
        raise NothingStoredError(
            f"family {missing[0]!r} of study {study!r} has no retrained model: `optrack retrain {study}` makes it"
        )
    if again or any(model.test is None for family in families for model in family.models):
        with owned(places.storage, study):
            # Once more, now that nobody else can be testing.
            results = collect(stored, storage=places.storage, tracking_uri=places.tracking_uri)
            evaluate_models(
                results.study,
                [family for family in results.families if family.name in names],
                runs=ModelRuns(places.tracking_uri, study),
                places=places,
                again=again,
                on_decoded=on_decoded,
                on_tested=on_tested,
            )
            results = collect(stored, storage=places.storage, tracking_uri=places.tracking_uri)
    judged = verdict({family.name: family.tests for family in results.families})
    set_best(places.tracking_uri, study, judged.winner)
    return results, judged
