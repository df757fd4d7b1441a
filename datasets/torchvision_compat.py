"""torchvision, whatever build of torch stands beside it; the other files of this room import it from here.

torchvision's compiled operators load only beside the torch that they were built for. `import torchvision` describes two
of them (`nms`, `qnms`) to torch and fails where they did not load, for example with a torch without CUDA beside a
torchvision from the ordinary index. Readers of data sets need none of them, so it is enough that they are declared.
"""

from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class Archive(Protocol):
    """What torchvision's classes say about the one file that they download."""

    url: str
    tgz_md5: str


def _compiled_operators() -> list[Path]:
    """The files of torchvision's own operators, found without importing it."""
    spec = find_spec("torchvision")
    folders = (spec.submodule_search_locations or []) if spec else []
    return [file for folder in folders for file in Path(folder).glob("_C*") if file.suffix in {".so", ".pyd"}]


def _load_or_declare() -> torch.library.Library | None:
    """Load the operators (twice does no harm) or else declare them, for as long as the returned value lives."""
    try:
        for file in _compiled_operators():
            torch.ops.load_library(str(file))  # pyright: ignore[reportUnknownMemberType]  torch leaves it untyped
    except OSError:
        pass
    if hasattr(torch.ops.torchvision, "nms"):  # loaded, or declared by someone else in this process
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)  # pyright: ignore[reportUnknownMemberType]  torch leaves it untyped
    return library


_LIBRARY = _load_or_declare()

# By name, because torchvision has no types, and because it must not be imported before the line above has run.
FashionMNIST: "Callable[..., object]" = resolve_name("torchvision.datasets:FashionMNIST")
MNIST: "Callable[..., object]" = resolve_name("torchvision.datasets:MNIST")
GTSRB: "Callable[..., object]" = resolve_name("torchvision.datasets:GTSRB")
CIFAR10: "type[Archive]" = resolve_name("torchvision.datasets:CIFAR10")
STL10: "type[Archive]" = resolve_name("torchvision.datasets:STL10")
download_url: "Callable[..., None]" = resolve_name("torchvision.datasets.utils:download_url")
read_image_file: "Callable[[str], torch.Tensor]" = resolve_name("torchvision.datasets.mnist:read_image_file")
read_label_file: "Callable[[str], torch.Tensor]" = resolve_name("torchvision.datasets.mnist:read_label_file")
