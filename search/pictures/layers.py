"""What pictures of a network are made of: its first weights, and the outputs of its convolutions."""

import math
from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

Normalise = Callable[[Tensor], Tensor]
"""From images uint8 [B, C, H, W] to what the network takes, float32 [B, C, H, W]."""


def first_convolution(model: nn.Module) -> nn.Conv2d | None:
    """Return the convolution that is defined first; None where there is none."""
    return next(iter(_convolutions(model).values()), None)


def first_weights(model: nn.Module, input_shape: tuple[int, int, int]) -> Tensor | None:
    """Return the weights of a network's first convolution, or else of a linear layer on pixels of this input shape.

    Returns:
        A copy on the CPU, float32 [out, in, kH, kW]; [out, C, H, W] for a linear layer; None where there is neither.
    """
    layer = first_convolution(model)
    if layer is not None:
        return layer.weight.detach().to("cpu", torch.float32, copy=True)
    linear = next((module for module in _modules(model).values() if isinstance(module, nn.Linear)), None)
    if linear is None or linear.in_features != math.prod(input_shape):
        return None
    return linear.weight.detach().to("cpu", torch.float32, copy=True).reshape(-1, *input_shape)


def convolution_outputs(model: nn.Module, image: Tensor, normalise: Normalise) -> dict[str, Tensor]:
    """Return the outputs of a network's convolutions for one image.

    Those with a single position are left out, if there are others: they act as linear layers.

    Args:
        model: in any mode, which is restored.
        image: uint8 [C, H, W], on the network's device.
        normalise: applied to the images before the network.

    Returns:
        Name of each convolution and its output, float32 [out, h, w] on the CPU, in the order in which they run.
    """
    outputs: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(_keeper(outputs, name))  # pyright: ignore[reportUnknownMemberType]
        for name, layer in _convolutions(model).items()
    ]
    training = model.training
    try:
        with torch.inference_mode():
            model.eval()(normalise(image[None]))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    spread = {name: output for name, output in outputs.items() if output.shape[1:].numel() > 1}
    return spread or outputs


def _keeper(outputs: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.setdefault(name, output[0].to("cpu", torch.float32))

    return keep


def _convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    return {name: module for name, module in _modules(model).items() if isinstance(module, nn.Conv2d)}


def _modules(model: nn.Module) -> dict[str, nn.Module]:
    return dict(cast("Iterable[tuple[str, nn.Module]]", model.named_modules()))  # torch leaves its type open
