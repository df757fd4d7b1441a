"""Image data for searches: found, checked, decoded once, split by class, shared by all workers.

`prepare` does the slow part once and caches it; the small value that it returns is sent to the workers, which map the
cached images into memory with `open_prepared`. Neither gives access to test images; `optrack.datasets.prepared.sealed`
does, which is not part of this face.
"""

if __name__ != "optrack.datasets":
    raise ImportError("import optrack.datasets, not datasets: a second copy of the package would be loaded")

from typing import TYPE_CHECKING

from ..sources import lazily
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

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    # NumPy alone takes 0.15 s to import: commands that only need the names above should not wait for it.
    __getattr__ = lazily(
        __name__,
        {
            "prepared.preparation": ["open_prepared", "prepare"],
            "prepared.statistics": ["DatasetStatistics", "dataset_statistics"],
            "registry": ["dataset_infos", "download", "is_own_dataset", "locate"],
        },
    )
