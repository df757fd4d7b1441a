"""`optrack test`: open the test images, once, and compare the families."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..text import METRIC_NAMES, NOTHING, metric_text, percent, percent_range, short
from . import options
from .output import console, print_json, say
from .process import command, mlflow_waited_for, print_next, resuming
from .stored import chosen, stored_study, study_file
from .tables import print_table

if TYPE_CHECKING:
    from ..results import StudyResults, TestResult, Verdict
    from ..stores import ModelRun, Places

EXAMPLES = 10
"""How many images the next command names, of those that no search has seen."""


def test(
    context: typer.Context,
    study: options.StudyArgument,
    *,
    family: options.FamilyOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Open the test images once more; it is counted, and shown from then on.")
    ] = False,
    margin: options.MarginOption = options.DEFAULT_MARGIN_POINTS,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    cache_dir: options.CacheDirOption = options.DEFAULT_CACHE_DIR,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.DEFAULT_WAIT_SECONDS,
    as_json: options.JsonOption = False,
) -> None:
    """Test each retrained model once, and say which family is best and how sure that is.

    What was tested before is shown, not tested again.
    """
    name, stored = stored_study(study, storage)
    only = [each.name for each in chosen(stored, family)] if family else None

    from ..sealed import judge_study
    from ..stores import Places
    from .progress import decoding

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    again_typed = resuming(context, places, study)
    with decoding() as decoded, mlflow_waited_for(wait, again_typed, resumes=True):
        results, judged = judge_study(
            stored,
            only=only,
            file=study_file(study),
            again=again,
            margin=margin / 100,
            places=places,
            on_decoded=decoded,
            on_noticed=say,
            on_tested=_say_tested,
        )
    if as_json:
        print_json({"study": name, **judged.as_json()})
        return
    _print(name, results, judged)
    print_next(_next_commands(study, results.study.data.name, places))


def _next_commands(reference: str, dataset: str, places: "Places") -> list[tuple[str, str]]:
    """Return what makes sense after a test: the page, and predictions of the winner."""
    from ...datasets.folders import listed_images

    paths = [str(path) for path in listed_images(dataset, EXAMPLES)] or ["PATH..."]
    return [
        (command("report", places, reference), "one page about all of it"),
        (command("predict", places, reference, *paths), "what the winner makes of images"),
        (command("serve", places, reference), "the same, on a page for dropping images on"),
    ]


def _say_tested(model: "ModelRun", result: "TestResult") -> None:
    opened = "" if result.openings == 1 else f", opened {result.openings} times"
    say(f"{model.family}, seed {model.number}: test accuracy {short(result.accuracy)}{opened}")


def _print(name: str, results: "StudyResults", judged: "Verdict") -> None:
    """Print the table of families, best first, and a sentence for each pair."""
    by_name, metric = {family.name: family for family in results.families}, results.study.metric
    rows: list[dict[str, str]] = []
    for score in judged.scores:
        family = by_name[score.name]
        interval = NOTHING if score.interval is None else percent_range(*score.interval, sign=False)
        rows.append(
            {
                "family": score.name,
                f"{METRIC_NAMES[metric]}#": metric_text(metric, family.promise),
                "test %#": percent(score.mean, sign=False),
                "95 %#": interval,
                "champion#": percent(score.champion, sign=False),
                "reported#": percent(family.reference.test if family.reference else None, sign=False),
                "loss#": short(score.mean_loss),
                "ECE#": short(score.calibration_error),
                "parameters#": short(family.parameters),
                "ms/image#": short(family.latency_ms),
                "opened#": str(score.openings),
            }
        )
    print_table(list(rows[0]), [list(row.values()) for row in rows], title=f"{name}: on the test images")
    out = console()
    for sentence in (judged.sentence, *(pair.sentence for pair in judged.comparisons)):
        out.print(sentence, markup=False, soft_wrap=True)
