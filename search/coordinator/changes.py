"""What changed in a study since it was last run, in lines for users; nothing where nothing did."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..stores import MEMBERS_RECORD, StoredFamily, lengths_text
from ..study import Family, Pruner, Sampler, Study
from ..text import listing, plural, setting_texts

SETTINGS: Mapping[str, tuple[Callable[[Study], Any], str]] = {
    "trials": (lambda study: study.budget.trials, ""),
    "total epochs": (lambda study: study.budget.total_epochs, ""),
    "patience": (lambda study: study.budget.patience, "for new trials"),
    "sampler": (lambda study: study.sampler, "for new trials"),
    "pruner": (lambda study: study.pruner, "what was pruned stays so"),
    "seed": (lambda study: study.seed, "for new trials"),
}
"""What may change without making trials incomparable, by its name: where it stands, and what follows from a change."""


def changes(study: Study, members: Sequence[Family], stored: Sequence[StoredFamily]) -> list[str]:
    """Return what users should know before a study is searched that is not what it was.

    Args:
        study: with the families that are searched.
        members: all families that it has.
        stored: all that are stored, those that it has not any more included.
    """
    searched = {family.name for family in study.families}
    before = [family for family in stored if family.name in searched]
    return [*_membership(members, stored), *_epochs(study, before), *_settings(study, before)]


def _membership(members: Sequence[Family], stored: Sequence[StoredFamily]) -> list[str]:
    """Say which families were removed, probably renamed, put back or added."""
    names, known = [family.name for family in members], {family.name: family for family in stored}
    listed = {name for family in stored for name in family.kept.get(MEMBERS_RECORD, ())}
    added = [family for family in members if family.name not in known]
    lines: list[str] = []
    renamed: list[Family] = []
    for old in stored:
        trials = plural(len(old.all_trials), "trial")
        if old.name in names and old.is_removed:
            lines.append(f"family {old.name!r} is in the study again, with its {trials}")
        if old.name not in names and not old.is_removed:
            gone = f"family {old.name!r} is no longer in the study: its {trials} stay in the stores, not in the table"
            twins = _twins(old.family, added)
            lines.append(gone + _renamed(old, twins))
            renamed += twins
    new = [family.name for family in added if listed and family.name not in listed and family not in renamed]
    return [*lines, *([f"new in the study: {listing(new)}"] if new else [])]


def _twins(was: Family, added: Iterable[Family]) -> list[Family]:
    """Return the new families that may be a removed one under another name."""
    same = (was.architecture, was.options, was.space)
    return [family for family in added if (family.architecture, family.options, family.space) == same]


def _renamed(old: StoredFamily, twins: Sequence[Family]) -> str:
    """Say what a removed family is probably called now, and what to do; empty where nothing is like it."""
    if not twins:
        return ""
    name = twins[0].name
    return (
        f"; it was probably renamed, as {name!r} has the same architecture and space: {name!r} begins anew, and goes "
        f"on with these trials where it is named {old.name!r} again"
    )


def _epochs(study: Study, stored: Sequence[StoredFamily]) -> list[str]:
    """Say which trials are not compared any more, and which are again, as the number of epochs has changed."""
    now = study.budget.epochs
    lines: list[str] = []
    for was, changed in _grouped(stored, lambda old: old.study.budget.epochs).items():
        if was == now:
            continue
        trials = [trial for old in changed for trial in old.all_trials if trial.planned_epochs is not None]
        ended = [trial.planned_epochs or 0 for trial in trials if trial.ended is not None]
        apart, again = [epochs for epochs in ended if epochs != now], [epochs for epochs in ended if epochs == now]
        stopped = sum(trial.ended is None and trial.planned_epochs != now for trial in trials)
        told = [
            *([f"{lengths_text(apart)} stay, apart from the comparison"] if apart else []),
            *([f"{plural(stopped, 'interrupted trial')} starts over"] if stopped == 1 else []),
            *([f"{plural(stopped, 'interrupted trial')} start over"] if stopped > 1 else []),
            *([f"{lengths_text(again)} are compared again"] if again else []),
            *([f"--trials and --total-epochs count those of {plural(now, 'epoch')} alone"] if apart else []),
        ]
        lines.append(f"{_whose(changed, stored)}epochs {was} → {now}{': ' if told else ''}{'; '.join(told)}")
    return lines


def _settings(study: Study, stored: Sequence[StoredFamily]) -> list[str]:
    """Say what else has changed."""
    lines: list[str] = []
    for name, (read, consequence) in SETTINGS.items():
        now = _text(read(study))
        for was, changed in _grouped(stored, lambda old, read=read: _text(read(old.study))).items():
            if was != now:
                follows = f": {consequence}" if consequence else ""
                lines.append(f"{_whose(changed, stored)}{name} {was} → {now}{follows}")
    return lines


def _grouped(stored: Iterable[StoredFamily], key: Callable[[StoredFamily], Any]) -> dict[Any, list[StoredFamily]]:
    groups: dict[Any, list[StoredFamily]] = {}
    for old in stored:
        groups.setdefault(key(old), []).append(old)
    return groups


def _whose(changed: Sequence[StoredFamily], stored: Sequence[StoredFamily]) -> str:
    """Name the families that a change concerns, unless these are all."""
    return "" if len(changed) == len(stored) else f"{listing([old.name for old in changed])}: "


def _text(value: Any) -> str:
    if isinstance(value, Sampler | Pruner):
        options = ", ".join(setting_texts(value.options))
        return f"{value.name}{f' ({options})' if options else ''}"
    return "none" if value is None else str(value)
