import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from optrack.search.training import TrainingConfig
from optrack.search.training.schedules import learning_rate, plateaus

LENGTHS = st.tuples(st.integers(1, 12), st.integers(1, 8))  # steps an epoch, epochs
RATES = st.floats(1e-6, 10)


def walked(config: TrainingConfig, steps_per_epoch: int, epochs: int) -> list[float]:
    return [
        learning_rate(config, step=step, steps_per_epoch=steps_per_epoch, epochs=epochs, val_losses=())
        for step in range(steps_per_epoch * epochs)
    ]


def of_torch(make: Callable[[torch.optim.Optimizer], Any], lr: float, steps: int) -> list[float]:
    """The rates that a scheduler of torch gives, stepped after each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    rates: list[float] = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def check_equal(ours: list[float], theirs: list[float], lr: float) -> None:
    assert len(ours) == len(theirs)
    for step, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9 * lr), step


@given(lengths=LENGTHS, lr=RATES)
def test_without_a_schedule_every_step_has_the_peak_rate(lengths: tuple[int, int], lr: float) -> None:
    assert set(walked(TrainingConfig(lr=lr), *lengths)) == {lr}


@given(lengths=LENGTHS, lr=RATES)
def test_cosine_is_torchs_cosine_annealing_over_all_steps(lengths: tuple[int, int], lr: float) -> None:
    steps = math.prod(lengths)
    ours = walked(TrainingConfig(lr=lr, schedule="cosine"), *lengths)
    theirs = of_torch(lambda it: torch.optim.lr_scheduler.CosineAnnealingLR(it, T_max=steps), lr, steps)
    check_equal(ours, theirs, lr)


@given(lengths=LENGTHS, lr=RATES, decay=st.integers(1, 5), factor=st.floats(0.05, 1))
def test_step_is_torchs_step_decay_of_whole_epochs(
    lengths: tuple[int, int], lr: float, decay: int, factor: float
) -> None:
    steps_per_epoch, epochs = lengths
    ours = walked(TrainingConfig(lr=lr, schedule="step", decay_epochs=decay, decay_factor=factor), *lengths)
    theirs = of_torch(lambda it: torch.optim.lr_scheduler.StepLR(it, decay, gamma=factor), lr, epochs)
    check_equal(ours, [rate for rate in theirs for _ in range(steps_per_epoch)], lr)


def of_torchs_one_cycle(lr: float, steps: int, rise: float) -> list[float]:
    """The rates of torch's OneCycleLR, which rises for this share of its steps."""
    make = torch.optim.lr_scheduler.OneCycleLR
    return of_torch(lambda it: make(it, lr, total_steps=steps, pct_start=rise, cycle_momentum=False), lr, steps)


@given(lengths=LENGTHS, lr=RATES)
@example(lengths=(1, 1), lr=1.0)
@example(lengths=(2, 1), lr=1.0)
@example(lengths=(1, 3), lr=1.0)
@example(lengths=(2, 2), lr=1.0)
def test_one_cycle_is_torchs_at_every_length(lengths: tuple[int, int], lr: float) -> None:
    ours = walked(TrainingConfig(lr=lr, schedule="one_cycle"), *lengths)
    check_equal(ours, of_torchs_one_cycle(lr, math.prod(lengths), 0.3), lr)


@given(lengths=LENGTHS, lr=RATES, warmup=st.floats(0.01, 8))
@example(lengths=(3, 2), lr=1.0, warmup=0.5)
def test_one_cycle_with_a_warmup_is_torchs_with_a_rise_of_that_length(
    lengths: tuple[int, int], lr: float, warmup: float
) -> None:
    steps_per_epoch, epochs = lengths
    assume(warmup <= epochs)
    assume(abs(warmup * steps_per_epoch - 1) > 1e-6)  # torch divides by 0
    ours = walked(TrainingConfig(lr=lr, schedule="one_cycle", warmup_epochs=warmup), *lengths)
    check_equal(ours, of_torchs_one_cycle(lr, math.prod(lengths), warmup / epochs), lr)


def test_one_cycle_that_rises_in_one_step_begins_at_the_peak() -> None:
    rates = walked(TrainingConfig(lr=1.0, schedule="one_cycle", warmup_epochs=0.25), 4, 1)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1.0


@given(lengths=LENGTHS, lr=RATES, warmup=st.integers(2, 40))
def test_a_warmup_rises_in_equal_steps_to_the_peak_and_the_schedule_fills_the_rest(
    lengths: tuple[int, int], lr: float, warmup: int
) -> None:
    steps = math.prod(lengths)
    assume(warmup < steps)
    ours = walked(TrainingConfig(lr=lr, schedule="cosine", warmup_epochs=warmup / lengths[0]), *lengths)
    # LinearLR reaches the peak with the last of these steps.
    rise = of_torch(
        lambda it: torch.optim.lr_scheduler.LinearLR(it, start_factor=1 / warmup, total_iters=warmup - 1), lr, warmup
    )
    rest = steps - warmup
    fall = of_torch(lambda it: torch.optim.lr_scheduler.CosineAnnealingLR(it, T_max=rest), lr, rest)
    check_equal(ours, rise + fall, lr)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "plateau", "one_cycle"])
@given(lengths=LENGTHS, warmup=st.floats(0, 20))
def test_no_rate_is_above_the_peak_or_below_zero_whatever_the_warmup(
    schedule: Any, lengths: tuple[int, int], warmup: float
) -> None:
    rates = walked(TrainingConfig(lr=0.5, schedule=schedule, warmup_epochs=warmup), *lengths)
    assert all(0 < rate <= 0.5 for rate in rates)


LOSSES = st.lists(st.sampled_from([1.0, 0.99995, 0.9998, 0.5, 0.4, 2.0, math.inf, math.nan]) | st.floats(0, 3))


@given(losses=LOSSES, patience=st.integers(0, 4), factor=st.floats(0.1, 0.99))
def test_plateau_is_torchs_reduction_on_a_plateau_of_the_validation_loss(
    losses: list[float], patience: int, factor: float
) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience, eps=0)
    config = TrainingConfig(lr=1.0, schedule="plateau", decay_patience=patience, decay_factor=factor)
    for epoch, loss in enumerate([*losses, 0.0]):
        ours = learning_rate(config, step=epoch, steps_per_epoch=1, epochs=999, val_losses=losses[:epoch])
        assert math.isclose(ours, optimizer.param_groups[0]["lr"], rel_tol=1e-9)
        scheduler.step(loss)


def test_a_plateau_is_counted_anew_after_each_decay() -> None:
    assert [plateaus(7 * [1.0], patience=patience) for patience in (0, 1, 2, 5, 6)] == [6, 3, 2, 1, 0]
