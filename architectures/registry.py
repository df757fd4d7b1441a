"""The architectures that go by a name, and how a name becomes a class."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

from ..sources import SourceError, is_own, read_source
from ..sources.errors import did_you_mean
from .errors import UnknownArchitectureError

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES: dict[str, str] = {
    "logistic": "logistic:Logistic",
    "mlp": "mlp:MLP",
    "lenet": "lenet:LeNet",
    "lenet_fcn": "lenet:LeNetFCN",
    "lenet3": "lenet3:LeNet3",
    "cnn4": "cnn4:CNN4",
    "convnet": "convnet:ConvNet",
    "convnet_wide": "convnet_wide:ConvNetWide",
    "convnet_deep": "convnet_deep:ConvNetDeep",
    "mobilenet_v2": "torchvision:mobilenet_v2",
    "resnet18": "torchvision:resnet18",
    "vgg11_bn": "torchvision:vgg11_bn",
}
"""Name to `module:Class` in this package, or to `library:model`; text, so that reading it does not import torch."""

LIBRARIES: dict[str, str] = {
    "torchvision": "torchvision_models:torchvision_class",
    "timm": "timm_models:timm_class",
}
"""Libraries whose models go by `library:model`; each with the function that makes a class of a model's name."""


def architecture(name: str, *, source: str | None = None) -> type[nn.Module]:
    """Look an architecture up.

    Args:
        name: a key of `ARCHITECTURES`, `torchvision:NAME` or `timm:NAME`, or a user-defined `file.py:Class` or
            `module:Class`.
        source: SHA-256 that the code of a user-defined network must have; None for any.

    Returns:
        The class, each time the same one; its module is imported, and torch with it.

    Raises:
        UnknownArchitectureError: there is no architecture of that name.
        MissingLibraryError: its library is not installed.
        SourceError: the code of a user-defined network is not there, does not run, or was changed.
        OwnArchitectureError: it is not a network.

    >>> architecture("lenet")
    <class 'optrack.architectures.lenet.LeNet'>
    """
    library, _, model = ARCHITECTURES.get(name, name).partition(":")
    if library in LIBRARIES and model:
        return pkgutil.resolve_name(f"{__package__}.{LIBRARIES[library]}")(model, registered_name(library, model))
    if is_own_architecture(name) and not _is_slip(name):
        return pkgutil.resolve_name(f"{__package__}.own:own_class")(name, source=source)
    if name not in ARCHITECTURES:
        hint = did_you_mean(name, [*ARCHITECTURES, *(f"{library}:{model}" for library in LIBRARIES if model)])
        valid = ", ".join([*sorted(ARCHITECTURES), *(f"{library}:NAME" for library in LIBRARIES), "FILE.py:CLASS"])
        raise UnknownArchitectureError(f"unknown architecture {name!r}{hint}; valid names: {valid}")
    return pkgutil.resolve_name(f"{__package__}.{ARCHITECTURES[name]}")


def is_own_architecture(name: str) -> bool:
    """Whether a name is that of a user-defined network.

    >>> [is_own_architecture(name) for name in ("my_net.py:MyNet", "torchvision:resnet34", "lenet")]
    [True, False, False]
    """
    return name.partition(":")[0] not in LIBRARIES and is_own(name)


def _is_slip(name: str) -> bool:
    """Whether a name is nearly that of a library, and not a module that exists."""
    library = name.partition(":")[0]
    if not did_you_mean(library, LIBRARIES):
        return False
    try:
        read_source(name)
    except SourceError:
        return True
    return False


def registered_name(library: str, model: str) -> str:
    """Return the name that a library's model goes by: its own entry in `ARCHITECTURES` where there is one.

    >>> registered_name("torchvision", "resnet18"), registered_name("torchvision", "resnet34")
    ('resnet18', 'torchvision:resnet34')
    """
    target = f"{library}:{model}"
    return next((name for name, entry in ARCHITECTURES.items() if entry == target), target)
