"""Four convolutions without padding, with overlapping pools."""

from collections import OrderedDict
from typing import ClassVar

from torch import nn

from .blocks import FeatureNetwork, check_image_size, classifier, hidden_widths
from .hyperparameters import BatchNormMomentum, Dropout, Filters, HeadDepth, Init, Width, WidthFactor
from .initialisation import initialise

KERNEL = 3
POOL, STRIDE = 3, 2  # overlapping pools, after Krizhevsky et al.


def size_after(size: int) -> int:
    """Return the side in pixels that the four convolutions and pools leave of `size` pixels; below 1 for nothing.

    >>> size_after(64), size_after(61), size_after(60)
    (1, 1, 0)
    """
    for _ in range(4):
        size = (size - KERNEL + 1 - POOL) // STRIDE + 1
    return size


class CNN4(FeatureNetwork):
    """Four blocks of 3x3 convolution, batch norm, relu and 3x3 max-pool of stride 2, then linear layers.

    Source: A. Krizhevsky, I. Sutskever, G. E. Hinton, ImageNet classification with deep convolutional neural networks,
    NeurIPS 2012, section 3.4 (overlapping pooling), with 3x3 windows and batch norm throughout.

    The pool stands in front of the relu, which gives the same as behind it.

    Args:
        filters_1: of the first convolution.
        filters_2: of the second convolution.
        filters_3: of the third convolution.
        filters_4: of the fourth convolution.
        batch_norm: whether the convolutions have one.
        bn_momentum: of the batch norms; without effect when there are none.
        head_depth: number of hidden linear layers.
        head_width: units of the first hidden linear layer.
        head_width_factor: width of each further hidden linear layer relative to the one before.
        dropout: after each hidden linear layer, or on the features where there is none.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = 61

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        filters_1: Filters = 256,
        filters_2: Filters = 512,
        filters_3: Filters = 512,
        filters_4: Filters = 1000,
        batch_norm: bool = True,
        bn_momentum: BatchNormMomentum = 0.1,
        head_depth: HeadDepth = 2,
        head_width: Width = 512,
        head_width_factor: WidthFactor = 0.5,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        check_image_size("cnn4", input_shape, self.minimum_image_size)
        channels, height, width = input_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, filters in enumerate([filters_1, filters_2, filters_3, filters_4], start=1):
            layers[f"conv{number}"] = nn.Conv2d(channels, filters, KERNEL)
            if batch_norm:
                layers[f"bn{number}"] = nn.BatchNorm2d(filters, momentum=bn_momentum)
            layers[f"pool{number}"] = nn.MaxPool2d(POOL, STRIDE)
            layers[f"relu{number}"] = nn.ReLU()
            channels = filters
        self.features = nn.Sequential(layers)  # to [B, filters_4, size_after(H), size_after(W)]
        self.classifier = classifier(
            filters_4 * size_after(height) * size_after(width),
            classes,
            hidden_widths(head_depth, head_width, head_width_factor),
            dropout=dropout,
        )
        initialise(self, init)
