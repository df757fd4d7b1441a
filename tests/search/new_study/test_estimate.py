from dataclasses import replace

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.search import Budget, Pruner
from optrack.search.coordinator.strategies import pruner
from optrack.search.new_study.estimate import (
    COMFORTABLE_SECONDS,
    ENOUGH_TRIALS,
    FEWEST_TRIALS,
    LONGEST_SECONDS,
    LUCK,
    MANY_TRIALS,
    START_SECONDS,
    TRIAL_SECONDS,
    FamilySpeed,
    Workload,
    expected_epochs,
)

SPEEDS = (
    FamilySpeed(family="a", train_seconds=0.01, validation_seconds=0.005),
    FamilySpeed(family="b", train_seconds=0.02, validation_seconds=0.01),
)
WORKLOAD = Workload(speeds=SPEEDS, epochs=8, train_images=100, validation_images=40, workers=2)


@given(st.integers(1, 30), st.integers(1, 64))
def test_no_more_epochs_are_expected_than_there_are_and_no_fewer_than_one_each(trials: int, epochs: int) -> None:
    expected = expected_epochs(trials, epochs)
    assert trials - 1e-9 <= expected <= trials * epochs + 1e-9
    assert expected_epochs(trials + 1, epochs) > expected
    assert expected_epochs(trials, epochs + 1) > expected


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(("trials", "epochs"), [(4, 8), (10, 12)])
def test_the_default_pruner_lets_about_as_many_epochs_pass(trials: int, epochs: int) -> None:
    """Values at random, anew at each epoch: every order of a rung is as likely as any other."""
    import numpy as np

    generator = np.random.default_rng(0)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counted: list[int] = []
    for _ in range(60):
        study = optuna.create_study(direction="maximize", pruner=pruner(Pruner("asha"), Budget(epochs=epochs)))
        trained = 0
        for _ in range(trials):
            trial = study.ask()
            for epoch in range(1, epochs + 1):
                trial.report(float(generator.random()), epoch)
                trained += 1
                if trial.should_prune():
                    break
            study.tell(trial, 0.5)
        counted.append(trained)
    assert np.mean(counted) == pytest.approx(expected_epochs(trials, epochs), rel=0.06)


def test_a_search_takes_what_its_epochs_take_shared_by_the_workers() -> None:
    epoch = 0.01 * 100 + 0.005 * 40 + 0.02 * 100 + 0.01 * 40
    fixed = START_SECONDS + TRIAL_SECONDS * 20
    assert WORKLOAD.run_seconds(10) == pytest.approx(fixed + LUCK * expected_epochs(10, 8) * epoch / 2)
    assert replace(WORKLOAD, workers=1).run_seconds(10) == pytest.approx(fixed + LUCK * expected_epochs(10, 8) * epoch)
    # No more epochs than all of them, and no more trials at once than there are.
    assert WORKLOAD.run_seconds(1) == pytest.approx(START_SECONDS + 2 * TRIAL_SECONDS + 8 * epoch / 2)
    assert replace(WORKLOAD, workers=64).run_seconds(1) == replace(WORKLOAD, workers=2).run_seconds(1)


def test_retraining_takes_all_images_for_all_epochs_at_most() -> None:
    assert WORKLOAD.retrain_seconds(3) == pytest.approx(START_SECONDS + 3 * 8 * 140 * (0.01 + 0.02) / 2)


@given(st.floats(1e-6, 1e3))
def test_as_many_trials_are_proposed_as_fit_and_never_fewer_than_four(seconds: float) -> None:
    workload = replace(
        WORKLOAD, speeds=[FamilySpeed(family="a", train_seconds=seconds, validation_seconds=seconds / 2)]
    )
    trials = workload.fitting_trials()
    assert trials in {*MANY_TRIALS, *ENOUGH_TRIALS, FEWEST_TRIALS}
    if trials in MANY_TRIALS:
        assert workload.run_seconds(trials) <= COMFORTABLE_SECONDS
    elif trials in ENOUGH_TRIALS:
        assert workload.run_seconds(min(MANY_TRIALS)) > COMFORTABLE_SECONDS
        assert workload.run_seconds(trials) <= LONGEST_SECONDS
    else:
        assert workload.run_seconds(min(ENOUGH_TRIALS)) > LONGEST_SECONDS
