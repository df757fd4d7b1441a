"""Groups that the names of image files suggest: frames of one track, copies of one photograph.

A suggestion is a guess from names alone, so it is made only if the names look like groups and not like a counter: a
good share of the images must be in groups of several, and no group may hold much of its class.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..store import compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedGroups:
    """What names suggest.

    Attributes:
        pattern: a group pattern, see `groups.groups_of`.
        reason: what the names look like, for people.
        images: how many images are in a group with others.
        example: two names of one group.
    """

    pattern: str
    reason: str
    groups: int
    images: int
    example: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    """One way of naming images that belong together, and the least share of images in a group with others."""

    pattern: str
    reason: str
    least_share: float


# The dots keep to the file's name: what is searched is CLASS/FILE. The first habit that fits is taken, so the ones that
# say most stand first.
_HABITS = (
    _Habit(pattern=r"^(.+)\.rf\.[^/]+$", reason="changed copies of one image, as Roboflow names them", least_share=0.1),
    _Habit(pattern=r"^(.+/.+)/[^/]+$", reason="a folder for each group within its class", least_share=0.5),
    _Habit(pattern=r"^(.+)_\d+\.[^./]+$", reason="frames, numbered behind the name of their group", least_share=0.5),
    _Habit(pattern=r"^(.+)-\d+\.[^./]+$", reason="frames, numbered behind the name of their group", least_share=0.5),
    # From here on some names may stand alone.
    _Habit(
        pattern=r"^(.+?)(?:[_-]\d+)?\.[^./]+$",
        reason="images, numbered behind the name of their group",
        least_share=0.5,
    ),
    _Habit(
        pattern=r"^(.+?)(?:(?: -)? [Cc]opy(?: \d+)?)?(?: ?\(\d+\))?\.[^./]+$",
        reason="copies of one file, as a desktop names them",
        least_share=0.0,
    ),
)
_LARGEST_GROUP = 0.25  # of its class: a counter behind one word is one group, and a split needs several
_LARGEST_ALLOWED = 2  # in a class however small: an image and its copy
_FEWEST_GROUPS = 5  # of every class: for training, validation and test, and a choice of which goes where


def suggest_groups(names: Sequence[str]) -> SuggestedGroups | None:
    r"""Return the groups that names `CLASS/FILE` suggest, or None if they look like names of single images.

    The same name in another part counts once.

    >>> frames = [f"{sign}/{track:05}_{frame:05}.ppm" for sign in "ab" for track in range(9) for frame in range(30)]
    >>> suggest_groups(frames).pattern
    '^(.+)_\\d+\\.[^./]+$'
    >>> suggest_groups([f"cat/img_{number:03}.jpg" for number in range(99)])
    """
    different = list(dict.fromkeys(names))  # a counter starts anew in every part
    in_class = Counter(_class_of(name) for name in different)
    return next((found for habit in _HABITS if (found := _suggestion(habit, different, in_class))), None)


def _suggestion(habit: _Habit, names: Sequence[str], in_class: Mapping[str, int]) -> SuggestedGroups | None:
    search = compiled(habit.pattern).search
    members: dict[str, list[str]] = {}
    for name in names:
        match = search(name)
        if match is None:
            return None
        members.setdefault(match[1], []).append(name)
    groups_in_class = Counter(_class_of(key) for key in members)
    together = sum(len(images) for images in members.values() if len(images) > 1)
    if not together or together < habit.least_share * len(names):
        return None
    if any(groups_in_class[name] < _FEWEST_GROUPS for name in in_class):
        return None
    for key, images in members.items():
        if len(images) > max(_LARGEST_ALLOWED, _LARGEST_GROUP * in_class[_class_of(key)]):
            return None
    first = next(images for images in members.values() if len(images) > 1)
    return SuggestedGroups(
        pattern=habit.pattern,
        reason=habit.reason,
        groups=len(members),
        images=together,
        example=(first[0], first[1]),
    )


def _class_of(name: str) -> str:
    return name.partition("/")[0]
