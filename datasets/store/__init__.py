"""How images are held: split, cached, shared."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .cache import Meta, ensure_folder, read_arrays, read_meta, read_split, stamp_files, stamp_with, write_split
    from .contents import ArrayContents, Contents, Dataset, Source
    from .decoding import (
        Header,
        Unreadable,
        all_cores,
        mapped,
        pillow_warnings_settled,
        pixels_of,
        read_header,
        read_image,
    )
    from .groups import check_apart, compiled, groups_of, renumbered
    from .split import Split, channel_statistics, class_counts, split_parts, withhold_test
    from .values import DatasetInfo, Layout, Prepared, Progress, SearchData

__all__ = [
    "ArrayContents",
    "Contents",
    "Dataset",
    "DatasetInfo",
    "Header",
    "Layout",
    "Meta",
    "Prepared",
    "Progress",
    "SearchData",
    "Source",
    "Split",
    "Unreadable",
    "all_cores",
    "channel_statistics",
    "check_apart",
    "class_counts",
    "compiled",
    "ensure_folder",
    "groups_of",
    "mapped",
    "pillow_warnings_settled",
    "pixels_of",
    "read_arrays",
    "read_header",
    "read_image",
    "read_meta",
    "read_split",
    "renumbered",
    "split_parts",
    "stamp_files",
    "stamp_with",
    "withhold_test",
    "write_split",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "cache": [
                "Meta",
                "ensure_folder",
                "read_arrays",
                "read_meta",
                "read_split",
                "stamp_files",
                "stamp_with",
                "write_split",
            ],
            "contents": ["ArrayContents", "Contents", "Dataset", "Source"],
            "decoding": [
                "Header",
                "Unreadable",
                "all_cores",
                "mapped",
                "pillow_warnings_settled",
                "pixels_of",
                "read_header",
                "read_image",
            ],
            "groups": ["check_apart", "compiled", "groups_of", "renumbered"],
            "split": ["Split", "channel_statistics", "class_counts", "split_parts", "withhold_test"],
            "values": ["DatasetInfo", "Layout", "Prepared", "Progress", "SearchData"],
        },
    )
