"""Search for the best configuration of image classifiers: studies, training, bookkeeping and the command line."""

if __name__ != "optrack.search":
    raise ImportError("import optrack.search, not search: a second copy of the package would be loaded")

from typing import TYPE_CHECKING

from ..sources import lazily
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
    from .champions import Champion, load_champion
    from .study import Budget, Categorical, Data, Family, Float, Int, Pruner, Reference, Sampler, Study

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

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    # pydantic takes 0.15 s to import, and `optrack --help` needs none of it.
    __getattr__ = lazily(
        __name__,
        {
            "champions": ["Champion", "load_champion"],
            "study": [
                "Budget",
                "Categorical",
                "Data",
                "Family",
                "Float",
                "Int",
                "Pruner",
                "Reference",
                "Sampler",
                "Study",
            ],
        },
    )
