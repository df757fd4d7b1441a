"""scikit-learn's handwritten digits."""

from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..store.cache import stamp_files
from ..store.contents import ArrayContents, Source
from ..store.split import withhold_test
from ..store.values import DatasetInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_BRIGHTEST = 16  # pixels count the black dots in 4x4 blocks of a scan


class Digits:
    """1,797 digits written by 43 people, 8x8 pixels, in scikit-learn's own files.

    There is no official test part that scikit-learn has: the 20 % that `withhold_test` takes never reach the cache.
    """

    info = DatasetInfo(
        name="digits",
        summary="handwritten digits, 1,797 grey images; comes with scikit-learn, a fifth is withheld for tests",
        channels=1,
        image_size=8,
        classes=10,
        source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        embedded=True,
        downloadable=False,
    )

    def locate(self, argument: str, data_dir: Path) -> Path | None:
        """scikit-learn's file."""
        del argument, data_dir
        spec = find_spec("sklearn")
        folders = (spec.submodule_search_locations or []) if spec else []
        files = (Path(folder) / "datasets" / "data" / "digits.csv.gz" for folder in folders)
        return next((file for file in files if file.is_file()), None)

    def find(self, argument: str, data_dir: Path, group_pattern: str | None) -> Source:
        """Find scikit-learn's file, see `Dataset.find`."""
        return self._find("digits", _read_kept, argument, data_dir, group_pattern)

    def find_test(self, argument: str, data_dir: Path, group_pattern: str | None) -> Source:
        """The same file for the withheld fifth, see `Dataset.find_test`."""
        return self._find("digits-test", _read_test, argument, data_dir, group_pattern)

    def _find(
        self,
        cache_name: str,
        read: "Callable[[], ArrayContents]",
        argument: str,
        data_dir: Path,
        group_pattern: str | None,
    ) -> Source:
        if group_pattern is not None:
            raise DataError(f"digits has no file names that the group pattern {group_pattern!r} could match")
        file = self.download(argument, data_dir)
        return Source(cache_name=cache_name, layout="embedded", stamp=stamp_files(file.parent, [file]), read=read)

    def download(self, argument: str, data_dir: Path) -> Path:
        """Nothing has to be fetched, see `Dataset.download`."""
        file = self.locate(argument, data_dir)
        if file is None:
            raise DataError("digits comes with scikit-learn, but its file digits.csv.gz is not there: reinstall it")
        return file


def read_all() -> ArrayContents:
    """All 1,797 images with the test part: images uint8 [1797, 1, 8, 8] scaled to 0..255, labels int64 [1797]."""
    load_digits = resolve_name("sklearn.datasets:load_digits")  # takes seconds to import, see split_off
    values, labels = load_digits(return_X_y=True)
    images: NDArray[np.uint8] = np.rint(values * (255 / _BRIGHTEST)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return ArrayContents(images=images, labels=labels.astype(np.int64), classes=tuple("0123456789"))


def _read_kept() -> ArrayContents:
    everything = read_all()
    return _chosen(everything, withhold_test(everything.labels, everything.classes)[0])


def _read_test() -> ArrayContents:
    everything = read_all()
    return _chosen(everything, withhold_test(everything.labels, everything.classes)[1])


def _chosen(everything: ArrayContents, indices: "NDArray[np.int64]") -> ArrayContents:
    return ArrayContents(
        images=everything.images[indices], labels=everything.labels[indices], classes=everything.classes
    )
