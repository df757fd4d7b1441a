"""Image data for searches: found, checked, decoded once, split by class, shared by all workers.

`prepare` does the slow part once and caches it; the small value that it returns is sent to the workers, which map the
cached images into memory with `open_prepared`. Neither gives access to test images; `optrack.datasets.prepared.sealed`
does, which is not part of this face.
"""

if __name__ != "optrack.datasets":
    raise ImportError("import optrack.datasets, not datasets: a second copy of the package would be loaded")

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from .errors import DataError, NoTestPartError
from .store.values import DatasetInfo, Prepared, Progress, SearchData

if TYPE_CHECKING:
    from .prepared.preparation import open_prepared, prepare
    from .prepared.statistics import DatasetStatistics, dataset_statistics
    from .registry import dataset_infos, download, is_own_dataset, locate

__all__ = [
    "DataError",
    "DatasetInfo",
    "DatasetStatistics",
    "NoTestPartError",
    "Prepared",
    "Progress",
    "SearchData",
    "dataset_infos",
    "dataset_statistics",
    "download",
    "is_own_dataset",
    "locate",
    "open_prepared",
    "prepare",
]

# NumPy alone takes 0.15 s to import: commands that only need the names above should not wait for it.
_LAZY = {
    "DatasetStatistics": "prepared.statistics",
    "dataset_infos": "registry",
    "dataset_statistics": "prepared.statistics",
    "download": "registry",
    "is_own_dataset": "registry",
    "locate": "registry",
    "open_prepared": "prepared.preparation",
    "prepare": "prepared.preparation",
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name

    def __getattr__(name: str) -> object:
        """Import the functions of this face when they are first used."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return resolve_name(f"{__name__}.{_LAZY[name]}:{name}")
