"""Batched augmentation on the images' device, with random numbers of its own for each image.

`PRESETS` and the operations are plain values that do not import torch, so that a name can be checked at once; `preset`
and `Augmentation` import it.

>>> import torch
>>> from optrack.datasets.augmentation import preset
>>> images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
>>> preset("crop_flip")(images, torch.Generator().manual_seed(0)).shape
torch.Size([8, 3, 32, 32])
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
