"""Search for the best configuration of image classifiers: studies, training, bookkeeping and the command line."""

if __name__ != "optrack.search":
    raise ImportError("import optrack.search, not search: a second copy of the package would be loaded")

from .errors import NothingStoredError, OptrackError, ServerError, StorageError, StudyError, TrackingError
from .space import Categorical, Float, Int
from .study import Budget, Data, Family, Pruner, Sampler, Study

__all__ = [
    "Budget",
    "Categorical",
    "Data",
    "Family",
    "Float",
    "Int",
    "NothingStoredError",
    "OptrackError",
    "Pruner",
    "Sampler",
    "ServerError",
    "StorageError",
    "Study",
    "StudyError",
    "TrackingError",
]
