"""The test part of a data set, which no search may see.

Nothing in this room imports this module but `statistics`, which counts and compares; `prepare` and `open_prepared`
never touch a file of it. A test says so.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..registry import resolve
from ..store import DataRequest, Progress, ensure_folder, read_arrays


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TestData:
    """All images of the test part; arrays, digest and groups are those of `SearchData`."""

    __test__: ClassVar[bool] = False  # pytest takes it for a test otherwise

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    digest: str
    groups: NDArray[np.int64] | None = None


def open_test(request: DataRequest, progress: Progress | None = None) -> TestData:
    """Open the test part, decoded once into a cache folder of its own.

    It is the official one if there is one. Data sets without one have a fifth withheld from searches: the digits,
    and user images in class folders without parts. A withheld fifth depends on the group pattern, and like all test
    parts not on the validation split.

    Raises:
        NoTestPartError: the data set is there without a test part.
        DataError: something is wrong with the name or the files.
    """
    source = resolve(request.name).find_test(request.data_dir, request.group_pattern)
    folder, meta = ensure_folder(source, image_size=request.image_size, cache_dir=request.cache_dir, progress=progress)
    images, labels, groups = read_arrays(folder, meta)
    return TestData(images=images, labels=labels, classes=meta.classes, digest=meta.digest, groups=groups)
