"""Which hyperparameters matter: Optuna's importances, and how far they can be trusted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial

from ..errors import StudyError, unknown
from .evaluators import DEFAULT_EVALUATOR, EVALUATORS, Evaluator
from .resampling import intervals
from .trials import finite_trials, quiet_optuna, study_of

MINIMUM_TRIALS = 20
"""Finished trials below which a ranking is not to be trusted: docs/decisions.md has how often it was right."""

_TREES, _FEW_TREES = 64, 8
_CHANCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """How much each hyperparameter of a study matters.

    Attributes:
        values: the share of each ranked parameter, in [0, 1] and 1 in sum, the largest first.
        finished: how many finished trials that rests on.
        left_out: conditional parameters that are not ranked, and how many finished trials have them: too few for
            PED-ANOVA, whose noise is then several times as large; fANOVA and MDI would drop all trials that lack one.
        evaluator: what ranked them.
        intervals: between which shares each one's average over searches with as many trials lies, nine times in ten.
            With more trials the share of what matters grows and the rest shrinks.
        chance: the share that a shuffled copy of each parameter, beside it, stays below 19 times in 20.
    """

    values: Mapping[str, float]
    finished: int
    left_out: Mapping[str, int]
    evaluator: str = DEFAULT_EVALUATOR
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    chance: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def reliable(self) -> bool:
        """Whether there are enough trials for the order to be trusted."""
        return self.finished >= MINIMUM_TRIALS

    @property
    def unproven(self) -> tuple[str, ...]:
        """The parameters whose share one without any effect could have got too, or whose interval reaches down to 0."""
        return tuple(
            name
            for name, level in self.chance.items()
            if self.values[name] <= level or (name in self.intervals and self.intervals[name][0] == 0)
        )

    @property
    def note(self) -> str:
        """What is to be said beside the shares; empty where there is nothing."""
        notes: list[str] = []
        if not self.reliable:
            notes.append(f"too few trials to rank: {self.finished} finished, {MINIMUM_TRIALS} needed")
        if self.left_out:
            names = ", ".join(f"{name} (in {number})" for name, number in self.left_out.items())
            few = f"in fewer than {MINIMUM_TRIALS} of the finished trials"
            partial = f"as {self.evaluator} ranks only what all finished trials have, in one range"
            notes.append(f"left out, {few if EVALUATORS[self.evaluator].conditional else partial}: {names}")
        return "; ".join(notes)

    def interval_text(self, name: str) -> str:
        """Return the interval of a parameter's share as people read it, such as "0.48-0.95"."""
        low, high = self.intervals[name]
        return f"{low:.2f}-{high:.2f}"


