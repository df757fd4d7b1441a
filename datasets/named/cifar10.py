"""CIFAR-10."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..store import ArrayContents, DatasetInfo
from .cifar_pickles import read_batch
from .named import NamedDataset
from .official import PartFiles, fetch_members

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))


def _read(files: Sequence[Path]) -> ArrayContents:
    batches = [read_batch(file, classes=len(_CLASSES)) for file in files]
    return ArrayContents(
        images=np.concatenate([images for images, _ in batches]),
        labels=np.concatenate([labels for _, labels in batches]),
        classes=_CLASSES,
    )


CIFAR10 = NamedDataset(
    info=DatasetInfo(
        name="cifar10",
        summary="animals and vehicles, 50,000 images to train on",
        channels=3,
        image_size=32,
        classes=len(_CLASSES),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    official=PartFiles(
        place=_FOLDER,
        names={"train": _TRAIN, "test": ("test_batch",)},
        others={"train": f" to {_TRAIN[-1]}", "test": ""},
        read=_read,
        # The batches alone; torchvision's own way would load the pickles.
        fetch=partial(fetch_members, "CIFAR10", _FOLDER, [*_TRAIN, "test_batch", "batches.meta"]),
        may_be_partial=True,
    ),
)
"""Objects: 50,000 images of 32x32 pixels to train on, 10,000 to test on, in pickle files of which nothing is run."""
