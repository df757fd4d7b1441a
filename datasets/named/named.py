"""Data sets with a name: in a data folder, as torchvision unpacks them or in class folders."""

import shlex
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, NoTestPartError
from ..folders import find_sealed, find_searched
from ..store import DatasetInfo, Source
from .official import Official, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDataset:
    """A data set in `DIR/...` as torchvision unpacks it, or else in `DIR/NAME/{train,val|valid,test}/CLASS/*`.

    Attributes:
        info: what is known about it without reading it.
        official: the layout in which torchvision unpacks it; None if torchvision does not have it.
        by_hand: how to get it where torchvision cannot fetch it.
        group_pattern: which images belong together in class folders, see `groups.groups_of`; None for no groups.
    """

    info: DatasetInfo
    official: Official | None
    by_hand: str = ""
    group_pattern: str | None = None

    def locate(self, data_dir: Path) -> Path | None:
        """Return the folder with torchvision's files or with class folders, see `Dataset.locate`."""
        if self.official is not None and self.official.is_there(data_dir, "train"):
            return self.official.folder(data_dir)
        folders = data_dir / self.info.name
        return folders if (folders / "train").is_dir() else None

    def find(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the parts that a search may see, see `Dataset.find`."""
        source = self._find_official(data_dir, "train", group_pattern)
        if source is not None:
            return source
        return find_searched(
            self._class_folders(data_dir),
            cache_name=self.info.name,
            group_pattern=group_pattern or self.group_pattern,
        )

    def find_test(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the test part in the layout of the other parts, see `Dataset.find_test`."""
        if self.official is None or not self.official.is_there(data_dir, "train"):
            return find_sealed(self._class_folders(data_dir), cache_name=f"{self.info.name}-test")
        source = self._find_official(data_dir, "test", group_pattern)
        if source is None:
            raise NoTestPartError(
                f"{self.info.name} in {str(data_dir)!r} has no test part: there is no "
                f"{self.official.expected(data_dir, 'test')}; {self._how_to_get(data_dir)}"
            )
        return source

    def download(self, data_dir: Path) -> Path:
        """Fetch all parts through torchvision, see `Dataset.download`."""
        found = self.locate(data_dir)
        official = self.official
        if found is not None and (official is None or found != official.folder(data_dir)):
            return found
        if official is None:
            raise DataError(f"{self.info.name} is not downloaded for you: {self._how_to_get(data_dir)}")
        if found is None or not official.is_there(data_dir, "test"):
            try:
                official.fetch(data_dir)
            except (OSError, RuntimeError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
                raise DataError(f"{self.info.name} cannot be downloaded to {str(data_dir)!r}: {error}") from error
        return official.folder(data_dir)

    def _find_official(self, data_dir: Path, part: Part, group_pattern: str | None) -> Source | None:
        if self.official is None:
            return None
        source = self.official.find(data_dir, part, self.info.name if part == "train" else f"{self.info.name}-test")
        if source is not None and group_pattern is not None:
            raise DataError(
                f"a group pattern is for images in class folders, but {self.info.name} lies in "
                f"{str(self.official.folder(data_dir))!r} as torchvision unpacks it"
            )
        return source

    def _class_folders(self, data_dir: Path) -> Path:
        folders = data_dir / self.info.name
        if (folders / "train").is_dir():
            return folders
        lacking = f"class folders {str(folders / 'train')!r}/CLASS/* (and val/ or valid/, and test/, beside it)"
        if self.official is not None:
            lacking = f"neither {self.official.expected(data_dir, 'train')} (as torchvision unpacks it) nor {lacking}"
        else:
            lacking = f"no {lacking}"
        raise DataError(
            f"{self.info.name} is not in {str(data_dir)!r}: there is {lacking}; {self._how_to_get(data_dir)}"
        )

    def _how_to_get(self, data_dir: Path) -> str:
        if self.official is None:
            return self.by_hand.format(folder=repr(str(data_dir / self.info.name)))
        command = f"optrack dataset prepare {self.info.name} --download --data-dir {shlex.quote(str(data_dir))}"
        return f"fetch it with `{command}`"
