import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Pruner, Sampler, Study, StudyError
from optrack.search.coordinator.family_search import FamilySearch
from optrack.search.coordinator.strategies import PRUNERS, SAMPLERS, check_strategies, pruner, sampler, seed_of, suggest
from optrack.search.stores.optuna_store import open_family, open_storage, stored_family
from optrack.search.stores.records import STUDY_RECORD, Records
from optrack.search.study.space import applies, misfit

# As few random trials as there can be, so that each sampler's own proposals are seen.
EAGER = {
    "tpe": Sampler("tpe", n_startup_trials=2),
    "gp": Sampler("gp", n_startup_trials=2),
    "cmaes": Sampler("cmaes", n_startup_trials=1, popsize=4),
    "qmc": Sampler("qmc"),
    "random": Sampler("random"),
}

MIXED = Family(
    "mixed",
    architecture="any",
    options={"fixed": True},
    space={
        "lr": Float(1e-4, 1.0, log=True),
        "width": Int(8, 64, log=True),
        "depth": Int(1, 9, step=2),
        "dropout": Float(0, 0.8, step=0.1),
        "optimizer": Categorical("adam", "sgd", None),
        "momentum": Float(0.5, 0.99, when={"optimizer": "sgd"}),
        "nesterov": Categorical(True, False, when={"optimizer": ("sgd", None)}),
        "norm": Float(0, 1, when={"fixed": True}),
        "never": Float(0, 1, when={"fixed": False}),
    },
)


def proposals(
    strategy: Sampler, family: Family, rounds: int, *, seed: int = 0, end: Callable[[int], str] = lambda _: "tell"
) -> list[dict[str, Any]]:
    """Ask and tell with a new sampler for each trial, as a search does."""
    study = optuna.create_study()
    for values in family.start:
        study.enqueue_trial(dict(values))
    found: list[dict[str, Any]] = []
    for number in range(rounds):
        study.sampler = sampler(strategy, family, seed, number)
        trial = study.ask()
        values = suggest(trial, family.space, family.options)
        found.append(values)
        match end(number):
            case "prune":
                trial.report(1.0, 1)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            case "fail":
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            case "run":
                pass
            case _:
                study.tell(trial, sum(float(value) for value in values.values() if isinstance(value, int | float)))
    return found


def check_in_space(family: Family, values: dict[str, Any]) -> None:
    assert misfit(family.space, values, family.options) is None
    known = {**family.options, **values}
    existing = {name for name, distribution in family.space.items() if applies(distribution.when, known)}
    assert set(values) == existing


ENDS = st.lists(st.sampled_from(["tell", "tell", "prune", "fail", "run"]), min_size=8, max_size=8)


@pytest.mark.parametrize("name", ["tpe", "cmaes", "qmc", "random"])
@settings(max_examples=25)
@given(family=..., ends=ENDS, seed=st.integers(0, 2**32 - 1))
def test_proposals_lie_in_the_space_whatever_became_of_the_trials_before(
    name: str, family: Family, ends: list[str], seed: int
) -> None:
    for values in proposals(EAGER[name], family, len(ends), seed=seed, end=lambda number: ends[number]):
        check_in_space(family, values)


@settings(max_examples=5)
@given(family=..., ends=ENDS)
def test_proposals_of_the_gaussian_process_lie_in_the_space(family: Family, ends: list[str]) -> None:
    for values in proposals(EAGER["gp"], family, 5, end=lambda number: ends[number]):
        check_in_space(family, values)


@pytest.mark.parametrize("name", EAGER)
def test_proposals_in_a_space_with_all_kinds_of_ranges_lie_in_it(name: str) -> None:
    found = proposals(EAGER[name], MIXED, 8 if name == "gp" else 25)
    for values in found:
        check_in_space(MIXED, values)
        assert "norm" in values
        assert "never" not in values
    assert len({values["optimizer"] for values in found}) > 1


