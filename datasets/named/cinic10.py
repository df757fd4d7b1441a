"""CINIC-10."""

from ..store import DatasetInfo
from .named import NamedDataset

CINIC10 = NamedDataset(
    info=DatasetInfo(
        name="cinic10",
        summary="animals and vehicles of CIFAR-10 and ImageNet, 90,000 images each to train, validate and test on",
        channels=3,
        image_size=32,
        classes=10,
        source="https://arxiv.org/abs/1810.03505",
    ),
    official=None,
    by_hand="get CINIC-10.tar.gz at https://datashare.ed.ac.uk/handle/10283/3192 and unpack it in {folder}",
)
"""270,000 images of 32x32 pixels in `train`, `valid` and `test`; its own validation part is used as it is."""
