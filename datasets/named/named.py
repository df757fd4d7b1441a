"""Data sets with a name: in a data folder, as torchvision unpacks them or in class folders."""

import shlex
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ..errors import DataError, NoTestPartError
from ..folders.class_folders import find_parts, find_test_part
from ..store.cache import stamp_files
from ..store.contents import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from ..store.contents import Contents
    from ..store.values import DatasetInfo

Part = Literal["train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One part of a data set on disk.

    Attributes:
        files: All that is read.
        read: Reads them; raises DataError when they are damaged.
    """

    files: "Sequence[Path]"
    read: "Callable[[], Contents]"


class Official(Protocol):
    """The layout in which torchvision unpacks a data set."""

    def folder(self, data_dir: "Path") -> "Path":
        """Where all its files lie, or would."""
        ...

    def expected(self, data_dir: "Path", part: Part) -> str:
        """What is looked for, in words that follow 'there is neither'."""
        ...

    def is_there(self, data_dir: "Path", part: Part) -> bool:
        """Whether there is anything of a part; it looks at no more than it must."""
        ...

    def find(self, data_dir: "Path", part: Part) -> Found | None:
        """Find a part, or None if nothing of it is there.

        Raises:
            DataError: Some of its files are not there.
        """
        ...

    def fetch(self, data_dir: "Path") -> None:
        """Download and unpack all parts.

        Raises:
            OSError: The network fails; also RuntimeError, EOFError and errors of zlib, tarfile and zipfile.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDataset:
    """A data set in `DIR/...` as torchvision unpacks it, or else in `DIR/NAME/{train,val|valid,test}/CLASS/*`.

    Attributes:
        info: What is known about it without reading it.
        official: The layout in which torchvision unpacks it; None if torchvision does not have it.
        by_hand: How to get it where torchvision cannot fetch it.
        group_pattern: Which images belong together in class folders, see `groups.groups_of`; None for no groups.
    """

    info: "DatasetInfo"
    official: Official | None
    by_hand: str = ""
    group_pattern: str | None = None

    def locate(self, argument: str, data_dir: "Path") -> "Path | None":
        """The folder with torchvision's files, or with class folders."""
        del argument
        if self.official is not None and self.official.is_there(data_dir, "train"):
            return self.official.folder(data_dir)
        folders = data_dir / self.info.name
        return folders if (folders / "train").is_dir() else None

    def find(self, argument: str, data_dir: "Path", group_pattern: str | None) -> Source:
        """Find the parts that a search may see, see `Dataset.find`."""
        del argument
        source = self._find_official(data_dir, "train", group_pattern)
        if source is not None:
            return source
        return find_parts(
            self._class_folders(data_dir),
            cache_name=self.info.name,
            group_pattern=group_pattern or self.group_pattern,
        )

    def find_test(self, argument: str, data_dir: "Path", group_pattern: str | None) -> Source:
        """Find the test part in the layout of the other parts, see `Dataset.find_test`."""
        del argument
        cache_name = f"{self.info.name}-test"
        if self.official is None or not self.official.is_there(data_dir, "train"):
            return find_test_part(self._class_folders(data_dir), cache_name=cache_name)
        source = self._find_official(data_dir, "test", group_pattern)
        if source is None:
            raise NoTestPartError(
                f"{self.info.name} in {str(data_dir)!r} has no test part: there is no "
                f"{self.official.expected(data_dir, 'test')}; {self._how_to_get(data_dir)}"
            )
        return source

    def download(self, argument: str, data_dir: "Path") -> "Path":
        """Fetch all parts through torchvision, see `Dataset.download`."""
        found = self.locate(argument, data_dir)
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

    def _find_official(self, data_dir: "Path", part: Part, group_pattern: str | None) -> Source | None:
        official = self.official
        found = None if official is None else official.find(data_dir, part)
        if official is None or found is None:
            return None
        if group_pattern is not None:
            raise DataError(
                f"a group pattern is for images in class folders, but {self.info.name} lies in "
                f"{str(official.folder(data_dir))!r} as torchvision unpacks it"
            )
        return Source(
            cache_name=self.info.name if part == "train" else f"{self.info.name}-test",
            layout="torchvision",
            stamp=stamp_files(data_dir, found.files),
            read=found.read,
        )

    def _class_folders(self, data_dir: "Path") -> "Path":
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

    def _how_to_get(self, data_dir: "Path") -> str:
        if self.official is None:
            return self.by_hand.format(folder=repr(str(data_dir / self.info.name)))
        command = f"optrack dataset prepare {self.info.name} --download --data-dir {shlex.quote(str(data_dir))}"
        return f"fetch it with `{command}`"


def fetch_members(url: str, md5: str, data_dir: "Path", members: "Collection[str]") -> None:
    """Download a tar archive unless it is there, and unpack some of its files, each all at once.

    Args:
        url: Where the archive is; its last part names the file in `data_dir`.
        md5: Of the archive, in hexadecimal.
        data_dir: Where it is downloaded and unpacked to.
        members: Names of what is unpacked; anything else stays in the archive.

    Raises:
        RuntimeError: The archive is not the expected one.
        OSError: The network or the disk fails, or the archive lacks one of the files.
    """
    from ..torchvision_compat import download_url

    archive = data_dir / url.rpartition("/")[2]
    download_url(url, str(data_dir), filename=archive.name, md5=md5)
    missing = set(members)
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.name not in missing or (content := packed.extractfile(member)) is None:
                continue
            file = data_dir / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_name(f"{file.name}.part")
            with content, unfinished.open("wb") as stream:
                while block := content.read(2**20):
                    stream.write(block)
            unfinished.replace(file)
            missing.discard(member.name)
    if missing:
        raise OSError(f"{str(archive)!r} lacks {', '.join(sorted(missing))}")
