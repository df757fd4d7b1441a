"""The top of the page: where the study stands, which family is best, and what that rests on."""

from contextlib import suppress
from dataclasses import dataclass

from ..errors import StudyError
from ..results import FEW_GROUPS, FamilyResult, FamilyScore, StudyResults, Verdict, margin_text, verdict
from ..text import METRIC_NAMES, count, listing, metric_text, plural
from .commands import Commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a study: how far it has got, whether all families have been through it, and the command for it."""

    name: str
    state: str
    done: bool
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Which family is best: the answer in one sentence, and what it rests on.

    Two sentences for each pair of families stand beside it, of the families and of their champions as they are, and
    cautions: reasons to read less into it than it seems.
    """

    sentence: str
    basis: str
    comparisons: tuple[tuple[str, str], ...] = ()
    cautions: tuple[str, ...] = ()


def judgement(results: StudyResults, commands: Commands, *, margin: float) -> Judgement:
    """Say which family is best, and what the test shows of it where there was one; the margin as a share."""
    tested = {family.name: family.tests for family in results.families if family.champion_test}
    if not tested:
        return _before_the_test(results, commands)
    try:
        found = verdict(tested, by_validation=results.by_validation, margin=margin)
    except StudyError as error:
        return Judgement(sentence="The families cannot be compared.", basis=f"{error}.", cautions=_openings(results))
    return Judgement(
        sentence=f"{found.sentence}.",
        basis=_basis(found, METRIC_NAMES[results.study.metric], margin),
        comparisons=tuple(
            (f"{pair.sentence}.", f"{pair.champions_sentence[0].upper()}{pair.champions_sentence[1:]}.")
            for pair in found.comparisons
        ),
        cautions=(*_openings(results), *_groups(results, found), *_untested(results, commands)),
    )


def scores(results: StudyResults) -> dict[str, FamilyScore]:
    """Return each tested family's score; those whose seeds cannot be compared are left out."""
    found: dict[str, FamilyScore] = {}
    for family in results.families:
        with suppress(StudyError):
            if family.tests:
                tests = {family.name: family.tests}
                found[family.name] = verdict(tests, by_validation=[family.name]).scores[0]
    return found


def best_first(results: StudyResults) -> list[FamilyResult]:
    """Return the families by mean test accuracy, those not tested behind them by what the search found."""
    known = scores(results)

    def merit(family: FamilyResult) -> tuple[bool, float, bool, float]:
        score, candidate = known.get(family.name), family.candidate
        found = 0.0 if candidate is None else results.study.objective.sign * (candidate.value or 0.0)
        return (score is not None, score.mean if score else 0.0, candidate is not None, found)

    return sorted(results.families, key=merit, reverse=True)


def steps(results: StudyResults, commands: Commands) -> tuple[Step, ...]:
    """Return how far each step of the study has got."""
    families, budget = results.families, results.study.budget.trials
    everything = plural(len(families), "family", "families")
    trials = sum(len(family.stored.ended) for family in families)
    searched = [family for family in families if len(family.stored.ended) >= budget]
    retrained = [family for family in families if family.models]
    tested = [family for family in retrained if len(family.tests) == len(family.models)]

    def step(name: str, state: str, done: list[FamilyResult], command: str) -> Step:
        return Step(name=name, state=state, done=bool(families) and len(done) == len(families), command=command)

    def of_all(done: list[FamilyResult], word: str) -> str:
        return f"{len(done)} of {everything} {word}" if done else "not yet"

    asked = budget * len(families)
    of_asked = f"{count(trials)} of {plural(asked, 'trial')} ended"
    ended = of_asked if trials <= asked else f"{plural(trials, 'trial')} ended, and {count(asked)} were asked for"
    ended += f", {count(budget)} for each of {everything}" if len(families) > 1 else ""
    return (
        step("Search", ended, searched, commands.run),
        step("Retraining", of_all(retrained, "retrained"), retrained, commands.retrain),
        step("Test", of_all(tested, "tested"), tested, commands.test),
    )


def _basis(found: Verdict, metric: str, margin: float) -> str:
    seeds = sorted({len(score.accuracies) for score in found.scores})
    models = listing([str(number) for number in seeds])
    pairs = len(found.comparisons)
    correction = f", Holm-corrected over {pairs} pairs" if pairs > 1 else ""
    uncertain = "other test images" if seeds[0] == 1 else "other test images and other trainings"
    compared = (
        f" Pairs: the difference, with a 95 % interval for {uncertain} of the kind{correction}. A difference of less "
        f"than {margin_text(margin)} counts as none that matters."
    )
    groups = "" if found.groups is None else f" in {plural(found.groups, 'group')}"
    return (
        f"Chosen by {metric}; compared by accuracy on {plural(found.images, 'test image')}{groups}, which nothing was "
        f"chosen by: mean over {models} {'seed' if models == '1' else 'seeds'} per family.{compared if pairs else ''}"
    )


def _before_the_test(results: StudyResults, commands: Commands) -> Judgement:
    metric = results.study.metric
    found = [family for family in best_first(results) if family.candidate is not None]
    if not found or found[0].candidate is None:
        return Judgement(sentence="No trial is finished yet.", basis=f"The search goes on with `{commands.run}`.")
    leader = found[0].candidate
    missing = commands.test if found[0].models else commands.retrain
    basis = (
        f"By {METRIC_NAMES[metric]} in the search alone, in its best epoch. As the best of many trials and epochs it "
        f"is too good to be expected of new images, and no verdict: that takes models that are trained again and "
        f"tested. Next: `{missing}`."
    )
    level = [family.name for family in found if family.candidate and family.candidate.value == leader.value]
    leads = f"{level[0]} leads the search" if len(level) == 1 else f"{listing(level)} are level in the search"
    return Judgement(sentence=f"No verdict yet: {leads} with {metric_text(metric, leader.value)}.", basis=basis)


def _openings(results: StudyResults) -> tuple[str, ...]:
    again = [
        f"{family.name}, seed {model.run.number}: {model.test.openings} times"
        for family in results.families
        for model in family.models
        if model.test is not None and model.test.openings > 1
    ]
    if not again:
        return ()
    warning = (
        f"The test part was opened more than once ({'; '.join(again)}): whatever was chosen in between was chosen with "
        "the test images in view, and their figures may be too good."
    )
    return (warning,)


def _groups(results: StudyResults, found: Verdict) -> tuple[str, ...]:
    if found.groups is not None and found.groups < FEW_GROUPS:
        few = plural(found.groups, "group")
        return (f"The test images come in {few} that belong together: intervals are shorter than they should be.",)
    if found.groups is None and results.study.data.group_pattern is not None:
        unknown = "The test was recorded without the groups of its images: they count as independent here"
        return (f"{unknown}, and intervals are too short.",)
    return ()


def _untested(results: StudyResults, commands: Commands) -> tuple[str, ...]:
    missing = [family for family in results.families if family.champion_test is None]
    if not missing:
        return ()
    to_retrain = [family.name for family in missing if not family.models]
    words = f"Not in the verdict, as not tested: {listing([family.name for family in missing])}."
    needed = [*([commands.retrain] if to_retrain else []), commands.test]
    return (f"{words} Next: {' and then '.join(f'`{command}`' for command in needed)}.",)
