"""How much shares depend on which trials there happened to be: intervals by leaving trials out repeatedly."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.9
"""How often the intervals are meant to hold."""

_KEPT = 0.8
_NORMAL_QUANTILE = 1.645  # of (1 + CONFIDENCE) / 2


def intervals(
    estimate: NDArray[np.float64],
    shares: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    trials: int,
    *,
    rounds: int,
    at_most: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intervals around shares by a delete-d jackknife (Shao, Wu, Annals of Statistics 17, 1989, section 2).

    Each round computes the shares of four fifths of the trials, drawn without replacement; their spread, times
    sqrt(kept / left out), is the standard error of the shares of all trials. A bootstrap is biased here: its copies are
    a large part of the best tenth, which PED-ANOVA looks at. Measured coverage: docs/decisions.md.

    Args:
        estimate: float [parameters], the shares of all trials, around which the intervals lie.
        shares: takes a mask, bool [trials], of the trials to use; returns their shares, float [parameters] in [0, 1].
        trials: how many trials there are.
        rounds: how many times trials are left out, at least 2.
        at_most: the most trials that a round uses, where more would take too long.
        rng: chooses the trials.

    Returns:
        The lower and the upper ends, each float [parameters] in [0, 1]; 0 and 1 with fewer than three trials.
    """
    kept = min(round(_KEPT * trials), at_most)
    if kept < 2 or kept == trials:  # noqa: PLR2004  one trial has no best tenth
        return np.zeros_like(estimate), np.ones_like(estimate)
    drawn = [rng.choice(trials, kept, replace=False) for _ in range(rounds)]
    found = np.stack([shares(np.isin(np.arange(trials), chosen)) for chosen in drawn])
    half = _NORMAL_QUANTILE * math.sqrt(kept / (trials - kept)) * found.std(axis=0, ddof=1)
    return np.clip(estimate - half, 0.0, 1.0), np.clip(estimate + half, 0.0, 1.0)
