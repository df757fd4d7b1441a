"""Fashion-MNIST."""

from ..store import DatasetInfo
from .idx import idx_files
from .named import NamedDataset

_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

FASHION_MNIST = NamedDataset(
    info=DatasetInfo(
        name="fashion_mnist",
        summary="articles of clothing, 60,000 grey images to train on",
        channels=1,
        image_size=28,
        classes=len(_CLASSES),
        source="https://arxiv.org/abs/1708.07747",
    ),
    official=idx_files("FashionMNIST", _CLASSES),
)
"""Zalando's articles: 60,000 images of 28x28 pixels to train on, 10,000 to test on."""
