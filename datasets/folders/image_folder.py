"""Anyone's own images in class folders."""

import re
from functools import partial
from pathlib import Path

from ..errors import DataError
from ..store.contents import Source
from ..store.values import DatasetInfo
from .class_folders import find_direct, find_parts, find_test_part
from .folder_files import has_parts


class ImageFolder:
    """One folder per class, its name is the class's name, anything below it with an image's suffix is an image.

    `image_folder:PATH` takes three layouts, PATH relative to the current folder, `~` expanded:

    - `PATH/train/CLASS/*` and `PATH/val/CLASS/*` (or `valid`): both parts are used as they are.
    - `PATH/train/CLASS/*` alone: images to validate on are split off.
    - `PATH/CLASS/*`: from what is not tested on, images to validate on are split off.

    The test part is what `PATH/optrack-test.txt` lists, which `optrack new` writes (see `test_list`), or `PATH/test`
    beside `PATH/train`. Where class folders have no list, a fifth is withheld, always the same images while no file
    comes or goes and the group pattern stays. With a group pattern no split divides a group, that of the withheld fifth
    included. Which files count and how they are decoded is said in `folder_files` and `decoding`.
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
        find = find_parts if has_parts(folder) else find_direct
        return find(folder, cache_name=_cache_name(folder), group_pattern=group_pattern)

    def find_test(self, argument: str, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the listed images, those of `PATH/test`, or the withheld fifth, see `Dataset.find_test`."""
        del data_dir
        folder = _folder(argument)
        find = find_test_part if has_parts(folder) else partial(find_direct, withheld=True)
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
