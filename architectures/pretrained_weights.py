"""Files of pretrained weights: in torch's cache, or downloaded into it."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from .errors import PretrainedWeightsError


def weights_file(url: str) -> Path:
    """Return the file in torch's cache (TORCH_HOME) for the weights of that address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def fetch(name: str, url: str) -> Path:
    """Return the cached file; download it first if there is none.

    A file in the cache is used as it is; a downloaded one must have the hash that its name ends with.
    """
    file = weights_file(url)
    if file.exists():
        return file
    prefix = re.search(r"-([0-9a-f]{8,})\.", file.name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), prefix[1] if prefix else None, progress=False)
    except (OSError, RuntimeError) as error:  # no network, no such page, a full disk; a wrong hash
        raise PretrainedWeightsError(
            f"the pretrained weights of {name} are missing: put {file.name} into {file.parent}, "
            f"as {url} could not be fetched ({one_line(error)})"
        ) from None
    return file


def read(name: str, file: Path) -> dict[str, Tensor]:
    """Read a file of weights, without running code in it."""
    try:
        weights: object = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, UnpicklingError) as error:
        raise PretrainedWeightsError(
            f"the pretrained weights of {name} cannot be read from {file}: {one_line(error)}"
        ) from None
    tensors = cast("dict[Any, Any]", weights) if isinstance(weights, dict) else {}
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise PretrainedWeightsError(f"the pretrained weights of {name} cannot be read from {file}: it holds none")
    return tensors


def load_into(network: nn.Module, weights: Mapping[str, Tensor], name: str, file: Path) -> None:
    """Load weights into a network, all of them or none."""
    state: dict[str, Tensor] = network.state_dict()
    # Files from before batch norm counted its batches lack the counts, which nothing here uses.
    missing = [key for key in state if key not in weights and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in weights if key not in state]
    shapes = [key for key in state if key in weights and state[key].shape != weights[key].shape]
    problems: list[str] = []
    if missing:
        problems.append(f"{len(missing)} tensors are missing, such as {missing[0]}")
    if unexpected:
        problems.append(f"{len(unexpected)} are not of it, such as {unexpected[0]}")
    if shapes:
        key = shapes[0]
        problems.append(
            f"{len(shapes)} have another shape, such as {key}: "
            f"{list(weights[key].shape)} in place of {list(state[key].shape)}"
        )
    if problems:
        raise PretrainedWeightsError(f"the weights in {file} do not fit {name}: {'; '.join(problems)}")
    state.update(weights)  # which keeps the versions of the layers that come with the state
    network.load_state_dict(state)


def one_line(error: BaseException) -> str:
    r"""Return the first line of an error's message, or its type where it has none.

    >>> one_line(RuntimeError("broken\nat line 3"))
    'broken'
    """
    lines: list[Any] = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
