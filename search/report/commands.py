"""The commands that lead to a report, for readers who want to run them again."""

import json
import shlex
from typing import NamedTuple

from .. import defaults
from ..results import StudyResults
from ..study import Pruner, Sampler, Study
from ..text import option


class Commands(NamedTuple):
    """The commands from a study's search to its report, in their order.

    `run` has all that can be said on a command line, so that a fresh storage gets the same trials.
    """

    run: str
    retrain: str
    test: str
    report: str


def commands(results: StudyResults, reference: str, *, margin: float) -> Commands:
    """Return the commands that lead to these results.

    The reference is how the user names the study; the margin is the least difference that matters, as a share.
    """
    name = shlex.quote(reference)
    places = option("--storage", results.storage, defaults.STORAGE)
    both = f"{places}{option('--tracking-uri', results.tracking_uri, defaults.TRACKING_URI)}"
    seeds = max((len(family.models) for family in results.families), default=0)
    raced = max((len(family.raced) for family in results.families), default=0)
    retrain = f"optrack retrain {name}{option('--seeds', seeds, 0)}{option('--confirm', raced, 0)}"
    judged = option("--margin", f"{100 * margin:g}", f"{100 * defaults.MARGIN:g}")
    return Commands(
        run=f"optrack run {name}{_settings(results.study)}{both}",
        retrain=f"{retrain}{both}",
        test=f"optrack test {name}{judged}{both}",
        report=f"optrack report {name}{judged}{both}",
    )


def _settings(study: Study) -> str:
    budget = study.budget
    limits = {
        "--trials": budget.trials,
        "--epochs": budget.epochs,
        "--patience": budget.patience,
        "--total-epochs": budget.total_epochs,
        "--timeout": budget.timeout_seconds,
        "--seed": study.seed,
    }
    given = "".join(
        option(name, f"{value:g}" if isinstance(value, float) else value, None) for name, value in limits.items()
    )
    return f"{given}{_strategy('sampler', study.sampler)}{_strategy('pruner', study.pruner)}"


def _strategy(kind: str, chosen: Sampler | Pruner) -> str:
    given = (option(f"--{kind}-option", f"{name}={json.dumps(value)}", None) for name, value in chosen.options.items())
    return option(f"--{kind}", chosen.name, None) + "".join(given)
