"""The page that shows which hyperparameters matter, with all of Optuna's figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from ..pages import Drawing, render, write
from ..stores import STATE_WORDS
from ..text import setting_texts
from .drawings import figures
from .importance import Importances
from .trials import best_trial


def write_page(
    path: Path,
    study_name: str,
    families: Mapping[str, optuna.Study],
    *,
    metric: str,
    found: Mapping[str, Importances],
) -> None:
    """Write one HTML file with all of Optuna's figures of all families, which needs no network.

    Args:
        path: where to; the folder is made, and a page that is there is replaced in one step.
        study_name: what the families belong to.
        families: the Optuna study of each family, in the order in which they are shown.
        metric: what they optimize.
        found: the importances of each family.
    """
    sections = [_section(name, study, metric, found[name]) for name, study in families.items()]
    plots = [plot for section in sections for drawing in section.drawings for plot in drawing.plots]
    write(
        path,
        render(Path(__file__).with_name("page.html"), plots=plots, study=study_name, metric=metric, sections=sections),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """What the page says about one family."""

    name: str
    trials: int
    states: Mapping[str, int]
    best: str
    best_trial: int | None
    best_settings: Sequence[str]
    importances: Importances
    drawings: Sequence[Drawing]


def _section(name: str, study: optuna.Study, metric: str, found: Importances) -> _Section:
    best = best_trial(study)
    counts = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    return _Section(
        name=name,
        trials=counts.total(),
        states={word: counts[state] for state, word in STATE_WORDS.items()},
        best="" if best is None else f"{best.value:.4g}",
        best_trial=None if best is None else best.number,
        best_settings=[] if best is None else setting_texts(best.params),
        importances=found,
        drawings=figures(study, metric=metric, importances=found),
    )
