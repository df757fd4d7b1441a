"""MNIST."""

from ..store import DatasetInfo
from .idx import idx_files
from .named import NamedDataset

MNIST = NamedDataset(
    info=DatasetInfo(
        name="mnist",
        summary="handwritten digits, 60,000 grey images to train on",
        channels=1,
        image_size=28,
        classes=10,
        source="https://doi.org/10.1109/5.726791",
    ),
    official=idx_files("MNIST", tuple("0123456789")),
)
"""Handwritten digits: 60,000 images of 28x28 pixels to train on, 10,000 to test on."""
