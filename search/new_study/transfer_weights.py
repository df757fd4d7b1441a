"""Find the pretrained network for a new study: one whose weights are cached or can be downloaded."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from ...architectures import ArchitectureError, architecture
from ...architectures.pretrained_weights import weights_file
from ...architectures.transfer import Transferable
from ...sources.torchvision_compat import models

PREFERRED, OTHER = "mobilenet_v2", "resnet18"
"""The first costs a fraction of the second on a CPU, and is used unless only the second one's weights are cached."""

PATIENCE_SECONDS = 10.0  # for a server that does not respond


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferWeights:
    """An architecture whose weights are in the cache now, or what is missing and where to put it, in one line."""

    architecture: str | None
    missing: str | None


def transfer_weights() -> TransferWeights:
    """Look for pretrained weights in torch's cache, and try to download the small network's if there are none."""
    for name in (PREFERRED, OTHER):
        if _is_here(name) and _problem(name) is None:
            return TransferWeights(architecture=name, missing=None)
    problem = _problem(PREFERRED)
    return TransferWeights(architecture=PREFERRED if problem is None else None, missing=problem)


def _is_here(name: str) -> bool:
    """Whether a file of these weights is in torch's cache."""
    url: str = models.get_model_weights(name).IMAGENET1K_V1.url
    return weights_file(url).exists()


def _problem(name: str) -> str | None:
    """Load the weights as training will, downloading them if needed; return why that fails, or None."""
    model = architecture(name)((3, 64, 64), 2, pretrained=True)
    assert isinstance(model, Transferable)  # noqa: S101 - both are
    try:
        with _short_patience():
            model.load_pretrained()
    except ArchitectureError as error:
        return str(error)
    return None


@contextmanager
def _short_patience() -> Generator[None]:
    """Time out for servers that do not respond; torch's download has no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
