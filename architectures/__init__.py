"""Models by name: what a study searches in is a class here, and its keyword-only parameters are its hyperparameters.

An architecture is an `nn.Module` built with `(input_shape, classes, *, hyperparameters...)`. Each hyperparameter is
annotated with its type and range (`hyperparameters.py`) and has a default. `minimum_image_size` is the side, in
pixels, of the smallest square image that the class takes with its defaults; a smaller one is a `ValueError`. `forward`
takes normalised images, float32 [B, C, H, W], and gives logits, float32 [B, classes]. Building one reads no file and
opens no connection; those that can start from pretrained weights are `transfer.Transferable`.

A user-defined network is one too: `file.py:Class` or `module:Class` names it, and `contract.py` checks it on a small
batch. To add one here, write the class in a file of its own and enter it in `registry.py`. Importing this package
does not import torch; `inspection.py`, which describes an architecture layer by layer, does.
"""

from lazy_loader import attach_stub

if __name__ != "optrack.architectures":
    raise ImportError("import optrack.architectures, not architectures: a second copy of the package would be loaded")

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
