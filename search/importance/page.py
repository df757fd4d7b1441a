"""The page that shows which hyperparameters matter, with all of Optuna's figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..pages import render, write
from ..stores import StoredFamily
from .drawings import figures
from .importance import Importances


def write_page(
    path: Path, study_name: str, families: Sequence[StoredFamily], *, metric: str, found: Mapping[str, Importances]
) -> None:
    """Write one HTML file with all of Optuna's figures of all families, which needs no network.

    The folder is made, and a page that is there is replaced in one step; `metric` is what the families optimize.
    """
    sections = [
        {
            "family": family,
            "importances": found[family.name],
            "drawings": figures(family.optuna_study, metric=metric, importances=found[family.name]),
        }
        for family in families
    ]
    template = Path(__file__).with_name("page.html")
    write(path, render(template, figures=True, study=study_name, metric=metric, sections=sections))
