"""Configurations of a family that stand for all that its search may draw."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..study import Categorical, Family, Float, Int, applies, ordered


def corners(family: Family) -> list[Mapping[str, Any]]:
    """Return the start configurations, and each hyperparameter at each of its corners; what they leave out is drawn."""
    return [{**family.options, **values} for values in _searched(family)]


def single_image_corners(family: Family) -> Iterator[Mapping[str, Any]]:
    """Yield configurations that train on batches of one image, where the family may draw any.

    They are those of `corners`, with the hyperparameters that these leave out at their first or at their last values.
    """
    sizes = family.space.get("batch_size")
    may_be_single = family.options.get("batch_size") == 1 if sizes is None else sizes.contains(1)
    single = {} if sizes is None else {"batch_size": 1}
    for values in _searched(family) if may_be_single else ():
        if values.get("batch_size", 1) == 1:
            for end in (0, -1):
                drawn = _completed(family, {**values, **single}, end)
                if drawn is not None:
                    yield {**family.options, **drawn}


def _searched(family: Family) -> list[Mapping[str, Any]]:
    single = [{name: value} for name, found in family.space.items() for value in _ends(found)]
    return [dict[str, Any](), *family.start, *single]


def _completed(family: Family, values: Mapping[str, Any], end: int) -> Mapping[str, Any] | None:
    """Return values with all others at an end of their range, conditions met; None if they cannot be drawn together."""
    space, wanted = family.space, dict(values)
    for name in reversed(ordered(space)):  # children before what they depend on
        if name in wanted:
            for parent, allowed in space[name].when.items():
                if parent in space:
                    wanted.setdefault(parent, allowed[0] if isinstance(allowed, tuple) else allowed)
    drawn: dict[str, Any] = {}
    for name in ordered(space):
        if applies(space[name].when, {**family.options, **drawn}):
            drawn[name] = wanted.pop(name, _ends(space[name])[end])
    return None if wanted else drawn


def _ends(distribution: Float | Int | Categorical) -> Sequence[Any]:
    return distribution.choices if isinstance(distribution, Categorical) else (distribution.low, distribution.high)
