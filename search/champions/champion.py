"""A champion: a family's best configuration, retrained, as a network that classifies images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from ...architectures import OwnArchitectureError, architecture, is_own_architecture
from ...architectures.own import own_class
from ...datasets.store import Unreadable, pixels_of, read_image
from ...sources import SourceError
from ..errors import NothingStoredError, OwnSourceError, StudyError
from ..training import SOURCE_FOLDER, VALIDATION_BATCH, Normalisation
from .recipe import CONFIGURATION_FILE, Recipe, read_recipe

WEIGHTS_FILE = "weights.safetensors"

AnyImage = Image.Image | NDArray[Any] | Path
"""An image: opened by Pillow, or integers in 0 to 255 [H, W] or [H, W, 1, 3 or 4], or a file."""

GREY_LEVELS = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Champion:
    """A network in evaluation mode, channels last in memory, with the recipe that was recorded in training."""

    recipe: Recipe
    model: nn.Module

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.recipe.study

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.recipe.family

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return tuple(self.recipe.classes)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that the network takes, in pixels."""
        channels, height, width = self.recipe.input
        return channels, height, width

    def normalisation(self) -> Normalisation:
        """Return what is done to images before the network sees them, on the CPU."""
        return Normalisation(self.recipe.mean, self.recipe.std)

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """Compute the logits, float32 [N, classes]; bit-identical in any process with the same number of threads.

        Args:
            images: uint8 [N, C, H, W], see `prepare_images`.

        Raises:
            StudyError: the images have another shape or type.
        """
        if not str(images.dtype).endswith("uint8") or tuple(images.shape) != (len(images), *self.input_shape):
            shape = ", ".join(map(str, self.input_shape))
            raise StudyError(
                f"images must be uint8 [N, {shape}] for {self.family}, but got {images.dtype} {list(images.shape)}"
            )
        device = next(self.model.parameters()).device
        normalise = self.normalisation().to(device)
        found = [torch.empty(0, len(self.classes))]
        for start in range(0, len(images), VALIDATION_BATCH):
            part = images[start : start + VALIDATION_BATCH]
            # A copy, as arrays may be read-only or turned over; of a batch, as they may be larger than the memory.
            tensor = torch.from_numpy(np.array(part, order="C")) if isinstance(part, np.ndarray) else part
            floats = tensor.to(device).to(torch.float32, memory_format=torch.channels_last)
            found.append(self.model(normalise(floats)).cpu())
        return torch.cat(found).numpy()

    def probabilities(self, images: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """Return the probability of each class, float32 [N, classes]; argument and errors as for `logits`."""
        return torch.from_numpy(self.logits(images)).softmax(dim=1).numpy()

    def prepare_images(self, images: Sequence[AnyImage] | NDArray[Any]) -> NDArray[np.uint8]:
        """Convert images of any size and mode to uint8 [N, C, H, W], as the training's images were converted.

        The largest centred part of the right shape is resized, unless it has the right size already. A file and the
        same photo as an array, decoded by Pillow and turned upright, are the same image.

        Args:
            images: one after the other, or an array as `images_of` takes it.

        Raises:
            StudyError: something is not an image, or has values outside 0 to 255.
        """
        if isinstance(images, np.ndarray):
            images = images_of(images)
        prepared = [self._prepared(image, position) for position, image in enumerate(images)]
        return np.stack(prepared) if prepared else np.empty((0, *self.input_shape), dtype=np.uint8)

    def _prepared(self, image: AnyImage, position: int) -> NDArray[np.uint8]:
        channels, height, width = self.input_shape
        grey, image_size = channels == 1, self.recipe.data.image_size
        if isinstance(image, Path):
            pixels = read_image(image, grey=grey, image_size=image_size)
        else:
            opened = image if isinstance(image, Image.Image) else picture(image)
            try:
                pixels = pixels_of(opened, grey=grey, image_size=image_size)
            except Exception as error:  # noqa: BLE001 - Pillow's readers raise whatever broken bytes lead to
                pixels = Unreadable(str(error))
        if isinstance(pixels, Unreadable):
            name = image if isinstance(image, Path) else f"image {position}"
            raise StudyError(f"{name} cannot be read: {pixels.reason}")
        if pixels.shape[1:] == (height, width):
            return pixels
        flat = Image.fromarray(pixels[0] if grey else pixels.transpose(1, 2, 0))
        fitted = np.asarray(ImageOps.fit(flat, (width, height), Image.Resampling.BICUBIC))
        return fitted[np.newaxis] if grey else fitted.transpose(2, 0, 1)


def images_of(array: NDArray[Any]) -> list[AnyImage]:
    """Split an array into images: [N, H, W, C] or [N, H, W] for grey ones, or one image [H, W, C] or [H, W].

    Raises:
        StudyError: three or four grey images, as they may also be the channels of one image.
    """
    match array.shape:
        case () | (_, _) | (_, _, 1 | 3 | 4):
            return [array]
        case (3 | 4 as count, height, width):
            raise StudyError(
                f"an array of shape [{count}, {height}, {width}] may be one image with its channels first, or {count} "
                f"grey ones: give [{height}, {width}, {count}] for one, [{count}, {height}, {width}, 1] for several"
            )
        case _:
            return [np.asarray(image) for image in array]


def picture(pixels: NDArray[Any]) -> Image.Image:
    """Convert integers in 0 to 255 to a Pillow image: [H, W] or [H, W, 1] for grey, 3 for RGB, 4 with transparency.

    Raises:
        StudyError: wrong type, shape or values.
    """
    if not np.issubdtype(pixels.dtype, np.integer):
        raise StudyError(f"images must hold integers from 0 to 255, but got {pixels.dtype}")
    if len(pixels.shape[:2]) < len("HW") or pixels.shape[2:] not in {(), (1,), (3,), (4,)} or not pixels.size:
        hint = "; the channels come last" if pixels.shape[:-2] in {(1,), (3,), (4,)} else ""
        raise StudyError(f"an image must be [H, W] or [H, W, 1, 3 or 4], but got {list(pixels.shape)}{hint}")
    if pixels.min() < 0 or pixels.max() >= GREY_LEVELS:
        raise StudyError(f"images must hold integers from 0 to 255, but got {pixels.min()} to {pixels.max()}")
    return Image.fromarray((pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels).astype(np.uint8))


def save_folder(folder: Path, *, state: Mapping[str, Tensor], recipe: Recipe, code: bytes | None = None) -> None:
    """Write a folder for `load_folder`, with the code of the user-defined network that the recipe names."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, folder / WEIGHTS_FILE)
    (folder / CONFIGURATION_FILE).write_text(json.dumps(recipe.as_json(), indent=2), encoding="utf-8")
    if code is not None and recipe.source is not None:
        (folder / SOURCE_FOLDER).mkdir(exist_ok=True)
        (folder / SOURCE_FOLDER / recipe.source.file).write_bytes(code)


def load_folder(folder: Path, *, run_source: str | None = None, network: str | None = None) -> Champion:
    """Load a champion from a folder with weights and recipe; pretrained weights are not needed.

    Args:
        folder: what `save_folder` wrote.
        run_source: the name of the recorded file with the user-defined network, which is then run. Without it such a
            network is built only if the user's own file is in place and unchanged: code that came with weights is never
            run without being asked for.
        network: where a user-defined network lies by now; None for where it was recorded.

    Raises:
        NothingStoredError: one of the two files does not exist.
        OwnSourceError: the code of a user-defined network is not in place, and the recorded one was not asked for.
        StudyError: a file is broken, or the two do not fit each other.
    """
    recipe = read_recipe(folder)
    channels, height, width = recipe.input
    try:
        # Building a network draws random numbers; the caller's state must not change.
        with torch.random.fork_rng(devices=[]):
            made = _network(folder, recipe, run_source, network or recipe.architecture)
            model = made((channels, height, width), len(recipe.classes), **recipe.model)
    except OwnSourceError:
        raise
    except (TypeError, ValueError) as error:
        raise StudyError(f"{folder / CONFIGURATION_FILE} describes no network: {error}") from None
    model.load_state_dict(_weights(folder, model))
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return Champion(recipe=recipe, model=model.eval())


def _network(folder: Path, recipe: Recipe, run_source: str | None, place: str) -> type[nn.Module]:
    """Return the class of a champion's network; the place is where a user-defined one is looked for."""
    name, source = recipe.architecture, recipe.source
    if not is_own_architecture(name):
        return architecture(name)
    what = f"{recipe.family} of {recipe.study} is {name}, a user-defined network"
    if source is None:
        raise OwnSourceError(f"{what}, whose code was not recorded")
    file, digest = source.file, source.sha256
    if run_source is None:
        try:
            return architecture(place, source=digest)
        except (OwnArchitectureError, SourceError) as error:
            raise OwnSourceError(
                f"{what}, and {error}. The recorded code, {SOURCE_FOLDER}/{file} beside the weights, is run when it is "
                f"named: --run-source {file}, or run_source={file!r}"
            ) from None
    if run_source != file:
        raise OwnSourceError(f"{what}: its recorded code is called {file}, but --run-source names {run_source!r}")
    try:
        return own_class(name, source=digest, file=folder / SOURCE_FOLDER / file)
    except (OwnArchitectureError, SourceError) as error:
        raise OwnSourceError(f"{what}: {error}") from None


def _weights(folder: Path, model: nn.Module) -> dict[str, Tensor]:
    """Read the weights in a folder, which must fit the network."""
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise NothingStoredError(f"there is no champion in {folder}: {WEIGHTS_FILE} is missing")
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from None
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    different = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
    if different:
        raise StudyError(
            f"{path} does not fit {CONFIGURATION_FILE} beside it: {len(different)} weights differ, first {different[0]}"
        )
    return weights
