"""The top of the page: where the study stands, which family is best, and what that rests on."""

from contextlib import suppress
from dataclasses import dataclass

from ..errors import StudyError
from ..results import FamilyResult, FamilyScore, StudyResults, Verdict, verdict
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

    A sentence for each pair of families stands beside it, and cautions: reasons to read less into it than it seems.
    """

    sentence: str
    basis: str
    comparisons: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def judgement(results: StudyResults, commands: Commands) -> Judgement:
    """Say which family is best: by the test where there is one, else by the search."""
    tested = {family.name: family.tests for family in results.families if family.champion_test}
    if not tested:
        return _before_the_test(results, commands)
    try:
        found = verdict(tested)
    except StudyError as error:
        return Judgement(sentence="The families cannot be compared.", basis=f"{error}.", cautions=_openings(results))
    images = len(next(iter(tested.values()))[0].labels)
    return Judgement(
        sentence=f"{found.sentence}.",
        basis=_basis(found, images),
        comparisons=tuple(f"{comparison.sentence}." for comparison in found.comparisons),
        cautions=(*_openings(results), *_untested(results, commands)),
    )


def scores(results: StudyResults) -> dict[str, FamilyScore]:
    """Return each tested family's score; those whose seeds cannot be compared are left out."""
    found: dict[str, FamilyScore] = {}
    for family in results.families:
        with suppress(StudyError):
            if family.tests:
                found[family.name] = verdict({family.name: family.tests}).scores[0]
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


def _basis(found: Verdict, images: int) -> str:
    seeds = sorted({len(score.accuracies) for score in found.scores})
    models = listing([str(number) for number in seeds])
    pairs = len(found.comparisons)
    correction = f", Holm-corrected over {pairs} pairs" if pairs > 1 else ""
    compared = (
        f" Pairs: difference of the means with a 95 % paired bootstrap interval, and McNemar's exact test between the "
        f"champions{correction}."
    )
    return (
        f"By accuracy on {plural(images, 'test image')}, which nothing was chosen by; mean over {models} "
        f"{'seed' if models == '1' else 'seeds'} per family.{compared if pairs else ''}"
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


def _untested(results: StudyResults, commands: Commands) -> tuple[str, ...]:
    missing = [family for family in results.families if family.champion_test is None]
    if not missing:
        return ()
    to_retrain = [family.name for family in missing if not family.models]
    words = f"Not in the verdict, as not tested: {listing([family.name for family in missing])}."
    needed = [*([commands.retrain] if to_retrain else []), commands.test]
    return (f"{words} Next: {' and then '.join(f'`{command}`' for command in needed)}.",)
