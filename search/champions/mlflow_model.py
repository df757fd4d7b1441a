"""A champion as a model that MLflow can load, serve and register."""

import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .recipe import Recipe

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

# What a model needs to make predictions.
PACKAGES = ("mlflow", "optrack", "numpy", "pandas", "pillow", "safetensors", "torch", "torchvision")

# MLflow copies these from the current folder where they exist; they have nothing to do with the model.
STRAY_FILES = ("uv.lock", "pyproject.toml", ".python-version")

# All numbers and all shapes pass MLflow's check of the input: a narrower one would refuse int64, single images and
# images of different sizes, and its server would silently cut 0.7 to 0. The model itself checks strictly.
ANY_SHAPE = (-1,)

RUN_SOURCE = "run_source"
"""Key of `model_config`: the recorded code of a user-defined network that is to be run."""

USAGE = (
    "Input of `predict`: images of any size as integers in 0 to 255, [N, H, W, C] or [N, H, W], C = 1, 3 or 4 "
    "(three or four grey images need it), or image files in base64. "
    "Output: label, confidence and the probabilities of all classes."
)


def save_model(folder: Path, champion_folder: Path, recipe: Recipe) -> None:
    """Write a model that MLflow can load, with the files that `champion.save_folder` wrote for a recipe in it."""
    from ..stores import quiet_mlflow

    quiet_mlflow()
    described = {name: getattr(recipe, name) for name in ("study", "family", "classes", "input")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about MLflow's own type hints, and a missing example
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module="optrack.search.pyfunc",
            signature=_signature(),
            # At loading, MLflow takes only keys that are already here.
            model_config={RUN_SOURCE: ""} if recipe.source is not None else None,
            pip_requirements=_requirements(recipe.architecture),
            metadata={**described, "usage": USAGE},
        )
    for name in STRAY_FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.copytree(champion_folder, folder, dirs_exist_ok=True)


def _signature() -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Array

    answer: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "label"),
        ColSpec(DataType.double, "confidence"),
        ColSpec(Array(DataType.double), "probabilities"),
    ]
    return ModelSignature(Schema([TensorSpec(np.dtype("O"), ANY_SHAPE)]), Schema(answer))


def _requirements(architecture: str) -> list[str]:
    """Return the packages with their versions, without the local part after `+`, which no index has."""
    packages = [*PACKAGES, *(["timm"] if architecture.startswith("timm:") else [])]
    return [f"{name}=={version(name).split('+')[0]}" for name in packages]
