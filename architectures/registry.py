"""The architectures that go by a name, and how a name becomes a class."""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES: dict[str, str] = {
    "logistic": "logistic:Logistic",
    "mlp": "mlp:MLP",
    "lenet": "lenet:LeNet",
}
"""Name to `module:Class` in this package; text, so that reading the names does not import torch."""


class UnknownArchitectureError(ValueError):
    """No architecture goes by that name."""

    def __init__(self, name: str) -> None:
        nearest = get_close_matches(name.lower(), ARCHITECTURES, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        super().__init__(f"unknown architecture {name!r}{hint}; valid names: {', '.join(sorted(ARCHITECTURES))}")


def architecture(name: str) -> type[nn.Module]:
    """Look an architecture up.

    Args:
        name: A key of `ARCHITECTURES`.

    Returns:
        The class; this imports its module, and torch with it.

    Raises:
        UnknownArchitectureError: The name is not registered.

    >>> architecture("lenet")
    <class 'optrack.architectures.lenet.LeNet'>
    """
    if name not in ARCHITECTURES:
        raise UnknownArchitectureError(name)
    return pkgutil.resolve_name(f"{__package__}.{ARCHITECTURES[name]}")