@pytest.mark.parametrize("name", EAGER)
def test_no_proposal_repeats_another_one_in_any_continuous_hyperparameter(name: str) -> None:
    found = proposals(EAGER[name], MIXED, 7)
    for hyperparameter in ("lr", "momentum", "norm"):
        drawn = [values[hyperparameter] for values in found if hyperparameter in values]
        # An optimizer that learns may well stay at the end of a range.
        distribution: Any = MIXED.space[hyperparameter]
        ends = (distribution.low, distribution.high)
        inside = [value for value in drawn if not any(math.isclose(value, end) for end in ends)]
        assert len(set(inside)) == len(inside), hyperparameter


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_gives_the_same_proposals_and_another_seed_or_family_others(name: str) -> None:
    strategy = EAGER.get(name, Sampler(name))
    space: dict[str, Any] = {"a": Int(1, 50), "b": Int(1, 50)}
    first, second = Family("first", architecture="any", space=space), Family("second", architecture="any", space=space)
    rounds = 4 if name == "gp" else 8
    once = proposals(strategy, first, rounds)
    assert proposals(strategy, first, rounds) == once
    assert proposals(strategy, first, rounds, seed=1) != once
    assert proposals(strategy, second, rounds) != once


def test_a_learning_sampler_finds_better_values_than_random_ones() -> None:
    family = Family("f", architecture="any", space={"a": Float(0, 1), "b": Float(0, 1)})

    def late(name: str) -> float:
        return sum(sum(values.values()) for values in proposals(EAGER[name], family, 30)[20:]) / 10

    assert late("tpe") < 0.8 * late("random")
    assert late("cmaes") < 0.8 * late("random")


def finite(family: Family) -> Family:
    """The family with three values in the place of each continuous range, and without start configurations."""

    def few(distribution: Float | Int | Categorical) -> Float | Int | Categorical:
        if distribution.count() is None:
            return Float(0, 1, step=0.5, when=distribution.when)
        return distribution

    space = {name: few(distribution) for name, distribution in family.space.items()}
    return Family(family.name, architecture=family.architecture, options=family.options, space=space)


SMALL = st.from_type(Family).map(finite).filter(lambda family: family.space and (family.configurations() or 0) <= 40)


@settings(max_examples=30)
@given(family=SMALL, ends=st.lists(st.sampled_from(["tell", "prune", "fail"]), min_size=40, max_size=40))
def test_a_grid_visits_every_configuration_once_and_there_are_as_many_as_its_size_says(
    family: Family, ends: list[str]
) -> None:
    cells = family.configurations()
    assert cells is not None
    found = proposals(Sampler("grid"), family, cells, end=lambda number: ends[number])
    for values in found:
        check_in_space(family, values)
    assert max(Counter(repr(sorted(values.items())) for values in found).values()) == 1


def test_a_grid_takes_a_range_of_a_single_value() -> None:
    space: dict[str, Any] = {"a": Float(0.5, 0.5), "b": Float(0.1, 0.1, log=True), "c": Int(1, 2)}
    found = proposals(Sampler("grid"), Family("f", architecture="any", space=space), 2)
    assert {(values["a"], values["b"]) for values in found} == {(0.5, 0.1)}
    assert {values["c"] for values in found} == {1, 2}


def test_a_grid_with_start_configurations_visits_every_configuration_once() -> None:
    space: dict[str, Any] = {"a": Categorical(1, 2), "b": Int(1, 3), "c": Float(0, 1, step=0.5, when={"a": 2})}
    start = ({"b": 2}, {"a": 2, "c": 1.0})
    family = Family("f", architecture="any", space=space, start=start)
    found = proposals(Sampler("grid"), family, 12)
    assert len({tuple(values.items()) for values in found}) == 12 == family.configurations()
    assert [set(wanted.items()) <= set(values.items()) for wanted, values in zip(start, found, strict=False)] == [
        True,
        True,
    ]


