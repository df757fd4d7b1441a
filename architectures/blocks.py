"""What several architectures are built from."""

from collections import OrderedDict

from torch import nn


def check_image_size(architecture: str, input_shape: tuple[int, int, int], minimum: int, condition: str = "") -> None:
    """Refuse images that are too small, before any layer is built.

    Args:
        architecture: The name that the message gives.
        input_shape: Channels, height, width; the last two in pixels.
        minimum: The smallest height and width in pixels.
        condition: What the minimum depends on, for the message, such as "with kernel_size_1=7"; may be empty.

    Raises:
        ValueError: Height or width is below the minimum.
    """
    _, height, width = input_shape
    if min(height, width) < minimum:
        needs = f"{architecture} needs images of at least {minimum} x {minimum} pixels"
        raise ValueError(f"{f'{needs} {condition}'.rstrip()}, but got {height} x {width}")


def hidden_layer(
    number: int, inputs: int, width: int, *, batch_norm: bool, bn_momentum: float, dropout: float
) -> OrderedDict[str, nn.Module]:
    """Make a hidden linear layer: linear, batch norm, relu, dropout, from [B, inputs] to [B, width].

    The linear layer keeps its bias in front of batch norm too, as the hand-tuned networks that we compare with do.
    Order: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2 (batch norm before the nonlinearity).

    Args:
        number: Ends the names of the modules: fc1, bn1, relu1, dropout1.
        inputs: Number of features that come in.
        width: Number of units.
        batch_norm: Whether there is a batch norm.
        bn_momentum: Of the batch norm, in (0, 1].
        dropout: In [0, 1); at 0 there is no dropout module.

    Returns:
        Modules by name, in the order in which they run.
    """
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    modules[f"fc{number}"] = nn.Linear(inputs, width)
    if batch_norm:
        modules[f"bn{number}"] = nn.BatchNorm1d(width, momentum=bn_momentum)
    modules[f"relu{number}"] = nn.ReLU()
    if dropout > 0:
        modules[f"dropout{number}"] = nn.Dropout(dropout)
    return modules
