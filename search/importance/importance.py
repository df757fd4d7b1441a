"""Which hyperparameters matter: Optuna's importances, and how far they can be trusted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial

from ..errors import StudyError, unknown
from .escaped import study_of
from .optuna_figures import finite_trials, quiet_optuna
from .resampling import intervals

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.importance import BaseImportanceEvaluator

MINIMUM_TRIALS = 20
"""Completed trials below which a ranking is not to be trusted.

With 20, PED-ANOVA put a learning rate that truly decided first in 3 of 6 studies, and in 11 of 20 others;
with 40 in 16 of 20, with 100 in all. That was with random trials. Where TPE chose them, and soon chose good rates
alone, PED-ANOVA put it first in 4, 5 and 3 of 12 studies with 20, 40 and 100 trials, fANOVA in 9, 10 and 10,
MDI in all.
"""

DEFAULT_EVALUATOR = "ped_anova"


def _ped_anova(_trees: int) -> "BaseImportanceEvaluator":
    from optuna.importance import PedAnovaImportanceEvaluator

    return PedAnovaImportanceEvaluator()


def _fanova(trees: int) -> "BaseImportanceEvaluator":
    from optuna.importance import FanovaImportanceEvaluator

    return FanovaImportanceEvaluator(n_trees=trees, seed=0)


def _mdi(trees: int) -> "BaseImportanceEvaluator":
    from optuna.importance import MeanDecreaseImpurityImportanceEvaluator

    return MeanDecreaseImpurityImportanceEvaluator(n_trees=trees, seed=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluator:
    """How an evaluator is made and what may be asked of it.

    Attributes:
        make: From a number of trees to the evaluator; `import optuna.importance` takes seconds, and so stands inside.
        conditional: Whether it ranks parameters that some completed trials lack.
        rounds: How often trials are left out for the intervals.
        shuffles: How often values are shuffled for what chance gives.
        at_most: The most trials that a round or a shuffle uses; a forest's time grows faster than they do.
    """

    make: "Callable[[int], BaseImportanceEvaluator]"
    conditional: bool
    rounds: int
    shuffles: int
    at_most: int


_TREES, _FEW_TREES = 64, 8
_CHANCE = 0.95
_EVALUATORS = {
    DEFAULT_EVALUATOR: _Evaluator(make=_ped_anova, conditional=True, rounds=40, shuffles=40, at_most=300),
    "fanova": _Evaluator(make=_fanova, conditional=False, rounds=16, shuffles=10, at_most=60),
    "mdi": _Evaluator(make=_mdi, conditional=False, rounds=20, shuffles=20, at_most=100),
}
EVALUATORS = tuple(_EVALUATORS)
"""The names of what can rank: PED-ANOVA, and two that grow a random forest, fANOVA and mean decrease of impurity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """How much each hyperparameter of a study matters.

    Attributes:
        values: The share of each ranked parameter, in [0, 1] and 1 in sum, the largest first.
        completed: How many completed trials that rests on.
        left_out: Conditional parameters that are not ranked, and how many completed trials have them. PED-ANOVA would
            rank them, with several times the noise: with 40 trials, of which 8 had it, one without any effect came
            first in 7 of 20 studies. fANOVA and MDI would forget all trials that lack one.
        evaluator: What ranked them.
        intervals: Between which shares each one's average over searches with as many trials lies, nine times in ten.
            With more trials what matters gains and the rest loses: the share of a learning rate that decided, beside
            seven parameters that did not, was 0.32, 0.53, 0.71, 0.90 and 0.97 on average with 20, 40, 100, 400 and
            2,000 random trials.
        chance: The share that a shuffled copy of each parameter, beside it, stays below 19 times in 20.
    """

    values: Mapping[str, float]
    completed: int
    left_out: Mapping[str, int]
    evaluator: str = DEFAULT_EVALUATOR
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    chance: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def reliable(self) -> bool:
        """Whether there are trials enough for the order to be trusted."""
        return self.completed >= MINIMUM_TRIALS

    @property
    def unproven(self) -> tuple[str, ...]:
        """The parameters whose shares one without any effect could have got too, or whose intervals reach down to 0.

        In 40 studies each of 20, 40 and 100 random trials PED-ANOVA so proved the parameter that decided in 12, 60 and
        100 % of the studies, and each of seven without effect in 0.4, 1.4 and 0.7 %.
        """
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
            notes.append(f"too few trials to rank: {self.completed} completed, {MINIMUM_TRIALS} needed")
        if self.left_out:
            names = ", ".join(f"{name} (in {count})" for name, count in self.left_out.items())
            notes.append(f"left out, {self._why_left_out}: {names}")
        return "; ".join(notes)

    @property
    def _why_left_out(self) -> str:
        if _EVALUATORS[self.evaluator].conditional:
            return f"in fewer than {MINIMUM_TRIALS} of the completed trials"
        return f"as {self.evaluator} ranks only what all completed trials have, in one range"


