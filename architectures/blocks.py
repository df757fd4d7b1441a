"""Building blocks of several architectures."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class FeatureNetwork(nn.Module):
    """Layers that make features, then a classifier; subclasses build both."""

    features: nn.Sequential
    classifier: nn.Sequential

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, C, H, W], to logits [B, classes]."""
        return self.classifier(self.features(images))


def paired_convolutions(
    channels: int, filters: Sequence[int], *, batch_norm: bool, bn_momentum: float, dropout: float = 0.0
) -> nn.Sequential:
    """Build padded 3x3 convolutions, each with relu and batch norm behind it, and a 2x2 max-pool behind every second.

    There is an even number of them. Dropout, of whole channels, comes behind every second relu; at 0 there is none. The
    modules are named conv1, relu1, bn1, conv2, relu2, dropout1, bn2, pool1, conv3 and so on.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs) in enumerate(pairwise([channels, *filters]), start=1):
        block, is_first = divmod(number, 2)
        layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, 3, padding=1)
        layers[f"relu{number}"] = nn.ReLU()
        if dropout > 0 and not is_first:
            layers[f"dropout{block}"] = nn.Dropout2d(dropout)
        if batch_norm:
            layers[f"bn{number}"] = nn.BatchNorm2d(outputs, momentum=bn_momentum)
        if not is_first:
            layers[f"pool{block}"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


def check_image_size(architecture: str, input_shape: tuple[int, int, int], minimum: int, condition: str = "") -> None:
    """Refuse images below a height and width in pixels; the condition says what this minimum depends on."""
    _, height, width = input_shape
    if min(height, width) < minimum:
        needs = f"{architecture} needs images of at least {minimum} x {minimum} pixels"
        raise ValueError(f"{f'{needs} {condition}'.rstrip()}, but got {height} x {width}")


def hidden_widths(depth: int, width: int, width_factor: float, repeats: int = 1) -> list[int]:
    """Return the widths of hidden layers: after every `repeats` layers times the factor, rounded, at least 1.

    >>> hidden_widths(3, 512, 0.5)
    [512, 256, 128]
    >>> hidden_widths(5, 512, 0.5, repeats=2)
    [512, 512, 256, 256, 128]
    """
    widths: list[int] = []
    for number in range(depth):
        if number and number % repeats == 0:
            width = max(1, round(width * width_factor))
        widths.append(width)
    return widths


def classifier(
    inputs: int,
    classes: int,
    widths: Sequence[int],
    *,
    batch_norm: bool = False,
    bn_momentum: float = 0.1,
    dropout: float = 0.0,
    relu_first: bool = False,
) -> nn.Sequential:
    """Build the layers from features to logits: hidden linear layers, then a linear one, [B, ...] to [B, classes].

    Batch norm stands before the relu (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2) unless `relu_first`, and
    the linear layer before it keeps its bias, as in the hand-tuned networks that we compare with. Dropout comes after
    each hidden layer, or on the features where there is none. The modules are named flatten, fc1, bn1, relu1, dropout1,
    fc2 and so on.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    if dropout > 0 and not widths:
        layers["dropout"] = nn.Dropout(dropout)
    for number, width in enumerate(widths, start=1):
        layers[f"fc{number}"] = nn.Linear(inputs, width)
        if relu_first:
            layers[f"relu{number}"] = nn.ReLU()
        if batch_norm:
            layers[f"bn{number}"] = nn.BatchNorm1d(width, momentum=bn_momentum)
        if not relu_first:
            layers[f"relu{number}"] = nn.ReLU()
        if dropout > 0:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        inputs = width
    layers[f"fc{len(widths) + 1}"] = nn.Linear(inputs, classes)
    return nn.Sequential(layers)
