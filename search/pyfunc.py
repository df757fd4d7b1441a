"""A champion as MLflow loads it, for use without optrack's own API: `mlflow.pyfunc.load_model(...).predict(images)`.

MLflow calls `_load_pyfunc`; nothing is unpickled.
"""

import base64
import binascii
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray
from PIL import Image

from ..datasets.store import open_image, pillow_warnings_settled, why_unreadable
from .champions import RUN_SOURCE, AnyImage, Champion, images_of, load_folder
from .errors import StudyError

RUN_SOURCE_VARIABLE = "OPTRACK_RUN_SOURCE"
"""For `mlflow models serve`, which passes nothing else on; see `run_source` of `load_folder`."""


@dataclass(frozen=True, slots=True)
class ChampionPredictor:
    """A model with MLflow's interface."""

    champion: Champion

    def predict(self, images: NDArray[Any] | list[NDArray[Any]]) -> pd.DataFrame:
        """Classify images of any size.

        Args:
            images: integers in 0 to 255, [N, H, W, C] or [N, H, W] for grey ones; one image [H, W, C]; or, where the
                sizes differ, object [N] or a list of arrays [H, W, C]. C is 1, 3 or 4, whatever the network was trained
                on. Three or four grey images need C, as they may also be the channels of one image. Or image files in
                base64, text [N], which get the same answers as the files get from `optrack predict`.

        Returns:
            One row per image: `label`, `confidence` in [0, 1], and `probabilities`, a list in the order of the classes.

        Raises:
            StudyError: wrong shapes, types or values.
        """
        champion = self.champion
        with pillow_warnings_settled():
            prepared = champion.prepare_images(single_images(images))
        probabilities = champion.probabilities(prepared)
        return pd.DataFrame(
            {
                "label": [champion.classes[index] for index in probabilities.argmax(axis=1)],
                "confidence": [float(row.max()) for row in probabilities],
                "probabilities": probabilities.tolist(),
            }
        )


def single_images(images: Any) -> list[AnyImage]:
    """Split the input of a caller or of MLflow's server into images; see `ChampionPredictor.predict`."""
    is_list = isinstance(images, list) or np.ndim(images) == 1
    separate = list(cast("Sequence[Any]", images)) if is_list else []
    if separate and all(isinstance(image, np.ndarray) for image in separate):
        return separate
    array = np.asarray(cast("NDArray[Any]", images))
    texts: list[Any] = array.reshape(-1).tolist()
    if texts and all(isinstance(text, str) for text in texts):
        return [_opened(text, position) for position, text in enumerate(texts)]
    if array.dtype == object:
        # MLflow's server turns all numbers into objects; NumPy finds their type again.
        array = _array(array.tolist())
    return images_of(array)


def _opened(text: str, position: int) -> Image.Image:
    """Open an image file in base64; it is decoded later."""
    try:
        return open_image(io.BytesIO(base64.b64decode(text, validate=True)))
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise whatever broken bytes lead to
        what = "not base64" if isinstance(error, binascii.Error) else why_unreadable(error)
        raise StudyError(f"image {position} cannot be read: {what}; a text must be an image file in base64") from None


def _array(values: Any) -> NDArray[Any]:
    """Convert nested lists to an array of numbers, or of objects where the sizes differ."""
    try:
        return np.asarray(values)
    except ValueError:
        array = np.empty(len(values), dtype=object)
        array[:] = [np.asarray(value) for value in values]
        return array


def _load_pyfunc(  # pyright: ignore[reportUnusedFunction] - MLflow calls it
    path: str, model_config: Mapping[str, Any] | None = None
) -> ChampionPredictor:
    """MLflow's entry point; `model_config` may name the recorded code to run, as may the environment."""
    named = (model_config or {}).get(RUN_SOURCE) or os.environ.get(RUN_SOURCE_VARIABLE)
    return ChampionPredictor(load_folder(Path(path), run_source=named or None))
