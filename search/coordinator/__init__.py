"""The search: proposes configurations, dispatches them, records epochs, prunes."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .checks import check_study, fetch_weights, hyperparameters, known_shape
    from .family_search import FamilySearch
    from .observer import Observer
    from .recording import Recording, metrics_of
    from .running import run_study
    from .strategies import PRUNERS, SAMPLERS, seed_of

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "FamilySearch",
    "Observer",
    "Recording",
    "check_study",
    "fetch_weights",
    "hyperparameters",
    "known_shape",
    "metrics_of",
    "run_study",
    "seed_of",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "checks": ["check_study", "fetch_weights", "hyperparameters", "known_shape"],
            "family_search": ["FamilySearch"],
            "observer": ["Observer"],
            "recording": ["Recording", "metrics_of"],
            "running": ["run_study"],
            "strategies": ["PRUNERS", "SAMPLERS", "seed_of"],
        },
    )
