"""A champion as MLflow loads it for people who do not know optrack: `mlflow.pyfunc.load_model(...).predict(images)`.

MLflow calls `_load_pyfunc`; nothing is unpickled.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from .champion import Champion, load_folder


@dataclass(frozen=True, slots=True)
class ChampionPredictor:
    """What MLflow takes for a model.

    Args:
        champion: who answers.
    """

    champion: Champion

    def predict(self, images: NDArray[Any]) -> pd.DataFrame:
        """Recognise images of any size.

        Args:
            images: integers in 0 to 255, [N, H, W, C] or [N, H, W] for grey ones; one image [H, W, C]; or, where the
                sizes differ, object [N] of arrays [H, W, C]. C is 1, 3 or 4, whatever the network was trained on.

        Returns:
            One row per image: `label`, `confidence` in [0, 1], and `probabilities`, a list in the order of the classes.

        Raises:
            StudyError: other shapes, types or values.
        """
        champion = self.champion
        probabilities = champion.probabilities(champion.prepare_images(single_images(images)))
        return pd.DataFrame(
            {
                "label": [champion.classes[index] for index in probabilities.argmax(axis=1)],
                "confidence": [float(row.max()) for row in probabilities],
                "probabilities": probabilities.tolist(),
            }
        )


def single_images(images: Any) -> list[NDArray[Any]]:
    """The images in what a caller or MLflow's server gave, one by one; see `ChampionPredictor.predict`."""
    array: NDArray[Any] = np.asarray(images)
    if array.dtype == object:
        # MLflow's server makes objects of all numbers; lists of them say better what they are.
        array = _array(array.tolist())
    match array.shape:
        case () | (_, _) | (_, _, 1 | 3 | 4):
            return [array]
        case _:
            return [np.asarray(image) for image in array]


def _array(values: Any) -> NDArray[Any]:
    """Nested lists as an array of numbers, or of objects where the sizes differ."""
    try:
        return np.asarray(values)
    except ValueError:
        array = np.empty(len(values), dtype=object)
        array[:] = [np.asarray(value) for value in values]
        return array


def _load_pyfunc(path: str) -> ChampionPredictor:  # pyright: ignore[reportUnusedFunction] - MLflow calls it
    """MLflow's entry point.

    Args:
        path: the model's folder.
    """
    return ChampionPredictor(load_folder(Path(path)))
