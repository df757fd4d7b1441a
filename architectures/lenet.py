"""LeNet-5 in its present-day form, for images of any size from 16 x 16 pixels on."""

from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn

from .blocks import check_image_size, hidden_layer
from .hyperparameters import BatchNormMomentum, Dropout, Filters, KernelSize, Width

POOLING = 2  # side and stride of both max-pools, in pixels


def minimum_size(*kernel_sizes: int) -> int:
    """Give the side in pixels of which convolutions without padding, each with a pool behind it, leave one pixel.

    >>> minimum_size(5, 5)
    16
    """
    size = 1
    for kernel_size in reversed(kernel_sizes):
        size = size * POOLING + kernel_size - 1
    return size


def size_after(size: int, *kernel_sizes: int) -> int:
    """Give the side in pixels that convolutions without padding, each with a pool behind it, leave of `size` pixels.

    >>> size_after(30, 5, 5)
    4
    """
    for kernel_size in kernel_sizes:
        size = (size - kernel_size + 1) // POOLING
    return size


class LeNet(nn.Module):
    """Two convolutions, each with relu and 2x2 max-pool, then two hidden linear layers and one to the logits.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, Proc.
    IEEE 86(11), 1998, section II.B. As usual today with relu for tanh, max-pool for trainable subsampling, every filter
    of the second convolution connected to all of the first, and a linear output for the radial basis functions.

    Args:
        input_shape: Channels, height, width.
        classes: Number of classes.
        filters_1: Of the first convolution.
        filters_2: Of the second convolution.
        kernel_size_1: Of the first convolution.
        kernel_size_2: Of the second convolution.
        width_1: Units of the first hidden linear layer.
        width_2: Units of the second hidden linear layer.
        batch_norm: Whether batch norm stands before the relu of both hidden linear layers.
        bn_momentum: Of the batch norms; without effect when there are none.
        dropout: After the relu of both hidden linear layers.

    Raises:
        ValueError: The image is smaller than the convolutions need: 16 x 16 pixels, other kernel sizes more or less.
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
        batch_norm: bool = False,
        bn_momentum: BatchNormMomentum = 0.1,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        minimum = minimum_size(kernel_size_1, kernel_size_2)
        condition = f"with kernel_size_1={kernel_size_1} and kernel_size_2={kernel_size_2}"
        check_image_size("lenet", input_shape, minimum, "" if minimum == self.minimum_image_size else condition)

        channels, height, width = input_shape
        positions = size_after(height, kernel_size_1, kernel_size_2) * size_after(width, kernel_size_1, kernel_size_2)
        self.features = nn.Sequential(
            OrderedDict[str, nn.Module](
                conv1=nn.Conv2d(channels, filters_1, kernel_size_1),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(POOLING),
                conv2=nn.Conv2d(filters_1, filters_2, kernel_size_2),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(POOLING),
            )
        )
        hidden_1 = hidden_layer(
            1, filters_2 * positions, width_1, batch_norm=batch_norm, bn_momentum=bn_momentum, dropout=dropout
        )
        hidden_2 = hidden_layer(2, width_1, width_2, batch_norm=batch_norm, bn_momentum=bn_momentum, dropout=dropout)
        self.classifier = nn.Sequential(
            OrderedDict[str, nn.Module](flatten=nn.Flatten(), **hidden_1, **hidden_2, fc3=nn.Linear(width_2, classes))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, C, H, W], to logits [B, classes]."""
        features = self.features(images)  # [B, filters_2, size_after(H), size_after(W)]
        return self.classifier(features)
