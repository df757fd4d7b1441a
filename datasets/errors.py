"""The errors of this room, and how long lists are shown in their messages."""

from collections.abc import Sequence

from ..sources.errors import OptrackError

_NAMED_AT_MOST = 10


class DataError(OptrackError, ValueError):
    """Something is wrong with a data set, its name, its files or how it is asked for.

    The message names the culprit, then what is allowed.
    """


class NoTestPartError(DataError):
    """A data set is there, but not its test part."""


def listed(names: Sequence[str]) -> str:
    """Names in one line, the first ten of them and how many more there are.

    >>> listed(["a", "b"])
    'a, b'
    >>> listed([str(number) for number in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
