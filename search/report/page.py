"""The page as HTML."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ..defaults import MARGIN
from ..importance import figures, importances
from ..pages import render
from ..pictures import family_drawings, study_drawings
from ..results import FamilyResult, FamilyScore, StudyResults
from ..stores import shown
from ..text import METRIC_NAMES, metric_text, plural
from . import tables
from .commands import commands
from .facts import days, facts, provenance
from .images import pictures
from .overview import best_first, judgement, scores, steps
from .spaces import space_rows


def render_report(results: StudyResults, *, reference: str, margin: float = MARGIN) -> str:
    """Render a page about a study, at any moment, as HTML that needs no network.

    The reference is how the user names the study on the command line, for the commands that are shown; the margin the
    least difference of two families' accuracies that matters, as a share.
    """
    # A page may be passed on: no password of an address is shown.
    results = replace(results, tracking_uri=shown(results.tracking_uri))
    typed, known, ordered = commands(results, reference, margin=margin), scores(results), best_first(results)
    return render(
        Path(__file__).with_name("report.html"),
        figures=True,
        study=results.study,
        searched_on=days(results),
        judgement=judgement(results, typed, margin=margin),
        steps=steps(results, typed),
        latency_device=", ".join(sorted({family.latency_device for family in ordered if family.latency_device})),
        facts=facts(results),
        drawings=study_drawings(results),
        families=[_section(family, known.get(family.name)) for family in ordered],
        cost=tables.cost_table(ordered),
        provenance=provenance(results),
        versions=results.versions,
        commands=typed,
    )


def _section(result: FamilyResult, score: FamilyScore | None) -> dict[str, Any]:
    """Return what the templates lay out of a family."""
    stored = result.stored
    found = importances(stored.optuna_study)
    return {
        "result": result,
        "score": score,
        "champion": _champion(result),
        "race": tables.race_table(result),
        "models": tables.model_table(result),
        "space": space_rows(stored, result.candidate.params if result.candidate else {}),
        "drawings": family_drawings(result),
        "pictures": pictures(result),
        "optuna": figures(stored.optuna_study, metric=stored.study.metric, importances=found),
        "replicates": tables.replicate_table(stored),
    }


def _champion(result: FamilyResult) -> str:
    """Say whose configuration is trained again, and how it was chosen; empty while no trial is finished."""
    candidate = result.candidate
    if candidate is None:
        return ""
    metric = result.stored.study.metric
    return (
        f"The configuration of trial {candidate.number}, {_choice(result, candidate.number)}: {METRIC_NAMES[metric]} "
        f"{metric_text(metric, candidate.value)} in epoch {candidate.best_epoch} of {len(candidate.epochs)}"
    )


def _choice(result: FamilyResult, trial: int) -> str:
    means = {number: fmean(values) for number, values in result.raced.items() if values}
    if result.stored.study.objective.best_of(means, means.get) == trial:
        return "the winner of the race"
    if any(trial == other.number for other in result.stored.apart):
        return f"chosen before the study had {plural(result.stored.study.budget.epochs, 'epoch')}"
    if result.stored.best is None or result.stored.best.number == trial:
        return "the best of the search"
    return f"chosen before the search found trial {result.stored.best.number}"
