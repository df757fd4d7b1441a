"""Fashion-MNIST."""

from ..store.values import DatasetInfo
from .idx import IdxFiles
from .named import NamedDataset

FASHION_MNIST = NamedDataset(
    info=DatasetInfo(
        name="fashion_mnist",
        summary="articles of clothing, 60,000 grey images to train on",
        channels=1,
        image_size=28,
        classes=10,
        source="https://arxiv.org/abs/1708.07747",
        embedded=False,
        downloadable=True,
    ),
    official=IdxFiles(
        name="FashionMNIST",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
)
"""Zalando's articles: 60,000 images of 28x28 pixels to train on, 10,000 to test on."""
