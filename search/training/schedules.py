"""Learning-rate schedules as functions from the step to a factor of the peak learning rate.

They have no state: a resumed trial needs only its step and its validation losses.
"""

import math
from collections.abc import Sequence

from .config import TrainingConfig

# The defaults of torch's OneCycleLR (div_factor, final_div_factor, pct_start).
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4
ONE_CYCLE_RISE = 0.3


def learning_rate(
    config: TrainingConfig, *, step: int, steps_per_epoch: int, epochs: int, val_losses: Sequence[float]
) -> float:
    """Return the learning rate of one step.

    Args:
        config: peak rate, schedule and its settings.
        step: from 0, counted over all epochs.
        steps_per_epoch: at least 1.
        epochs: the schedule's length; a trial that stops early does not reach its end.
        val_losses: of the finished epochs, for schedule plateau.
    """
    total = steps_per_epoch * epochs
    if config.schedule == "one_cycle":
        return config.lr * one_cycle(step, total, rise=config.warmup_epochs * steps_per_epoch or ONE_CYCLE_RISE * total)
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    match config.schedule:
        case "constant":
            factor = 1.0
        case "cosine":
            factor = cosine(step - warmup, total - warmup)
        case "step":
            factor = config.decay_factor ** (step // steps_per_epoch // config.decay_epochs)
        case "plateau":
            factor = config.decay_factor ** plateaus(val_losses, patience=config.decay_patience)
    return config.lr * factor


def cosine(step: int, steps: int) -> float:
    """Return half a cosine from 1 to 0: (1 + cos(pi step / steps)) / 2 (Loshchilov & Hutter 2017, eq. 5, no restarts).

    >>> [round(cosine(step, 4), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    return (1 + math.cos(math.pi * step / steps)) / 2


def one_cycle(step: int, steps: int, *, rise: float) -> float:
    """Rise by a cosine from 1/25 to 1 in `rise` steps, then fall to 4e-6 (Smith & Topin 2018, torch's OneCycleLR).

    As in torch the rise need not be a whole number of steps, and the peak then lies between two of them.

    >>> [round(one_cycle(step, 10, rise=3), 3) for step in range(10)]
    [0.04, 0.52, 1.0, 0.95, 0.812, 0.611, 0.389, 0.188, 0.05, 0.0]
    """
    peak = min(rise, steps) - 1
    if step <= peak:
        return _between(ONE_CYCLE_START, 1.0, step / peak if peak else 1.0)
    return _between(1.0, ONE_CYCLE_END, (step - peak) / (steps - 1 - peak))


def plateaus(losses: Sequence[float], *, patience: int) -> int:
    """Count how often the loss has gone more than `patience` epochs without a new minimum, starting over each time.

    The rule of torch's ReduceLROnPlateau, with a relative threshold of 1e-4.

    >>> plateaus([1.0, 0.9, 0.9, 0.9, 0.9], patience=1)
    1
    """
    best, waited, count = math.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - 1e-4):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            count, waited = count + 1, 0
    return count


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
