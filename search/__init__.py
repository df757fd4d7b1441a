"""Search for the best configuration of image classifiers: studies, training, bookkeeping and the command line."""

if __name__ != "optrack.search":
    raise ImportError("import optrack.search, not search: a second copy of the package would be loaded")

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from .errors import (
    NothingStoredError,
    OptrackError,
    OwnSourceError,
    ServerError,
    StorageError,
    StudyError,
    TrackingError,
)

if TYPE_CHECKING:
    from .champions.champion import Champion
    from .champions.registry import load_champion
    from .study.space import Categorical, Float, Int
    from .study.study import Budget, Data, Family, Pruner, Reference, Sampler, Study

__all__ = [
    "Budget",
    "Categorical",
    "Champion",
    "Data",
    "Family",
    "Float",
    "Int",
    "NothingStoredError",
    "OptrackError",
    "OwnSourceError",
    "Pruner",
    "Reference",
    "Sampler",
    "ServerError",
    "StorageError",
    "Study",
    "StudyError",
    "TrackingError",
    "load_champion",
]

# pydantic takes 0.15 s to import, and `optrack --help` needs none of it.
_LAZY = {
    "Champion": "champions.champion",
    "load_champion": "champions.registry",
    **dict.fromkeys(("Categorical", "Float", "Int"), "study.space"),
    **dict.fromkeys(("Budget", "Data", "Family", "Pruner", "Reference", "Sampler", "Study"), "study.study"),
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name

    def __getattr__(name: str) -> object:
        """Import the parts of this face when they are first used."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return resolve_name(f"{__name__}.{_LAZY[name]}:{name}")
