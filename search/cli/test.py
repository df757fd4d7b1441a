"""`optrack test`: open the test images, once, and compare the families."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import NothingStoredError
from .options import (
    DEFAULT_CACHE_DIR,
    DEFAULT_DATA_DIR,
    DEFAULT_STORAGE,
    DEFAULT_TRACKING_URI,
    CacheDirOption,
    DataDirOption,
    FamilyOption,
    JsonOption,
    StorageOption,
    StudyArgument,
    TrackingOption,
)
from .output import console, print_json, print_table, short
from .process import place_options
from .stored import chosen_families, stored_study

if TYPE_CHECKING:
    from ..places import Places
    from ..results import FamilyResult, RetrainedModel, StudyResults, TestResult
    from ..storage import StoredFamily
    from ..verdict import Verdict


def run_test(
    study: StudyArgument,
    *,
    family: FamilyOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Open the test images once more; it is counted, and shown from then on.")
    ] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    cache_dir: CacheDirOption = DEFAULT_CACHE_DIR,
    storage: StorageOption = DEFAULT_STORAGE,
    tracking_uri: TrackingOption = DEFAULT_TRACKING_URI,
    as_json: JsonOption = False,
) -> None:
    """Test each retrained model once, and say which family is best and how sure that is.

    What was tested before is shown, not tested again.
    """
    name, stored = stored_study(study, storage)
    chosen = chosen_families(stored, family)

    from ..collecting import collect
    from ..places import Places, check_places
    from ..registry import set_best
    from ..verdict import verdict

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    check_places(places)
    results = collect(stored, storage=storage, tracking_uri=tracking_uri)
    names = [each.name for each in chosen]
    families = [each for each in results.families if each.name in names]
    unfinished = [each.name for each in chosen if each.best is None]
    if unfinished:
        raise NothingStoredError(
            f"family {unfinished[0]!r} has no finished trial yet: `optrack run {study}` goes on with its search"
        )
    missing = [each.name for each in families if not each.models]
    if len(missing) == len(families) or (family and missing):
        raise NothingStoredError(
            f"family {missing[0]!r} of study {name!r} has no retrained model: `optrack retrain {study}` makes it"
        )
    if again or any(model.test is None for each in families for model in each.models):
        results = _tested(stored, names, places, again=again)
    judged = verdict({each.name: each.tests for each in results.families})
    set_best(tracking_uri, name, judged.winner)
    if as_json:
        print_json({"study": name, **judged.as_json()})
        return
    _print(name, results, judged)
    where = place_options(places, data=False)
    console(stderr=True).print(
        f"Next:\n  optrack report {shlex.quote(study)}{where}  # one page about all of it", markup=False, soft_wrap=True
    )


def _tested(stored: "list[StoredFamily]", names: list[str], places: "Places", *, again: bool) -> "StudyResults":
    """The results with the tests that were missing."""
    from ..collecting import collect
    from ..model_runs import ModelRuns
    from ..sealed_test import evaluate_models
    from ..storage import owned
    from .progress import decoding

    say = console(stderr=True)

    def tested(family: "FamilyResult", model: "RetrainedModel", result: "TestResult") -> None:
        opened = "" if result.openings == 1 else f", opened {result.openings} times"
        say.print(f"{family.name}, seed {model.number}: test accuracy {short(result.accuracy)}{opened}", markup=False)

    study = stored[0].study.name
    with owned(places.storage, study), decoding() as decoded:
        # Once more, now that nobody else can be testing.
        results = collect(stored, storage=places.storage, tracking_uri=places.tracking_uri)
        evaluate_models(
            results.study,
            [family for family in results.families if family.name in names],
            runs=ModelRuns(places.tracking_uri, study),
            places=places,
            again=again,
            on_decoded=decoded,
            on_tested=tested,
        )
        return collect(stored, storage=places.storage, tracking_uri=places.tracking_uri)


def _print(name: str, results: "StudyResults", judged: "Verdict") -> None:
    """The table of families, best first, and a sentence for each pair."""
    by_name = {family.name: family for family in results.families}
    rows: list[list[str]] = []
    for score in judged.scores:
        family = by_name[score.name]
        reported = family.reference.test if family.reference else None
        spread = "-" if score.deviation is None else f"{_percent(score.lowest)} to {_percent(score.highest)}"
        rows.append(
            [
                score.name,
                _percent(score.mean),
                spread,
                _percent(score.champion),
                _percent(reported),
                short(score.mean_loss),
                short(score.calibration_error),
                short(family.parameters),
                short(family.latency_ms),
                str(score.openings),
            ]
        )
    columns = [
        "family",
        "test %#",
        "seeds#",
        "champion#",
        "reported#",
        "loss#",
        "ECE#",
        "parameters#",
        "ms/image#",
        "opened#",
    ]
    print_table(columns, rows, title=f"{name}: on the test images")
    out = console()
    for sentence in (judged.sentence, *(pair.sentence for pair in judged.comparisons)):
        out.print(sentence, markup=False, soft_wrap=True)


def _percent(share: float | None) -> str:
    """A share in per cent.

    >>> _percent(0.9571), _percent(None)
    ('95.71', '-')
    """
    return "-" if share is None else f"{100 * share:.2f}"
