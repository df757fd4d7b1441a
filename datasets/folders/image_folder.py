"""User images in class folders."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..store import DatasetInfo, Source
from .class_folders import find_sealed, find_searched
from .folder_files import expanded


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """One folder per class, its name is the class's name, anything below it with an image's suffix is an image.

    `image_folder:PATH` takes three layouts, PATH relative to the current folder, `~` expanded:

    - `PATH/train/CLASS/*` and `PATH/val/CLASS/*` (or `valid`): both parts are used as they are.
    - `PATH/train/CLASS/*` alone: images to validate on are split off.
    - `PATH/CLASS/*`: from what is not tested on, images to validate on are split off.

    The test part is what `PATH/optrack-test.txt` lists, which `optrack new` writes (see `test_list`), or `PATH/test`
    beside `PATH/train`. Where class folders have no list, a fifth is withheld, always the same images while no file
    comes or goes and the group pattern stays. With a group pattern no split divides a group, that of the withheld fifth
    included. Which files count and how they are decoded is described in `folder_files` and `decoding`.
    """

    path: str
    info = DatasetInfo(
        name="image_folder:PATH",
        summary="own images in PATH/train/CLASS/* (and val/, test/), or in PATH/CLASS/*",
        source="https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html",
    )

    def locate(self, data_dir: Path) -> Path | None:
        """Return the folder, if it is one, see `Dataset.locate`."""
        folder = expanded(Path(self.path))
        return folder if folder.is_dir() else None

    def find(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find all images but those of the test part, see `Dataset.find`."""
        folder = expanded(Path(self.path))
        return find_searched(folder, cache_name=_cache_name(folder), group_pattern=group_pattern)

    def find_test(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the listed images, those of `PATH/test`, or the withheld fifth, see `Dataset.find_test`."""
        folder = expanded(Path(self.path))
        return find_sealed(folder, cache_name=f"{_cache_name(folder)}-test", group_pattern=group_pattern)

    def download(self, data_dir: Path) -> Path:
        """Return the folder: it cannot be downloaded, see `Dataset.download`."""
        found = self.locate(data_dir)
        if found is None:
            raise DataError(f"an image folder cannot be downloaded, and {self.path!r} is not there")
        return found


def _cache_name(folder: Path) -> str:
    return "image_folder_" + re.sub(r"[^A-Za-z0-9_.-]", "_", folder.resolve().name)[:40]
