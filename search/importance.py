"""Which hyperparameters matter: Optuna's importances, how far they can be trusted, and the page that shows them."""

import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jinja2
import optuna
from optuna.trial import TrialState

from .plot_look import TEMPLATE
from .plots import Drawing, best_trial, figures, finite_trials, parameter_texts, quiet_optuna

MINIMUM_TRIALS = 20
"""Completed trials below which a ranking is not to be trusted.

With 20, PED-ANOVA put a learning rate that truly decided first in 3 of 6 studies, and in 11 of 20 others;
with 40 in 16 of 20, with 100 in all.
"""

_WORDS = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """How much each hyperparameter of a study matters.

    Attributes:
        values: The share of each ranked parameter, in [0, 1] and 1 in sum, the largest first.
        completed: How many completed trials that rests on.
        left_out: Conditional parameters that too few completed trials have, and how many have them. Optuna would rank
            them, with several times the noise: with 40 trials, of which 8 had it, one without any effect came first in
            7 of 20 studies.
    """

    values: Mapping[str, float]
    completed: int
    left_out: Mapping[str, int]

    @property
    def reliable(self) -> bool:
        """Whether there are trials enough for the order to be trusted."""
        return self.completed >= MINIMUM_TRIALS

    @property
    def note(self) -> str:
        """What is to be said beside the shares; empty where there is nothing."""
        notes: list[str] = []
        if not self.reliable:
            notes.append(f"too few trials to rank: {self.completed} completed, {MINIMUM_TRIALS} needed")
        if self.left_out:
            names = ", ".join(f"{name} (in {count})" for name, count in self.left_out.items())
            notes.append(f"left out, in fewer than {MINIMUM_TRIALS} of the completed trials: {names}")
        return "; ".join(notes)


def importances(study: optuna.Study) -> Importances:
    """Ranks the hyperparameters of a study by PED-ANOVA, Optuna's default.

    What sets the best tenth of the completed trials apart is shared out among the parameters (Watanabe, Bansal, Hutter:
    "PED-ANOVA", IJCAI 2023, arXiv:2304.10255; conditional parameters: arXiv:2601.20800).

    Args:
        study: A study with one objective, in any state.

    Returns:
        The shares; none where nothing tells the parameters apart, as with a single trial or with equal values.
    """
    trials = finite_trials(study)
    present = sorted(Counter(name for trial in trials for name in trial.params).items())
    left_out = {name: count for name, count in present if count < min(MINIMUM_TRIALS, len(trials))}
    ranked = [name for name, _ in present if name not in left_out]
    return Importances(values=_shares(study, ranked), completed=len(trials), left_out=left_out)


def write_page(path: Path, study_name: str, families: Mapping[str, optuna.Study], *, metric: str) -> None:
    """Writes one HTML file with all of Optuna's figures of all families, which needs no network.

    Args:
        path: Where to; the folder is made, and a page that is there is replaced in one step.
        study_name: What the families belong to.
        families: The Optuna study of each family, in the order in which they are shown.
        metric: What they optimize.
    """
    from plotly.offline import get_plotlyjs  # pyright: ignore[reportMissingTypeStubs]  heavy, untyped

    sections = [_section(name, study, metric) for name, study in families.items()]
    page = _template().render(
        study=study_name,
        metric=metric,
        sections=sections,
        look=TEMPLATE,
        plots=[plot for section in sections for drawing in section.drawings for plot in drawing.plots],
        plotly=get_plotlyjs(),
        nonce=secrets.token_urlsafe(16),
        written=datetime.now().astimezone(),
    )
    _replace(path, page)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """What the page says about one family."""

    name: str
    trials: int
    states: Mapping[str, int]
    best: str
    best_trial: int | None
    best_parameters: Sequence[str]
    importances: Importances
    drawings: Sequence[Drawing]


def _section(name: str, study: optuna.Study, metric: str) -> _Section:
    found = importances(study)
    best = best_trial(study)
    counts = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    return _Section(
        name=name,
        trials=counts.total(),
        states={word: counts[state] for state, word in _WORDS.items()},
        best="" if best is None else f"{best.value:.4g}",
        best_trial=None if best is None else best.number,
        best_parameters=[] if best is None else parameter_texts(best.params),
        importances=found,
        drawings=figures(study, metric=metric, ranking=tuple(found.values), caution=found.note),
    )


def _shares(study: optuna.Study, parameters: list[str]) -> dict[str, float]:
    if not parameters:
        return {}
    from optuna.importance import get_param_importances

    with quiet_optuna():
        shares = get_param_importances(study, params=parameters)
    # Where Optuna cannot tell parameters apart it makes them equal, to the last bit; by chance they never are.
    undecided = len(shares) > 1 and len(set(shares.values())) == 1
    return {} if undecided else shares


def _template() -> jinja2.Template:
    # Names and choices come from studies, which are other people's files: everything is escaped.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
