"""Single values of hyperparameters, checked in our words and without rounding."""

import math
from collections.abc import Mapping
from numbers import Integral, Rational, Real
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, FiniteFloat, StrictBool, StrictInt, StrictStr

LARGEST_EXACT = 2**53
"""Up to here a float holds every whole number; Optuna stores the numbers of a space as floats."""

INEXACT = "must be a number that a float holds exactly"
"""What is said of a whole number that would be rounded."""

MOST_SHOWN = 80
"""Characters of a value in a message."""

_ONE = "must be one value (bool, int, float, str or None)"


class ChoiceError(ValueError):
    """Something else stands where one value is expected; the message is what follows the name of its place."""


def _one_value(value: Any) -> Any:
    """Return one value in a type that JSON, MLflow and Optuna all store unchanged; numbers of NumPy become Python's."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Rational):  # a Fraction would be rounded
        if math.isfinite(value):
            return float(value)
        raise ChoiceError(f"{_ONE}, finite, but got {value!r}")
    raise ChoiceError(f"{_ONE}, but got {shown(value)}")


def _wanted(value: Any) -> Any:
    """Return the value or the values of a condition."""
    if not isinstance(value, list | tuple):
        return _one_value(value)
    values: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    return tuple(_one_value(each) for each in values)


def several(value: Any) -> str:
    """Return how to choose among several values that stand where one is expected; nothing for anything else."""
    if not isinstance(value, list | tuple) or not value:
        return ""
    values: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    if not all(each is None or isinstance(each, bool | int | float | str) for each in values):
        return ""
    listed = ", ".join(map(repr, values))
    return f"; Categorical({listed}) chooses among them" if len(listed) <= MOST_SHOWN else ""


def shown(value: Any) -> str:
    """Return a value for a message, cut so that it fits on a line of a terminal."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def _unrounded(value: Any) -> Any:
    """Return what is to become a float, unless it is a whole number that would be rounded."""
    if isinstance(value, int) and not is_exact(value):
        raise ChoiceError(f"{INEXACT}, but got {shown(value)}")
    return value


def is_exact(value: float) -> bool:
    """Whether a number is the same as a float.

    >>> is_exact(2**53), is_exact(2**53 + 1), is_exact(2**60), is_exact(10**400)
    (True, False, True, False)
    """
    try:
        return float(value) == value
    except OverflowError:
        return False


_Value = StrictBool | StrictInt | Annotated[FiniteFloat, Field(strict=True)] | StrictStr | None

Choice = Annotated[_Value, BeforeValidator(_one_value)]
"""A value of a hyperparameter: what JSON, MLflow and Optuna all store unchanged."""

Condition = Mapping[
    str, Annotated[_Value | Annotated[tuple[_Value, ...], Field(strict=False)], BeforeValidator(_wanted)]
]
"""Maps another hyperparameter to the value or values that it must have: `{"optimizer": "sgd"}`."""

ExactFloat = Annotated[FiniteFloat, BeforeValidator(_unrounded)]
"""A finite float; a whole number is taken if it is not rounded."""

ExactInt = Annotated[int, Field(ge=-LARGEST_EXACT, le=LARGEST_EXACT)]
"""A whole number that a float holds exactly, as do all between two of them."""
