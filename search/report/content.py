"""All that the page says, as values: the templates only lay it out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ..importance import figures, importances
from ..pages import Drawing, Table
from ..pictures import family_drawings, study_drawings
from ..results import FamilyResult, StudyResults
from ..stores import shown
from ..study import Study
from ..text import METRIC_NAMES, metric_text, plural, setting_texts
from .commands import Commands, commands
from .facts import days, facts, provenance
from .images import Picture, pictures
from .overview import Judgement, Standing, Step, best_first, judgement, scores, standing, steps
from .replicates import noise
from .spaces import SpaceRow, space_rows
from .tables import cost_table, model_table, race_table, replicate_table


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySection:
    """What the page says about one family.

    Args:
        name: of the family.
        anchor: where links lead.
        architecture: a registered name.
        trials: how many there are, by state, in words.
        champion: whose configuration is trained again; empty while no trial is finished.
        searched: settings that the search chose.
        fixed: settings that the study gives.
        outside: whether the family was left out of the last run.
        raced: the race over fresh seeds; None without one.
        models: the retrained ones; None while there are none.
        version: of the champion in MLflow's registry; empty where it is not there.
        space: a row for each hyperparameter.
        at_edge: names of those whose champion lies at the edge of their range.
        drawings: figures and tables.
        pictures: of the champion.
        importance: Optuna's ranking, with what is to be said beside it.
        optuna: Optuna's other figures.
        replicates: trials that repeat a configuration; None without any.
    """

    name: str
    anchor: str
    architecture: str
    trials: str
    champion: str
    searched: Sequence[str]
    fixed: Sequence[str]
    outside: bool
    raced: Table | None
    models: Table | None
    version: str
    space: Sequence[SpaceRow]
    at_edge: Sequence[str]
    drawings: Sequence[Drawing | Table]
    pictures: Sequence[Picture]
    importance: Drawing
    optuna: Sequence[Drawing]
    replicates: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The whole page.

    Args:
        study: its name.
        data: name of the data set.
        searched_on: days of the first and the last trial, in words; empty without any.
        judgement: who is best.
        steps: where the study stands.
        standings: a row for each family, the best first.
        latency_device: where latencies were measured; empty where none was.
        facts: what was searched, name and text.
        drawings: figures across families.
        families: a section for each, the best first.
        cost: what was spent.
        provenance: where it comes from, name and text.
        versions: packages and their versions.
        commands: that lead to this page.
        study_json: the study.
    """

    study: str
    data: str
    searched_on: str
    judgement: Judgement
    steps: Sequence[Step]
    standings: Sequence[Standing]
    latency_device: str
    facts: Sequence[tuple[str, str]]
    drawings: Sequence[Drawing | Table]
    families: Sequence[FamilySection]
    cost: Table | None
    provenance: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    commands: Commands
    study_json: str

    @property
    def all_drawings(self) -> list[Drawing]:
        """The figures in the order in which the templates lay them out."""
        ordered = [*self.drawings]
        for family in self.families:
            ordered += [*family.drawings, family.importance, *family.optuna]
        return [drawing for drawing in ordered if isinstance(drawing, Drawing)]


def content(results: StudyResults, *, reference: str) -> Content:
    """Return all that is known of a study, and what is not known yet.

    Args:
        results: of the study, at any moment.
        reference: how the user names it on the command line.
    """
    # A page may be passed on: no password of an address is shown.
    results = replace(results, tracking_uri=shown(results.tracking_uri))
    typed, known = commands(results, reference), scores(results)
    ordered = [(family, f"family-{number}") for number, family in enumerate(best_first(results), start=1)]
    devices = {family.latency_device for family in results.families if family.latency_device}
    return Content(
        study=results.study.name,
        data=results.study.data.name,
        searched_on=days(results),
        judgement=judgement(results, typed),
        steps=steps(results, typed),
        standings=[standing(family, known.get(family.name), anchor) for family, anchor in ordered],
        latency_device=", ".join(sorted(devices)),
        facts=facts(results),
        drawings=study_drawings(results),
        families=[_section(family, anchor, results.study) for family, anchor in ordered],
        cost=cost_table([family for family, _ in ordered]),
        provenance=provenance(results),
        versions=list(results.versions.items()),
        commands=typed,
        study_json=results.study.to_json(),
    )


def _section(result: FamilyResult, anchor: str, study: Study) -> FamilySection:
    stored, candidate = result.stored, result.candidate
    family = stored.family
    trial = None if candidate is None else next(trial for trial in stored.trials if trial.number == candidate.trial)
    space = space_rows(stored, family, trial)
    found = importances(stored.optuna_study)
    importance, *others = figures(stored.optuna_study, metric=study.metric, importances=found)
    repeated = noise(stored)
    return FamilySection(
        name=result.name,
        anchor=anchor,
        architecture=family.architecture,
        trials=_trials(result),
        champion=_champion(result),
        searched=setting_texts({} if candidate is None else candidate.params),
        fixed=setting_texts(family.options),
        outside=all(other.name != result.name for other in study.families),
        raced=race_table(result),
        models=model_table(result),
        version=result.version or "",
        space=space,
        at_edge=[row.name for row in space if row.edge],
        drawings=family_drawings(result),
        pictures=pictures(result),
        importance=importance,
        optuna=others,
        replicates=None if repeated is None else replicate_table(repeated, stored.study),
    )


def _trials(result: FamilyResult) -> str:
    by_state = result.stored.counts
    total = plural(sum(by_state.values()), "trial")
    parts = ", ".join(f"{number:,} {word}" for word, number in by_state.items() if number)
    return f"{total}: {parts}" if parts else total


def _champion(result: FamilyResult) -> str:
    """Say whose configuration is trained again, and how it was chosen."""
    candidate = result.candidate
    if candidate is None:
        return ""
    metric = result.stored.study.metric
    return (
        f"The configuration of trial {candidate.trial}, {_choice(result, candidate.trial)}: {METRIC_NAMES[metric]} "
        f"{metric_text(metric, candidate.value)} in epoch {candidate.epoch} of {len(candidate.epochs)}"
    )


def _choice(result: FamilyResult, trial: int) -> str:
    means = {number: fmean(values) for number, values in result.raced.items() if values}
    if result.stored.study.objective.best_of(means, means.get) == trial:
        return "the winner of the race"
    if result.stored.best is None or result.stored.best.number == trial:
        return "the best of the search"
    return f"chosen before the search found trial {result.stored.best.number}"
