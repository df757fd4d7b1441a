"""scikit-learn's handwritten digits."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..store import ArrayContents, DatasetInfo, Source, stamp_files

_BRIGHTEST = 16  # pixels count the black dots in 4x4 blocks of a scan


class Digits:
    """1,797 digits written by 43 people, 8x8 pixels, in scikit-learn's own files.

    scikit-learn has no official test part: the 20 % that `withhold_test` takes never reach the cache of a search.
    """

    info = DatasetInfo(
        name="digits",
        summary="handwritten digits, 1,797 grey images; comes with scikit-learn, a fifth is withheld for tests",
        channels=1,
        image_size=8,
        classes=10,
        source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        embedded=True,
    )

    def locate(self, data_dir: Path) -> Path | None:
        """Return scikit-learn's file, see `Dataset.locate`."""
        spec = find_spec("sklearn")
        folders = (spec.submodule_search_locations or []) if spec else []
        files = (Path(folder) / "datasets" / "data" / "digits.csv.gz" for folder in folders)
        return next((file for file in files if file.is_file()), None)

    def find(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find scikit-learn's file, see `Dataset.find`."""
        return self._find("digits", data_dir, group_pattern, test=False)

    def find_test(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the same file for the withheld fifth, see `Dataset.find_test`."""
        return self._find("digits-test", data_dir, group_pattern, test=True)

    def _find(self, cache_name: str, data_dir: Path, group_pattern: str | None, *, test: bool) -> Source:
        if group_pattern is not None:
            raise DataError(f"digits has no file names that the group pattern {group_pattern!r} could match")
        file = self.download(data_dir)
        stamp = stamp_files(file.parent, [file])
        return Source(
            cache_name=cache_name, layout="embedded", stamp=stamp, read=lambda: read_all().withheld(test=test)
        )

    def download(self, data_dir: Path) -> Path:
        """Return scikit-learn's file: there is nothing to download, see `Dataset.download`."""
        file = self.locate(data_dir)
        if file is None:
            raise DataError("digits comes with scikit-learn, but its file digits.csv.gz is not there: reinstall it")
        return file


def read_all() -> ArrayContents:
    """Return all 1,797 images with the test part: uint8 [1797, 1, 8, 8] scaled to 0..255, labels int64 [1797]."""
    import sklearn.datasets  # pyright: ignore[reportMissingTypeStubs]  takes seconds

    digits = cast("Any", sklearn.datasets.load_digits())
    images: NDArray[np.uint8] = np.rint(digits.data * (255 / _BRIGHTEST)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return ArrayContents(images=images, labels=digits.target.astype(np.int64), classes=tuple("0123456789"))
