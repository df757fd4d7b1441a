"""Tests of significance of a difference between two models, and their correction."""

# SciPy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence

LEVEL = 0.05
"""A difference is significant where its corrected p-value is below this; intervals leave out the same share."""


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy (Wilson 1927, Journal of the American Statistical Association 22).

    >>> [round(end, 3) for end in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    from scipy.stats import binomtest

    interval = binomtest(right, images).proportion_ci(1 - LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(first_alone: int, second_alone: int) -> float:
    """Return the exact two-sided p-value of McNemar's test that two models are right equally often.

    If they are equally good, each has half of the images that only one of them recognises (McNemar: "Note on the
    sampling error of the difference between correlated proportions or percentages", Psychometrika 12, 1947).

    >>> mcnemar(0, 0), mcnemar(0, 6)
    (1.0, 0.03125)
    """
    from scipy.stats import binomtest

    either = first_alone + second_alone
    return float(binomtest(first_alone, either, 0.5).pvalue) if either else 1.0


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected for their number, in their order (Holm 1979, Scandinavian Journal of Statistics 6).

    The k-th smallest of m is multiplied by m - k + 1, and none becomes smaller than one before it.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    (0.03, 0.06, 0.06, 0.02)
    """
    corrected = [0.0] * len(p_values)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = so_far
    return tuple(corrected)


def p_text(p_value: float) -> str:
    """Return a p-value as papers print it; rounding does not carry it across the level of 0.05.

    >>> [p_text(value) for value in (2e-5, 0.0123, 0.04996, 0.4135, 0.9973, 1.0)]
    ['p < 0.001', 'p = 0.012', 'p = 0.04996', 'p = 0.41', 'p > 0.99', 'p = 1']
    """
    if p_value < 0.001:  # noqa: PLR2004  as journals print it
        return "p < 0.001"
    if p_value > 0.99:  # noqa: PLR2004  rounded it would read as certain
        return "p = 1" if p_value == 1 else "p > 0.99"
    digits = 3 if p_value < 0.1 else 2  # noqa: PLR2004  two significant digits
    while (round(p_value, digits) < LEVEL) != (p_value < LEVEL):
        digits += 1
    return f"p = {p_value:.{digits}f}"