def importances(study: optuna.Study, *, evaluator: str = DEFAULT_EVALUATOR) -> Importances:
    """Rank the hyperparameters of a study with one objective, and say how far the ranking can be trusted.

    PED-ANOVA shares out among the parameters what sets the best tenth of the finished trials apart (Watanabe, Bansal,
    Hutter: "PED-ANOVA", IJCAI 2023, arXiv:2304.10255; conditional parameters: arXiv:2601.20800); fANOVA the variance of
    the value, as a random forest sees it (Hutter, Hoos, Leyton-Brown, ICML 2014); MDI how much splits on each parameter
    reduce that variance (Breiman, "Random forests", 2001).

    There are no shares where nothing tells the parameters apart, as with a single trial or with equal values.

    Raises:
        StudyError: the evaluator is none of `EVALUATORS`.
    """
    if evaluator not in EVALUATORS:
        raise StudyError(unknown("evaluator", evaluator, EVALUATORS))
    method = EVALUATORS[evaluator]
    trials = finite_trials(study)
    present = _present(trials, method)
    needed = min(MINIMUM_TRIALS, len(trials)) if method.conditional else len(trials)
    left_out = {name: count for name, count in present.items() if count < needed}
    ranked = [name for name in present if name not in left_out]
    with quiet_optuna():
        sample = _sample_of(trials, [_params_of(trial) for trial in trials], study.direction, method)
        values = _values(sample, ranked)
        return Importances(
            values=values,
            finished=len(trials),
            left_out=left_out,
            evaluator=evaluator,
            intervals=_intervals(sample, values) if values else {},
            chance=_chance(trials, values, study.direction, method) if len(values) > 1 else {},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """Finished trials as an evaluator takes them: copies in memory, numbered from 0 on, with just their parameters.

    The losses are float [N], the trials' values, the lower the better.
    """

    study: optuna.Study
    losses: NDArray[np.float64]
    method: Evaluator

    def evaluate(self, names: Sequence[str], *, trees: int, used: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Return how much each of the parameters matters, not yet as shares; all 0 where nothing tells them apart.

        A forest has so many trees; `used`, bool [N], says which trials to use, None all of them.
        """
        from optuna.importance import get_param_importances

        losses = self.losses if used is None else np.where(used, self.losses, np.nan)  # Optuna drops NaN
        try:
            return get_param_importances(
                self.study,
                evaluator=self.method.make(trees),
                params=sorted(names),  # MDI assigns its results in alphabetical order, whatever is given
                target=lambda trial: float(losses[trial.number]),
                normalize=False,
            )
        except RuntimeError:  # fANOVA raises this where all values are equal
            return dict.fromkeys(names, 0.0)


_Params: TypeAlias = dict[str, tuple[Any, BaseDistribution]]
"""Values of a trial's parameters, each with what it was drawn from."""


def _sample_of(
    trials: Sequence[FrozenTrial], params: Sequence[_Params], direction: StudyDirection, method: Evaluator
) -> _Sample:
    copies = [
        create_trial(
            value=trial.value,
            params={name: value for name, (value, _) in own.items()},
            distributions={name: distribution for name, (_, distribution) in own.items()},
        )
        for trial, own in zip(trials, params, strict=True)
    ]
    values = np.array([trial.value for trial in trials], dtype=np.float64)
    losses = -values if direction == StudyDirection.MAXIMIZE else values
    return _Sample(study=study_of(direction, copies), losses=losses, method=method)


def _params_of(trial: FrozenTrial) -> _Params:
    return {name: (value, trial.distributions[name]) for name, value in trial.params.items()}


def _present(trials: Sequence[FrozenTrial], method: Evaluator) -> dict[str, int]:
    """Count the trials that have a parameter; where one range is needed, those that have it in its most common one."""
    if method.conditional:
        return dict(sorted(Counter(name for trial in trials for name in trial.params).items()))
    ranges = Counter(pair for trial in trials for pair in trial.distributions.items())
    return {name: count for (name, _), count in sorted(ranges.items(), key=lambda item: (item[0][0], item[1]))}


def _shares(importances: Mapping[str, float]) -> dict[str, float]:
    total = sum(importances.values())
    # Optuna, too, makes them equal where it cannot tell them apart.
    return {name: float(value / total) if total > 0 else 1 / len(importances) for name, value in importances.items()}


def _values(sample: _Sample, names: Sequence[str]) -> dict[str, float]:
    if not names:
        return {}
    shares = _shares(sample.evaluate(names, trees=_TREES))
    # Where trials cannot tell parameters apart the shares are equal, to the last bit; by chance they never are.
    undecided = len(shares) > 1 and len(set(shares.values())) == 1
    return {} if undecided else dict(sorted(shares.items(), key=lambda item: item[1], reverse=True))


def _intervals(sample: _Sample, values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    names = list(values)

    def shares_of(used: NDArray[np.bool_]) -> NDArray[np.float64]:
        shares = _shares(sample.evaluate(names, trees=_FEW_TREES, used=used))
        return np.array([shares[name] for name in names])

    method = sample.method
    around = np.array([values[name] for name in names])
    low, high = intervals(
        around,
        shares_of,
        len(sample.losses),
        rounds=method.rounds,
        at_most=method.at_most,
        rng=np.random.default_rng(0),
    )
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def _chance(
    trials: Sequence[FrozenTrial], values: Mapping[str, float], direction: StudyDirection, method: Evaluator
) -> dict[str, float]:
    """Return the share that a copy of each parameter, shuffled among the trials, stays below 19 times in 20.

    It is 1 for a parameter of so few trials that none of them was drawn: nothing is proven of it.
    """
    rng = np.random.default_rng(0)
    chosen = [trials[int(i)] for i in rng.permutation(np.arange(len(trials)))[: method.at_most]]
    params = [_params_of(trial) for trial in chosen]
    names = [name for name in values if any(name in own for own in params)]
    rounds = [_add_shuffled(params, names, number, rng) for number in range(method.shuffles)]
    sample = _sample_of(chosen, params, direction, method)
    found = [sample.evaluate([*names, *shuffled.values()], trees=_FEW_TREES) for shuffled in rounds]
    # Copies take from each other in a forest: they are compared with the originals of the same forests.
    levels = dict.fromkeys(values, 1.0)
    for name in names:
        own = float(np.mean([importances[name] for importances in found]))
        copies = [importances[shuffled[name]] for importances, shuffled in zip(found, rounds, strict=True)]
        if own > 0:
            levels[name] = values[name] * float(np.quantile(copies, _CHANCE)) / own
    return levels


def _add_shuffled(
    params: Sequence[_Params], names: Sequence[str], number: int, rng: np.random.Generator
) -> dict[str, str]:
    """Add each parameter again, shuffled among the trials that have it; return the new names by the old ones."""
    shuffled = {name: f"{name} shuffled {number}" for name in names}
    for name, new in shuffled.items():
        holders = [own for own in params if name in own]
        for own, other in zip(holders, rng.permutation(len(holders)), strict=True):
            own[new] = holders[other][name]
    return shuffled
