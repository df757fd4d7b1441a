"""LeNet-5 in its present-day forms, for images of at least 16 x 16 pixels."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from .blocks import FeatureNetwork, check_image_size, classifier
from .hyperparameters import BatchNormMomentum, Dropout, Filters, Init, KernelSize, Width
from .initialisation import initialise

POOLING = 2  # side and stride of both max-pools, in pixels


def minimum_size(*kernel_sizes: int) -> int:
    """Return the side in pixels of which unpadded convolutions, each followed by a pool, leave one pixel.

    >>> minimum_size(5, 5)
    16
    """
    size = 1
    for kernel_size in reversed(kernel_sizes):
        size = size * POOLING + kernel_size - 1
    return size


def size_after(size: int, *kernel_sizes: int) -> int:
    """Return the side in pixels that unpadded convolutions, each followed by a pool, leave of `size` pixels.

    >>> size_after(30, 5, 5)
    4
    """
    for kernel_size in kernel_sizes:
        size = (size - kernel_size + 1) // POOLING
    return size


def check_lenet_size(architecture: str, input_shape: tuple[int, int, int], kernel_sizes: tuple[int, int]) -> None:
    """Refuse images of which the two convolutions would leave nothing."""
    minimum = minimum_size(*kernel_sizes)
    condition = "with kernel_size_1={} and kernel_size_2={}".format(*kernel_sizes)
    check_image_size(architecture, input_shape, minimum, "" if minimum == LeNet.minimum_image_size else condition)


def lenet_features(
    channels: int,
    filters: Sequence[int],
    kernel_sizes: Sequence[int],
    *,
    batch_norm: bool,
    bn_momentum: float,
    padding: int = 0,
) -> nn.Sequential:
    """Build the convolutions: each with 2x2 max-pool, batch norm where wanted, and relu.

    Pooling in front of the relu gives what pooling behind it gives, for a quarter of the relus.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (outputs, kernel_size) in enumerate(zip(filters, kernel_sizes, strict=True), start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, outputs, kernel_size, padding=padding)
        layers[f"pool{number}"] = nn.MaxPool2d(POOLING)
        if batch_norm:
            layers[f"bn{number}"] = nn.BatchNorm2d(outputs, momentum=bn_momentum)
        layers[f"relu{number}"] = nn.ReLU()
        channels = outputs
    return nn.Sequential(layers)


class LeNet(FeatureNetwork):
    """Two convolutions, each with 2x2 max-pool and relu, then two hidden linear layers and one to the logits.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, Proc.
    IEEE 86(11), 1998, section II.B. As usual today with relu for tanh, max-pool for trainable subsampling, every filter
    of the second convolution connected to all of the first, and a linear output for the radial basis functions.

    Args:
        filters_1: of the first convolution.
        filters_2: of the second convolution.
        kernel_size_1: of the first convolution.
        kernel_size_2: of the second convolution.
        width_1: units of the first hidden linear layer.
        width_2: units of the second hidden linear layer.
        conv_batch_norm: whether batch norm stands before the relu of both convolutions.
        batch_norm: whether batch norm stands before the relu of both hidden linear layers.
        bn_momentum: of the batch norms; without effect when there are none.
        dropout: after the relu of both hidden linear layers.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = 16  # with the default kernel sizes

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        filters_1: Filters = 6,
        filters_2: Filters = 16,
        kernel_size_1: KernelSize = 5,
        kernel_size_2: KernelSize = 5,
        width_1: Width = 120,
        width_2: Width = 84,
        conv_batch_norm: bool = False,
        batch_norm: bool = False,
        bn_momentum: BatchNormMomentum = 0.1,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        kernels = kernel_size_1, kernel_size_2
        check_lenet_size("lenet", input_shape, kernels)
        channels, height, width = input_shape
        self.features = lenet_features(
            channels, (filters_1, filters_2), kernels, batch_norm=conv_batch_norm, bn_momentum=bn_momentum
        )  # to [B, filters_2, size_after(H), size_after(W)]
        self.classifier = classifier(
            filters_2 * size_after(height, *kernels) * size_after(width, *kernels),
            classes,
            [width_1, width_2],
            batch_norm=batch_norm,
            bn_momentum=bn_momentum,
            dropout=dropout,
        )
        initialise(self, init)


class LeNetFCN(nn.Module):
    """LeNet whose linear layers are convolutions: the first spans the whole feature map, the others one position.

    Source: J. Long, E. Shelhamer, T. Darrell, Fully convolutional networks for semantic segmentation, CVPR 2015,
    arXiv:1411.4038, section 3.1 (linear layers as convolutions), on LeNet as in `LeNet`. Built for images of one
    size, it takes larger ones too: it then stands at several positions, and its logits are the mean over them.

    Args:
        filters_1: of the first convolution.
        filters_2: of the second convolution.
        kernel_size_1: of the first convolution.
        kernel_size_2: of the second convolution.
        width_1: output channels of the third convolution, LeNet's first hidden linear layer.
        width_2: output channels of the fourth convolution, LeNet's second hidden linear layer.
        conv_batch_norm: whether batch norm stands before the relu of the first two convolutions.
        batch_norm: whether batch norm stands before the relu of the third and fourth convolution.
        bn_momentum: of the batch norms; without effect when there are none.
        dropout: after the relu of the third and fourth convolution.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = 16  # with the default kernel sizes

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        filters_1: Filters = 6,
        filters_2: Filters = 16,
        kernel_size_1: KernelSize = 5,
        kernel_size_2: KernelSize = 5,
        width_1: Width = 120,
        width_2: Width = 84,
        conv_batch_norm: bool = False,
        batch_norm: bool = True,
        bn_momentum: BatchNormMomentum = 0.1,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        kernels = kernel_size_1, kernel_size_2
        check_lenet_size("lenet_fcn", input_shape, kernels)
        channels, height, width = input_shape
        self.features = lenet_features(
            channels, (filters_1, filters_2), kernels, batch_norm=conv_batch_norm, bn_momentum=bn_momentum
        )
        window = size_after(height, *kernels), size_after(width, *kernels)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = filters_2
        for number, (units, kernel_size) in enumerate([(width_1, window), (width_2, (1, 1))], start=3):
            layers[f"conv{number}"] = nn.Conv2d(inputs, units, kernel_size)
            if batch_norm:
                layers[f"bn{number}"] = nn.BatchNorm2d(units, momentum=bn_momentum)
            layers[f"relu{number}"] = nn.ReLU()
            if dropout > 0:
                layers[f"dropout{number}"] = nn.Dropout(dropout)
            inputs = units
        layers["conv5"] = nn.Conv2d(inputs, classes, 1)
        self.classifier = nn.Sequential(layers)
        initialise(self, init)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, C, H, W], to logits [B, classes]."""
        features = self.features(images)  # [B, filters_2, size_after(H), size_after(W)]
        logits = self.classifier(features)  # [B, classes, 1, 1] at the size that it was built for
        return logits.mean(dim=(2, 3))
