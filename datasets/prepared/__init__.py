"""What a search, a test and people see of prepared images."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .preparation import open_prepared, prepare
    from .previews import augmentation_preview, preview, save
    from .statistics import DatasetStatistics, dataset_statistics

__all__ = [
    "DatasetStatistics",
    "augmentation_preview",
    "dataset_statistics",
    "open_prepared",
    "prepare",
    "preview",
    "save",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "preparation": ["open_prepared", "prepare"],
            "previews": ["augmentation_preview", "preview", "save"],
            "statistics": ["DatasetStatistics", "dataset_statistics"],
        },
    )