def test_a_grid_that_is_kept_in_a_file_visits_every_configuration_once_though_each_trial_is_another_process(
    url: str,
) -> None:
    space: dict[str, Any] = {
        "z": Categorical("x", "y"),
        "c": Int(1, 2, when={"z": "y"}),
        "a": Float(0, 0.3, step=0.1),
    }
    study = study_of(Family("f", architecture="any", space=space), sampler=Sampler("grid"))
    found = [next(asked(study, url, 1)) for _ in range(12)]
    assert len({tuple(values.items()) for values in found}) == 12 == study.families[0].configurations()


def test_a_grid_refuses_a_continuous_range_by_name() -> None:
    family = Family("f", architecture="any", space={"a": Int(0, 3), "lr": Float(0.1, 1)})
    with pytest.raises(StudyError, match="lr of family 'f' is continuous: give it a step, or choices"):
        sampler(Sampler("grid"), family, 0, 0)


@pytest.mark.parametrize("name", EAGER)
@settings(max_examples=10)
@given(family=st.from_type(Family).filter(lambda family: len(family.start) > 0))
def test_start_configurations_come_first_and_what_they_leave_out_is_drawn(name: str, family: Family) -> None:
    found = proposals(EAGER[name], family, len(family.start) + 1)
    for start, values in zip(family.start, found, strict=False):
        check_in_space(family, values)
        for key, value in start.items():
            # A hyperparameter whose condition is drawn may turn out not to exist.
            assert key not in values or (values[key] == value and isinstance(values[key], type(value)))
            assert key in values or family.space[key].when


def study_of(family: Family, **changes: Any) -> Study:
    return Study("s", data=Data("digits"), families=[family], **changes)


def asked(study: Study, url: str, trials: int) -> Any:
    """Proposals of a search that begins with what is stored, as a new process does."""
    family = study.families[0]
    storage = open_storage(url)
    opened = open_family(storage, study, family)
    records = Records.of(storage, opened.study_name)
    records.write({STUDY_RECORD: study.to_json()})
    search = FamilySearch.of(stored_family(storage, opened.study_name), study, family, records)
    for _ in range(trials):
        trial, values = search.ask()
        lr: Any = values.get("lr", 0.0)
        opened.tell(trial, lr)
        yield values


@pytest.mark.parametrize("name", EAGER)
def test_proposals_after_a_restart_are_those_of_a_search_that_was_never_interrupted(name: str, tmp_path: Path) -> None:
    family = Family(MIXED.name, architecture="any", options=MIXED.options, space=MIXED.space, start=[{"lr": 0.5}])
    study = study_of(family, sampler=EAGER[name])
    trials = 4 if name == "gp" else 7
    through = list(asked(study, f"sqlite:///{tmp_path / 'through.db'}", trials))
    restarted = [next(asked(study, f"sqlite:///{tmp_path / 'restarted.db'}", 1)) for _ in range(trials)]
    assert restarted == through
    assert through[0]["lr"] == 0.5
    for one, another in itertools.combinations(through, 2):
        assert one != another


def test_the_parzen_estimator_learns_hyperparameters_with_and_without_a_condition_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for: list[dict[str, Any]] = []
    monkeypatch.setattr(optuna.samplers, "TPESampler", lambda **options: asked_for.append(options))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    plain = Family("f", architecture="any", space={"a": Float(0, 1)})
    for family in (MIXED, plain):
        sampler(Sampler("tpe"), family, 0, 0)
    assert [options["group"] for options in asked_for] == [True, False]
    assert all(options["multivariate"] and options["constant_liar"] for options in asked_for)


