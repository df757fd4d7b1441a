"""`optrack test`: open the test images, once, and compare the families."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from ..text import NOTHING, percent, percent_range, short
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
from .output import console, print_json, print_table
from .process import place_options, print_next
from .stored import chosen_families, stored_study

if TYPE_CHECKING:
    from ..results import StudyResults, TestResult, Verdict
    from ..stores import ModelRun, Places

EXAMPLES = 10
"""How many images the next command names, of those that no search has seen."""


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
    only = [each.name for each in chosen_families(stored, family)] if family else None

    from ..sealed import judge_study
    from ..stores import Places
    from .progress import decoding

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    with decoding() as decoded:
        results, judged = judge_study(
            stored, only=only, again=again, places=places, on_decoded=decoded, on_tested=_say_tested
        )
    if as_json:
        print_json({"study": name, **judged.as_json()})
        return
    _print(name, results, judged)
    print_next(_next_commands(study, results.study.data.name, places))


def _next_commands(reference: str, dataset: str, places: "Places") -> list[tuple[str, str]]:
    """Return what makes sense after a test: the page, and predictions of the winner."""
    from ...datasets.folders.test_list import listed_images

    reference = shlex.quote(reference)
    records = place_options(places, data=False)
    paths = shlex.join(map(str, listed_images(dataset, EXAMPLES))) or "PATH..."
    return [
        (f"optrack report {reference}{records}", "one page about all of it"),
        (
            f"optrack predict {reference} {paths}{place_options(places, storage=False, data=False)}",
            "what the winner makes of images",
        ),
        (f"optrack serve {reference}{records}", "the same, on a page for dropping images on"),
    ]


def _say_tested(model: "ModelRun", result: "TestResult") -> None:
    opened = "" if result.openings == 1 else f", opened {result.openings} times"
    line = f"{model.family}, seed {model.number}: test accuracy {short(result.accuracy)}{opened}"
    console(stderr=True).print(line, markup=False)


def _print(name: str, results: "StudyResults", judged: "Verdict") -> None:
    """Print the table of families, best first, and a sentence for each pair."""
    by_name = {family.name: family for family in results.families}
    rows: list[list[str]] = []
    for score in judged.scores:
        family = by_name[score.name]
        reported = family.reference.test if family.reference else None
        spread = NOTHING if score.deviation is None else percent_range(score.lowest, score.highest, sign=False)
        rows.append(
            [
                score.name,
                percent(score.mean, sign=False),
                spread,
                percent(score.champion, sign=False),
                percent(reported, sign=False),
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
