"""What can be wrong with data or with the name of it."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAMED_AT_MOST = 10


class DataError(ValueError):
    r"""Something is wrong with a data set, its name, its files or how it is asked for.

    The message is one line: it names the culprit, then what is allowed.

    >>> raise DataError("first line\nsecond line")
    Traceback (most recent call last):
        ...
    optrack.datasets.errors.DataError: first line second line
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NoTestPartError(DataError):
    """A data set is there, but not its test part."""


def did_you_mean(name: str, known: "Iterable[str]") -> str:
    """The end of a message about an unknown name: the nearest known one, or nothing.

    >>> did_you_mean("fashion_mnits", ["digits", "fashion_mnist"])
    " (did you mean 'fashion_mnist'?)"
    >>> did_you_mean("cars", ["digits", "fashion_mnist"])
    ''
    """
    nearest = get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def listed(names: "Sequence[str]") -> str:
    """Names in one line, the first ten of them and how many more there are.

    >>> listed(["a", "b"])
    'a, b'
    >>> listed([str(number) for number in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
