"""A trained network with all that is needed to use it, and where it is kept."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .champion import AnyImage, Champion, load_folder, save_folder
    from .mlflow_model import RUN_SOURCE, save_model
    from .onnx_export import CHECKED_BATCHES, export
    from .prediction import Prediction, UnreadableImage, image_files, predict, ranking_of
    from .recipe import Recipe
    from .registry import load_champion, register, registered, set_best, update_figures

__all__ = [
    "CHECKED_BATCHES",
    "RUN_SOURCE",
    "AnyImage",
    "Champion",
    "Prediction",
    "Recipe",
    "UnreadableImage",
    "export",
    "image_files",
    "load_champion",
    "load_folder",
    "predict",
    "ranking_of",
    "register",
    "registered",
    "save_folder",
    "save_model",
    "set_best",
    "update_figures",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "champion": ["AnyImage", "Champion", "load_folder", "save_folder"],
            "mlflow_model": ["RUN_SOURCE", "save_model"],
            "onnx_export": ["CHECKED_BATCHES", "export"],
            "prediction": ["Prediction", "UnreadableImage", "image_files", "predict", "ranking_of"],
            "recipe": ["Recipe"],
            "registry": ["load_champion", "register", "registered", "set_best", "update_figures"],
        },
    )
