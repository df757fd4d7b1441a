"""Images that belong together, such as the photographs of one object: which they are, and splits that keep them whole.

Frames of one track look alike. With some of them on either side of a split, a model that has merely memorised the
track does well on the images that it has not seen, and the measured accuracy says nothing.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed

_LEAST_GAIN = 1e-12  # what differs by less is equal but for rounding
_FEWEST_GROUPS = 2  # one for each side


def groups_of(names: Sequence[str], pattern: str) -> NDArray[np.int64]:
    r"""Group names by a regular expression.

    Args:
        names: [N] file names, relative to the folder with the class folders, with `/` on every system.
        pattern: it is searched in each name; its first group, or the whole match if it has no group, is the key.

    Returns:
        int64 [N], equal for equal keys, numbered from 0 in the order of the keys.

    Raises:
        DataError: the pattern is not a regular expression, or finds no key in some of the names.

    >>> groups_of(["cat/tom_1.png", "cat/tom_2.png", "dog/rex_1.png"], r"(.+)_\d")
    array([0, 0, 1])
    """
    search = compiled(pattern).search
    matches = [search(name) for name in names]
    keys = [match and match[1 if match.re.groups else 0] for match in matches]
    missing = [name for name, key in zip(names, keys, strict=True) if not key]
    if missing:
        raise DataError(
            f"the group pattern {pattern!r} must match every file name, but finds no key in {len(missing)} of "
            f"{len(names)}: {listed(missing)}"
        )
    return numbered([key for key in keys if key])


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a group pattern."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise DataError(f"the group pattern {pattern!r} must be a regular expression, but {error}") from error


def numbered(keys: Sequence[str]) -> NDArray[np.int64]:
    """Number keys: int64 [N], equal for equal keys, from 0 in the order of the keys."""
    number = {key: index for index, key in enumerate(sorted(set(keys)))}
    return np.array([number[key] for key in keys], dtype=np.int64)


def renumbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber groups without gaps, in the same order."""
    return np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def check_apart(groups: NDArray[np.int64], names: Sequence[str], *, start: int) -> None:
    """Check that no group is in both official parts.

    Raises:
        DataError: a group has images on both sides.
    """
    shared = np.intersect1d(groups[:start], groups[start:])
    if len(shared):
        members = np.flatnonzero(groups == shared[0])
        raise DataError(
            f"no group may have images in both train and the validation part, but {len(shared)} "
            f"{'has' if len(shared) == 1 else 'have'}, for example that of {names[members[0]]} and "
            f"{names[members[-1]]}: move them, or remove that part"
        )


def split_off_groups(
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    classes: Sequence[str],
    *,
    share: float,
    seed: int,
    part: str,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split off whole groups at random, so that every class comes as near to its share as whole groups allow.

    Groups are visited in random order and change sides where that brings the classes' shares nearer to `share`, in sum
    of squares, until no single group can do so. Where every group is of one class, no class is then farther from its
    share than half of its largest group, unless that group is needed to have the class on both sides.

    Arguments and results are those of `split.split_off`; groups are int64 [N] from 0 without gaps.
    """
    cells, images = np.unique(groups * len(classes) + labels, return_counts=True)
    in_groups = np.bincount(cells % len(classes), minlength=len(classes))
    fewest = int(in_groups.argmin())
    rule = f"every class must have groups on both sides when {share:g} of the images are split off for {part}"
    if in_groups[fewest] < _FEWEST_GROUPS:
        count = int(in_groups[fewest])
        raise DataError(f"{rule}, but class {classes[fewest]!r} has {count} group{'' if count == 1 else 's'} in all")
    members: list[list[tuple[int, int]]] = [[] for _ in range(int(groups.max()) + 1)]
    for cell, count in zip(cells.tolist(), images.tolist(), strict=True):
        members[cell // len(classes)].append((cell % len(classes), count))
    sides = _Sides(members=members, totals=np.bincount(labels, minlength=len(classes)).tolist(), share=share)
    taken = sides.settled(_shuffled(len(members), seed))
    parts = np.flatnonzero(~taken[groups]), np.flatnonzero(taken[groups])
    lacking = [
        name for index, name in enumerate(classes) if not all(np.any(labels[indices] == index) for indices in parts)
    ]
    if lacking:
        raise DataError(f"{rule}, but groups with several classes allow it for none of {listed(lacking)}")
    return parts


def _shuffled(count: int, seed: int) -> list[int]:
    """Return the numbers below `count` in random order; hashed, because a library's generator may change some day."""
    return sorted(range(count), key=lambda number: hashlib.sha256(f"{seed},{number}".encode()).digest())


@dataclass(slots=True, kw_only=True, eq=False)
class _Sides:
    """Which groups are split off, while they change sides.

    Attributes:
        members: of every group, its classes and how many images it has of each.
        totals: [C] images of every class.
        share: what is wanted of every class.
    """

    members: list[list[tuple[int, int]]]
    totals: list[int]
    share: float

    def settled(self, order: Iterable[int]) -> NDArray[np.bool_]:
        """Return which groups, bool [G], are split off once no group can change sides to advantage."""
        taken = np.zeros(len(self.members), dtype=np.bool_)
        inside = [0] * len(self.totals)
        order = list(order)
        moved = True
        while moved:
            moved = False
            for group in order:
                if self._gain(group, taken, inside, missing_costs=0) > _LEAST_GAIN:
                    self._move(group, taken, inside)
                    moved = True
        # Classes that are on one side alone, because all of their groups are large, are helped at any price, but by
        # the group that costs least.
        dear = 2 * len(self.totals)
        while True:
            gain, _, group = max(
                (self._gain(group, taken, inside, missing_costs=dear), -place, group)
                for place, group in enumerate(order)
            )
            if gain <= _LEAST_GAIN:
                return taken
            self._move(group, taken, inside)

    def _gain(self, group: int, taken: NDArray[np.bool_], inside: list[int], *, missing_costs: float) -> float:
        sign = -1 if taken[group] else 1
        return sum(
            self._cost(label, inside[label], missing_costs)
            - self._cost(label, inside[label] + sign * count, missing_costs)
            for label, count in self.members[group]
        )

    def _cost(self, label: int, inside: int, missing_costs: float) -> float:
        total = self.totals[label]
        cost = (inside / total - self.share) ** 2
        return cost + missing_costs if inside in (0, total) else cost

    def _move(self, group: int, taken: NDArray[np.bool_], inside: list[int]) -> None:
        sign = -1 if taken[group] else 1
        for label, count in self.members[group]:
            inside[label] += sign * count
        taken[group] = not taken[group]