def importances(study: optuna.Study, *, evaluator: str = DEFAULT_EVALUATOR) -> Importances:
    """Ranks the hyperparameters of a study, and says how far the ranking can be trusted.

    PED-ANOVA shares out among the parameters what sets the best tenth of the completed trials apart (Watanabe, Bansal,
    Hutter: "PED-ANOVA", IJCAI 2023, arXiv:2304.10255; conditional parameters: arXiv:2601.20800); fANOVA the variance of
    the value, as a random forest sees it (Hutter, Hoos, Leyton-Brown, ICML 2014); MDI how much splits on each parameter
    reduce that variance (Breiman, "Random forests", 2001).

    Args:
        study: A study with one objective, in any state.
        evaluator: One of `EVALUATORS`.

    Returns:
        The shares; none where nothing tells the parameters apart, as with a single trial or with equal values.

    Raises:
        StudyError: There is no such evaluator.
    """
    if evaluator not in _EVALUATORS:
        raise StudyError(unknown("evaluator", evaluator, EVALUATORS))
    method = _EVALUATORS[evaluator]
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
            completed=len(trials),
            left_out=left_out,
            evaluator=evaluator,
            intervals=_intervals(sample, values) if values else {},
            chance=_chance(trials, values, study.direction, method) if len(values) > 1 else {},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """Completed trials as an evaluator takes them: copies that carry nothing but their parameters.

    Attributes:
        study: In memory, its trials numbered from 0 on.
        losses: Float [N], their values, the lower the better.
        method: What evaluates them.
    """

    study: optuna.Study
    losses: NDArray[np.float64]
    method: _Evaluator

    def evaluate(self, names: Sequence[str], *, trees: int, used: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """What each parameter matters, not yet as shares; all 0 where nothing tells them apart.

        Args:
            names: The parameters, at least one.
            trees: Of a forest.
            used: Bool [N], the trials to use; all without it.
        """
        from optuna.importance import get_param_importances

        losses = self.losses if used is None else np.where(used, self.losses, np.nan)  # Optuna drops what is no number
        try:
            return get_param_importances(
                self.study,
                evaluator=self.method.make(trees),
                params=sorted(names),  # MDI gives the first name in the alphabet's importance to the first one here
                target=lambda trial: float(losses[trial.number]),
                normalize=False,
            )
        except RuntimeError:  # fANOVA's word for values that are all equal
            return dict.fromkeys(names, 0.0)


_Params: TypeAlias = dict[str, tuple[Any, "BaseDistribution"]]
"""Values of a trial's parameters, each with what it was drawn from."""


def _sample_of(
    trials: Sequence[FrozenTrial], params: Sequence[_Params], direction: StudyDirection, method: _Evaluator
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


def _present(trials: Sequence[FrozenTrial], method: _Evaluator) -> dict[str, int]:
    """How many trials have a parameter; where one range is needed, how many have it in its commonest one."""
    if method.conditional:
        return dict(sorted(Counter(name for trial in trials for name in trial.params).items()))
    ranges = Counter(pair for trial in trials for pair in trial.distributions.items())
    return {name: count for (name, _), count in sorted(ranges.items(), key=_name_and_count)}


def _name_and_count(item: tuple[tuple[str, "BaseDistribution"], int]) -> tuple[str, int]:
    (name, _), count = item
    return name, count


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
    return {} if undecided else dict(sorted(shares.items(), key=_share, reverse=True))


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
    trials: Sequence[FrozenTrial], values: Mapping[str, float], direction: StudyDirection, method: _Evaluator
) -> dict[str, float]:
    """What a copy of each parameter, its values dealt anew among the trials, stays below 19 times in 20, as a share.

    1 for what is in so few trials that none was chosen: of that nothing is proven.
    """
    rng = np.random.default_rng(0)
    chosen = [trials[int(i)] for i in rng.permutation(np.arange(len(trials)))[: method.at_most]]
    params = [_params_of(trial) for trial in chosen]
    names = [name for name in values if any(name in own for own in params)]
    rounds = [_deal_anew(params, names, number, rng) for number in range(method.shuffles)]
    sample = _sample_of(chosen, params, direction, method)
    found = [sample.evaluate([*names, *dealt.values()], trees=_FEW_TREES) for dealt in rounds]
    # Copies take from each other in a forest: they are compared with the originals of the same forests.
    levels = dict.fromkeys(values, 1.0)
    for name in names:
        own = float(np.mean([importances[name] for importances in found]))
        copies = [importances[dealt[name]] for importances, dealt in zip(found, rounds, strict=True)]
        if own > 0:
            levels[name] = values[name] * float(np.quantile(copies, _CHANCE)) / own
    return levels


def _deal_anew(
    params: Sequence[_Params], names: Sequence[str], number: int, rng: np.random.Generator
) -> dict[str, str]:
    """Adds parameters to trials a second time, shuffled among the trials that have them; the new names by the old."""
    dealt = {name: f"{name} dealt {number}" for name in names}
    for name, new in dealt.items():
        holders = [own for own in params if name in own]
        for own, other in zip(holders, rng.permutation(len(holders)), strict=True):
            own[new] = holders[other][name]
    return dealt


def _share(item: tuple[str, float]) -> float:
    return item[1]
