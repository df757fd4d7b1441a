"""The page that shows which hyperparameters matter, with all of Optuna's figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..pages.html import render, write
from ..stores.trials import StoredFamily
from .figures import figures
from .importance import Importances


def write_page(
    path: Path, study_name: str, families: Sequence[StoredFamily], *, metric: str, found: Mapping[str, Importances]
) -> None:
    """Write one HTML file with all of Optuna's figures of all families, which needs no network.

    Args:
        path: where to; the folder is made, and a page that is there is replaced in one step.
        study_name: what the families belong to.
        families: in the order in which they are shown.
        metric: what they optimize.
        found: the importances of each family.
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