def test_a_trial_has_a_seed_of_its_own_that_never_changes() -> None:
    # Stored trials are trained again with it, so that it must be the same in every version.
    assert seed_of(0, "lenet", 3) == 1156392827193231483
    seeds = {seed_of(study, family, trial) for study in (0, 1) for family in ("a", "b") for trial in range(50)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (Sampler("tp"), "unknown sampler 'tp' (did you mean 'tpe'?); valid names: tpe, gp, cmaes, qmc, random, grid"),
        (Sampler("tpe", n_startup=3), "unknown option of sampler tpe 'n_startup' (did you mean 'n_startup_trials'?)"),
        (Sampler("tpe", seed=3), "unknown option of sampler tpe 'seed'"),
        (Sampler("tpe", n_startup_trials=-1), "sampler tpe: n_startup_trials should be greater than or equal to 0"),
        (Sampler("tpe", multivariate=1), "sampler tpe: multivariate should be a valid boolean, but got 1"),
        (Sampler("cmaes", popsize=3), "sampler cmaes: popsize should be greater than or equal to 4, but got 3"),
        (Sampler("cmaes", sigma0=0), "sampler cmaes: sigma0 should be greater than 0, but got 0"),
        (Sampler("gp", n_startup_trials=2.5), "sampler gp: n_startup_trials should be a valid integer, but got 2.5"),
        (Sampler("random", x=1), "unknown option of sampler random 'x'; valid names: none"),
    ],
)
def test_a_sampler_that_does_not_exist_or_an_option_that_it_does_not_take_is_refused(
    strategy: Sampler, message: str
) -> None:
    with pytest.raises(StudyError) as raised:
        check_strategies(study_of(MIXED, sampler=strategy))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("strategy", "epochs", "message"),
    [
        (Pruner("ash"), 9, "unknown pruner 'ash' (did you mean 'asha'?)"),
        (Pruner("asha", reduction_factor=1), 9, "pruner asha: reduction_factor should be greater than or equal to 2"),
        (Pruner("median", warmup=1), 9, "unknown option of pruner median 'warmup'"),
        (Pruner("none", x=1), 9, "unknown option of pruner none 'x'; valid names: none"),
        (
            Pruner("hyperband", min_resource=10),
            9,
            "pruner hyperband: min_resource must not be above the 9 epochs, but got 10",
        ),
        (Pruner("wilcoxon"), 3, "pruner wilcoxon cannot reach p_threshold 0.1 within 3 epochs"),
        (Pruner("wilcoxon", p_threshold=1.0), 9, "p_threshold should be less than 1, but got 1.0"),
    ],
)
def test_a_pruner_that_does_not_exist_or_does_not_fit_is_refused(strategy: Pruner, epochs: int, message: str) -> None:
    with pytest.raises(StudyError) as raised:
        check_strategies(study_of(MIXED, pruner=strategy, budget=Budget(epochs=epochs)))
    assert message in str(raised.value)


def test_pruners_at_the_edge_of_what_they_need_are_taken() -> None:
    pruner(Pruner("wilcoxon"), Budget(epochs=4))
    pruner(Pruner("wilcoxon", p_threshold=0.5), Budget(epochs=1))
    pruner(Pruner("hyperband", min_resource=9), Budget(epochs=9))


def test_asha_and_successive_halving_are_two_names_of_one_pruner() -> None:
    assert SAMPLERS.keys().isdisjoint(PRUNERS)
    assert PRUNERS["asha"] is PRUNERS["successive_halving"]


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_pruner_stops_hopeless_trials_and_lets_the_best_one_run(name: str, direction: Any) -> None:
    epochs, sign = 9, 1 if direction == "maximize" else -1
    study = optuna.create_study(
        study_name="s/f",
        direction=direction,
        pruner=pruner(Pruner(name), Budget(epochs=epochs)),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    lengths: dict[int, int] = {}
    for quality in (5, 6, 7, 8, 9, *(1 - number / 10 for number in range(9)), 10):
        trial = study.ask()
        for epoch in range(1, epochs + 1):
            lengths[trial.number] = epoch
            trial.report(sign * quality * (1 - math.exp(-epoch)), epoch)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, sign * quality)
    hopeless = [lengths[number] for number in range(5, 14)]
    assert lengths[14] == epochs
    assert (min(hopeless) < epochs) is (name != "none")
    if name in {"asha", "successive_halving", "median"}:
        assert max(hopeless) == 1
