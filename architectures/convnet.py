"""Blocks of one padded convolution and a pool, down to a linear layer."""

from collections import OrderedDict
from typing import ClassVar

from torch import nn

from .blocks import FeatureNetwork, check_image_size, classifier
from .hyperparameters import BatchNormMomentum, Depth, Dropout, Filters, Init
from .initialisation import initialise

POOLING = 2  # side and stride of the max-pools, in pixels


class ConvNet(FeatureNetwork):
    """Blocks of padded 3x3 convolution, batch norm, relu and 2x2 max-pool, then one linear layer to the logits.

    Source: K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015,
    arXiv:1409.1556, section 2.1 (3x3 convolutions that keep the size, 2x2 pools), with one convolution a block.

    The pool stands in front of the relu, which gives the same as behind it.

    Args:
        depth: number of blocks; each halves height and width.
        filters_1: of the first block.
        filters_2: of each further block.
        batch_norm: whether batch norm stands between convolution and relu.
        bn_momentum: of the batch norms; without effect when there are none.
        dropout: after each block, so also in front of the linear layer.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = 32  # with five blocks

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        depth: Depth = 5,
        filters_1: Filters = 128,
        filters_2: Filters = 512,
        batch_norm: bool = False,
        bn_momentum: BatchNormMomentum = 0.1,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        minimum = POOLING**depth
        check_image_size(
            "convnet", input_shape, minimum, "" if minimum == self.minimum_image_size else f"with depth={depth}"
        )
        channels, height, width = input_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, depth + 1):
            filters = filters_1 if number == 1 else filters_2
            layers[f"conv{number}"] = nn.Conv2d(channels, filters, 3, padding=1)
            if batch_norm:
                layers[f"bn{number}"] = nn.BatchNorm2d(filters, momentum=bn_momentum)
            layers[f"pool{number}"] = nn.MaxPool2d(POOLING)
            layers[f"relu{number}"] = nn.ReLU()
            if dropout > 0:
                layers[f"dropout{number}"] = nn.Dropout(dropout)
            channels = filters
        self.features = nn.Sequential(layers)  # to [B, filters_2, H / 2 ** depth, W / 2 ** depth], rounded down
        self.classifier = classifier(channels * (height // minimum) * (width // minimum), classes, [])
        initialise(self, init)
