"""Anyone's own images in class folders."""

import re
from functools import partial
from pathlib import Path

from .class_folders import find_direct, find_parts, find_test_part
from .contents import Source
from .errors import DataError
from .values import DatasetInfo


class ImageFolder:
    """One folder per class, its name is the class's name, anything below it with an image's suffix is an image.

    `image_folder:PATH` takes three layouts, PATH relative to the current folder, `~` expanded:

    - `PATH/train/CLASS/*` and `PATH/val/CLASS/*` (or `valid`): both parts are used as they are.
    - `PATH/train/CLASS/*` alone: images to validate on are split off.
    - `PATH/CLASS/*`: a fifth is withheld for tests, always the same images as long as no file comes or goes and the
      group pattern stays; from the others images to validate on are split off.

    With a group pattern no split divides a group, that of the withheld fifth included. `PATH/test`, where it exists, is
    the test part. Which files count and how they are decoded is said in
    `class_folders` and `decoding`.
    """

    info = DatasetInfo(
        name="image_folder:PATH",
        summary="own images in PATH/train/CLASS/* (and val/, test/), or in PATH/CLASS/*",
        channels=None,
        image_size=None,
        classes=None,
        source="https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html",
        embedded=False,
        downloadable=False,
    )

    def locate(self, argument: str, data_dir: Path) -> Path | None:
        """The folder, if it is one."""
        del data_dir
        folder = _folder(argument)
        return folder if folder.is_dir() else None

    def find(self, argument: str, data_dir: Path, group_pattern: str | None) -> Source:
        """Find all images but those of the test part, see `Dataset.find`."""
        del data_dir
        folder = _folder(argument)
        find = find_parts if (folder / "train").is_dir() else find_direct
        return find(folder, cache_name=_cache_name(folder), group_pattern=group_pattern)

    def find_test(self, argument: str, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the images of `PATH/test`, or the withheld fifth, see `Dataset.find_test`."""
        del data_dir
        folder = _folder(argument)
        find = find_test_part if (folder / "train").is_dir() else partial(find_direct, withheld=True)
        return find(folder, cache_name=f"{_cache_name(folder)}-test", group_pattern=group_pattern)

    def download(self, argument: str, data_dir: Path) -> Path:
        """Say where it lies, see `Dataset.download`."""
        found = self.locate(argument, data_dir)
        if found is None:
            raise DataError(f"an image folder cannot be downloaded, and {argument!r} is not there")
        return found


def _cache_name(folder: Path) -> str:
    return "image_folder_" + re.sub(r"[^A-Za-z0-9_.-]", "_", folder.resolve().name)[:40]


def _folder(argument: str) -> Path:
    try:
        return Path(argument).expanduser()
    except RuntimeError as error:  # ~somebody, whom nobody knows
        raise DataError(f"{argument!r} cannot be expanded: {error}") from error
