"""Optuna's samplers and pruners by name, with checked options; and a configuration drawn from a space.

The options of a sampler or pruner are the keyword-only parameters of its function here.
"""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import optuna
from annotated_types import Ge, Gt, Lt
from optuna.exceptions import ExperimentalWarning

from ..errors import StudyError, unknown
from ..study import (
    Budget,
    Categorical,
    Choice,
    Family,
    Float,
    Int,
    Pruner,
    Sampler,
    Space,
    Study,
    applies,
    check_options,
    ordered,
)

Made = TypeVar("Made")

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]


class _Grid(optuna.samplers.BruteForceSampler):
    """Proposes every configuration once, conditions respected; the coordinator ends a family with its grid."""

    def after_trial(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; Optuna would stop its own loop here, which ask and tell do not have."""


def _tpe(
    seed: int,
    first_seed: int,
    family: Family,
    *,
    n_startup_trials: Count = 10,
    n_ei_candidates: Positive = 24,
    multivariate: bool = True,
    constant_liar: bool = True,
) -> optuna.samplers.BaseSampler:
    """Return a tree-structured Parzen estimator; it splits families with conditions into groups (Watanabe 2023)."""
    conditional = any(distribution.when for distribution in family.space.values())
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=n_startup_trials,
        n_ei_candidates=n_ei_candidates,
        multivariate=multivariate,
        group=multivariate and conditional,
        constant_liar=constant_liar,
    )


def _gp(
    seed: int, first_seed: int, family: Family, *, n_startup_trials: Count = 10, deterministic_objective: bool = False
) -> optuna.samplers.BaseSampler:
    """Return a Gaussian process with expected improvement, for few trials: it takes 3 s for a proposal at 300."""
    return optuna.samplers.GPSampler(
        seed=seed,
        n_startup_trials=n_startup_trials,
        deterministic_objective=deterministic_objective,
        warn_independent_sampling=False,
    )


def _cmaes(
    seed: int,
    first_seed: int,
    family: Family,
    *,
    n_startup_trials: Count = 1,
    sigma0: Annotated[float, Gt(0)] | None = None,
    popsize: Annotated[int, Ge(4)] | None = None,  # below 4 its weights divide by zero
) -> optuna.samplers.BaseSampler:
    """Return a CMA evolution strategy for numeric spaces; categorical hyperparameters are drawn at random."""
    return optuna.samplers.CmaEsSampler(
        seed=seed,
        n_startup_trials=n_startup_trials,
        sigma0=sigma0,
        popsize=popsize,
        warn_independent_sampling=False,
    )


def _qmc(seed: int, first_seed: int, family: Family, *, scramble: bool = True) -> optuna.samplers.BaseSampler:
    """Return a scrambled Sobol sequence, more even than random; hyperparameters with a condition are drawn at random.

    All points of a Sobol sequence need one seed; random draws need a new one for each trial.
    """
    return optuna.samplers.QMCSampler(
        seed=first_seed,
        scramble=scramble,
        independent_sampler=optuna.samplers.RandomSampler(seed=seed),
        warn_asynchronous_seeding=False,
        warn_independent_sampling=False,
    )


def _random(seed: int, first_seed: int, family: Family) -> optuna.samplers.BaseSampler:
    """Return independent random draws."""
    return optuna.samplers.RandomSampler(seed=seed)


def _grid(seed: int, first_seed: int, family: Family) -> optuna.samplers.BaseSampler:
    """Return every configuration once, in random order; each hyperparameter needs finitely many values."""
    for name, distribution in family.space.items():
        if distribution.count() is None:
            raise StudyError(
                f"sampler grid needs finitely many values, but {name} of family {family.name!r} is continuous: "
                "give it a step, or choices"
            )
    return _Grid(seed=seed)


SAMPLERS: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
    "tpe": _tpe,
    "gp": _gp,
    "cmaes": _cmaes,
    "qmc": _qmc,
    "random": _random,
    "grid": _grid,
}


def _asha(
    budget: Budget,
    *,
    min_resource: Positive = 1,
    reduction_factor: Annotated[int, Ge(2)] = 2,
    min_early_stopping_rate: Count = 0,
) -> optuna.pruners.BasePruner:
    """Return asynchronous successive halving (Li et al. 2020): at epochs 1, 2, 4, … the better half continues."""
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=min_resource,
        reduction_factor=reduction_factor,
        min_early_stopping_rate=min_early_stopping_rate,
    )


def _hyperband(
    budget: Budget, *, min_resource: Positive = 1, reduction_factor: Annotated[int, Ge(2)] = 3
) -> optuna.pruners.BasePruner:
    """Return successive halving at several levels of severity at once (Li et al. 2018)."""
    if min_resource > budget.epochs:
        raise StudyError(
            f"pruner hyperband: min_resource must not be above the {budget.epochs} epochs, but got {min_resource}"
        )
    return optuna.pruners.HyperbandPruner(
        min_resource=min_resource, max_resource=budget.epochs, reduction_factor=reduction_factor
    )


def _median(
    budget: Budget, *, n_startup_trials: Count = 5, n_warmup_steps: Count = 0, interval_steps: Positive = 1
) -> optuna.pruners.BasePruner:
    """Return a pruner of trials below the median of the earlier ones at the same epoch (Golovin et al. 2017)."""
    return optuna.pruners.MedianPruner(
        n_startup_trials=n_startup_trials, n_warmup_steps=n_warmup_steps, interval_steps=interval_steps
    )


def _wilcoxon(
    budget: Budget, *, p_threshold: Annotated[float, Gt(0), Lt(1)] = 0.1, n_startup_steps: Count = 2
) -> optuna.pruners.BasePruner:
    """Return a pruner of trials that a signed-rank test over paired epochs finds worse than the best trial.

    With n epochs the test's smallest p-value is 1 / 2^n, so it could never prune within a short budget.
    """
    if 0.5**budget.epochs > p_threshold:
        raise StudyError(
            f"pruner wilcoxon cannot reach p_threshold {p_threshold} within {budget.epochs} epochs (1 / 2^epochs is "
            "above it): give more epochs, or use asha or median"
        )
    return optuna.pruners.WilcoxonPruner(p_threshold=p_threshold, n_startup_steps=n_startup_steps)


def _none(budget: Budget) -> optuna.pruners.BasePruner:
    """Return a pruner that lets every trial run to its end."""
    return optuna.pruners.NopPruner()


PRUNERS: dict[str, Callable[..., optuna.pruners.BasePruner]] = {
    "asha": _asha,
    "successive_halving": _asha,
    "hyperband": _hyperband,
    "median": _median,
    "wilcoxon": _wilcoxon,
    "none": _none,
}


def sampler(strategy: Sampler, family: Family, study_seed: int, trial: int) -> optuna.samplers.BaseSampler:
    """Return the sampler for one proposal, that of a trial's number.

    A sampler that keeps its random state in memory would repeat its proposals after a restart; so each proposal has a
    new one, seeded by study, family and trial number.

    Raises:
        StudyError: unknown name, unknown option or value, or a space that the sampler cannot handle.
    """
    seed, first_seed = (seed_of(study_seed, family.name, number) % 2**32 for number in (trial, 0))
    return _made("sampler", SAMPLERS, strategy, seed, first_seed, family)


def pruner(strategy: Pruner, budget: Budget) -> optuna.pruners.BasePruner:
    """Return the pruner of a study.

    Raises:
        StudyError: unknown name, unknown option or value, or a budget that does not suit it.
    """
    return _made("pruner", PRUNERS, strategy, budget)


def _made(kind: str, known: Mapping[str, Callable[..., Made]], strategy: Sampler | Pruner, *given: object) -> Made:
    if strategy.name not in known:
        raise StudyError(unknown(kind, strategy.name, known))
    make = known[strategy.name]
    options = check_options(f"{kind} {strategy.name}", make, strategy.options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return make(*given, **options)


def check_strategies(study: Study) -> None:
    """Check that sampler and pruner exist, accept their options, and suit each family and the budget.

    Raises:
        StudyError: they do not.
    """
    pruner(study.pruner, study.budget)
    for family in study.families:
        sampler(study.sampler, family, study.seed, 0)


def seed_of(study_seed: int, family: str, trial: int) -> int:
    """Return the seed of a trial, in [0, 2^63): the same on every machine, different for each trial of each family.

    >>> seed_of(0, "lenet", 3) == seed_of(0, "lenet", 3) != seed_of(0, "lenet", 4)
    True
    """
    digest = hashlib.sha256(f"{study_seed}/{family}/{trial}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def suggest(trial: optuna.trial.BaseTrial, space: Space, fixed: Mapping[str, object]) -> dict[str, Choice]:
    """Draw a configuration: every hyperparameter whose condition holds, by the trial's sampler.

    Values that the trial was enqueued with are kept; `fixed` has values outside the space that conditions may refer to.
    """
    values: dict[str, Choice] = {}
    for name in ordered(space):
        distribution = space[name]
        if applies(distribution.when, {**fixed, **values}):
            values[name] = _suggest_one(trial, name, distribution)
    return values


def _suggest_one(trial: optuna.trial.BaseTrial, name: str, distribution: Float | Int | Categorical) -> Choice:
    if isinstance(distribution, Categorical):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, Int):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if distribution.low == distribution.high:  # Optuna's grid accepts it only with a step
        return trial.suggest_float(name, distribution.low, distribution.high, step=1.0)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
