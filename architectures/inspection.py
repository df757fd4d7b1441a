"""What an architecture is made of: layers, parameters, multiply-adds, memory; found without computing or allocating.

User-defined networks, and the few library networks that cannot be built without memory, are the exceptions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .contract import told
from .registry import ARCHITECTURES, architecture, is_own_architecture

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Numbers of parameters."""

    total: int
    trainable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One module of a model: a leaf of the module tree, or a module with parameters of its own.

    Attributes:
        output_shape: without the batch dimension, at its first use; None when it is not used or gives no single tensor.
        parameters: how many it holds itself, its children's left out. One that layers share counts in each of them.
    """

    name: str
    type: str
    output_shape: Shape | None
    parameters: int
    trainable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a model is made of.

    Attributes:
        parameters: of the whole model; one that layers share counts once.
        multiply_adds: multiply-adds of matrix products and convolutions for one image, forward; biases, batch norm,
            pooling and activations do not count.
        activation_bytes: of the outputs of all layers for one image, float32: about what training keeps for it.
        layers: in order of first use; those that are not used come last.
    """

    architecture: str
    input: tuple[int, int, int]
    classes: int
    parameters: ParameterCount
    multiply_adds: int
    activation_bytes: int
    layers: tuple[Layer, ...]


def describe(
    model: str | type[nn.Module], /, input_shape: tuple[int, int, int], classes: int, **hyperparameters: Any
) -> Description:
    """Describe an architecture: build it on the meta device and send one image of shapes alone through it.

    Raises:
        UnknownArchitectureError: there is no such name.
        ValueError: the image is too small for the architecture.

    >>> describe("lenet", (3, 30, 30), 43).parameters.total
    47531
    """
    model_class = architecture(model) if isinstance(model, str) else model
    if isinstance(model, str) and is_own_architecture(model):
        with told(model, "cannot be described"):
            instance = model_class(input_shape, classes, **hyperparameters).eval()
            layers = _layers_of(instance)
            passage = _send_through(instance, layers, torch.zeros(1, *input_shape))
    else:
        with torch.device("meta"):
            instance = model_class(input_shape, classes, **hyperparameters).eval()
            image = torch.empty(1, *input_shape)
        layers = _layers_of(instance)
        passage = _send_through(instance, layers, image)
    unused = (name for name in layers if name not in passage.shapes)
    return Description(
        architecture=_name_of(model_class),
        input=input_shape,
        classes=classes,
        parameters=_count(instance.parameters()),
        multiply_adds=passage.multiply_adds,
        activation_bytes=passage.activation_bytes,
        layers=tuple(_layer(name, layers[name], passage.shapes.get(name)) for name in (*passage.shapes, *unused)),
    )


def _layers_of(model: nn.Module) -> dict[str, nn.Module]:
    modules = cast("Iterable[tuple[str, nn.Module]]", model.named_modules())  # torch leaves its type open
    return {name: module for name, module in modules if _is_layer(module)}


@dataclass(slots=True)
class _Passage:
    """What is noted while an image goes through: output shapes of the layers in order of first use, and sums."""

    shapes: dict[str, Shape | None] = field(default_factory=dict[str, Shape | None])
    multiply_adds: int = 0
    activation_bytes: int = 0

    def note(self, name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        self.shapes.setdefault(name, tuple(output.shape[1:]) if isinstance(output, Tensor) else None)
        self.activation_bytes += output.nbytes if isinstance(output, Tensor) else 0


def _send_through(model: nn.Module, layers: dict[str, nn.Module], image: Tensor) -> _Passage:
    passage = _Passage()
    for name, module in layers.items():
        module.register_forward_hook(partial(passage.note, name))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(image)
    passage.multiply_adds = counter.get_total_flops() // 2  # it counts a multiply-add as two operations
    return passage


def _layer(name: str, module: nn.Module, output_shape: Shape | None) -> Layer:
    own = _count(module.parameters(recurse=False))
    return Layer(
        name=name,
        type=type(module).__name__,
        output_shape=output_shape,
        parameters=own.total,
        trainable=own.trainable,
    )


def _is_layer(module: nn.Module) -> bool:
    is_leaf = next(module.children(), None) is None
    has_own_parameters = next(module.parameters(recurse=False), None) is not None
    return is_leaf or has_own_parameters


def _count(parameters: Iterable[nn.Parameter]) -> ParameterCount:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in parameters]
    return ParameterCount(
        total=sum(size for size, _ in sizes), trainable=sum(size for size, trainable in sizes if trainable)
    )


def _name_of(model_class: type[nn.Module]) -> str:
    """Return the registered name of a class, or its own; compares text, so that no other architecture is imported."""
    specification = f"{model_class.__module__}:{model_class.__qualname__}".removeprefix(f"{__package__}.")
    return next((name for name, target in ARCHITECTURES.items() if target == specification), model_class.__name__)
