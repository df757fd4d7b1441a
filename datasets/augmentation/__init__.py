"""Batched augmentation on the images' device, with random numbers of its own for each image.

`PRESETS` and the operations are plain values that do not import torch, so that a name can be checked at once; `preset`
and `Augmentation` import it.

>>> import torch
>>> from optrack.datasets.augmentation import preset
>>> images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
>>> preset("crop_flip")(images, torch.Generator().manual_seed(0)).shape
torch.Size([8, 3, 32, 32])
"""

from typing import TYPE_CHECKING

from ...sources import lazily
from .operations import Affine, Border, ColourJitter, Crop, Cutout, Flip, Grayscale, Operation
from .presets import PRESETS

if TYPE_CHECKING:
    from .pipeline import Augmentation, preset

__all__ = [
    "PRESETS",
    "Affine",
    "Augmentation",
    "Border",
    "ColourJitter",
    "Crop",
    "Cutout",
    "Flip",
    "Grayscale",
    "Operation",
    "preset",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(__name__, {"pipeline": ["Augmentation", "preset"]})
