"""Numbers, names and settings as people read and type them, in one form for the command line, figures and pages."""

import math
import shlex
from collections.abc import Mapping, Sequence

NOTHING = "-"
"""Stands where there is no value."""

METRIC_NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}
"""The metrics of an epoch in words."""

_MINUTE = 60


def percent(share: float | None, *, sign: bool = True) -> str:
    """Return a share in [0, 1] in per cent.

    >>> percent(0.95361), percent(0.95361, sign=False), percent(None)
    ('95.36 %', '95.36', '-')
    """
    if share is None:
        return NOTHING
    return f"{100 * share:.2f} %" if sign else f"{100 * share:.2f}"


def percent_range(low: float, high: float, *, sign: bool = True) -> str:
    """Return two shares in [0, 1] as a range in per cent.

    >>> percent_range(0.951, 0.9536)
    '95.10 to 95.36 %'
    """
    return f"{percent(low, sign=False)} to {percent(high, sign=sign)}"


def metric_text(metric: str, value: float | None) -> str:
    """Return a value of a metric: accuracy in per cent, loss as it is, a dash where it is not a finite number.

    >>> metric_text("val_accuracy", 0.95714), metric_text("val_loss", 0.123456), metric_text("val_loss", math.nan)
    ('95.71 %', '0.1235', '-')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return percent(value) if metric.endswith("accuracy") else f"{value:.4f}"


def metric_difference(metric: str, value: float) -> str:
    """Return a difference of two values of a metric: accuracy in points, loss as it is.

    >>> metric_difference("val_accuracy", 0.0042), metric_difference("val_loss", 0.0042)
    ('0.42 points', '0.0042')
    """
    return f"{percent(value, sign=False)} points" if metric.endswith("accuracy") else f"{value:.4f}"


def count(number: int | None) -> str:
    """Return a whole number with thousands separators.

    >>> count(61706), count(None)
    ('61,706', '-')
    """
    return NOTHING if number is None else f"{number:,}"


def plural(number: int, noun: str, many: str | None = None) -> str:
    """Return a number of things.

    Args:
        number: how many there are.
        noun: what one of them is called.
        many: what several are called, where that is not the noun with an s.

    >>> plural(1, "trial"), plural(1200, "trial"), plural(2, "family", "families")
    ('1 trial', '1,200 trials', '2 families')
    """
    return f"{count(number)} {noun if number == 1 else many or f'{noun}s'}"


def listing(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    >>> listing(["a", "b", "c"]), listing(["a"]), listing([])
    ('a, b and c', 'a', '')
    """
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def duration(seconds: float | None) -> str:
    """Return a time in the units that suit it.

    >>> duration(4.31), duration(42), duration(71.6), duration(600), duration(5400), duration(None)
    ('4.3 s', '42 s', '1 min 12 s', '10 min', '1 h 30 min', '-')
    """
    if seconds is None:
        return NOTHING
    if round(seconds, 1) < _MINUTE:
        return f"{round(seconds, 1):g} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds_left = divmod(rest, _MINUTE)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else seconds_left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def shortened(name: str, longest: int) -> str:
    """Return a name in at most so many characters; its end is kept, too, as that is often what tells names apart.

    >>> shortened("Dangerous curve to the left", 20)
    'Dangerous … the left'
    """
    if len(name) <= longest:
        return name
    end = (longest - 1) // 2
    return f"{name[: longest - 1 - end]}…{name[len(name) - end :]}"


def value_text(value: object) -> str:
    """Return the value of a hyperparameter, floats with four digits.

    >>> value_text(0.00312345), value_text(128), value_text("adam"), value_text(None)
    ('0.003123', '128', 'adam', 'none')
    """
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def short(value: object) -> str:
    """Return a value for a cell of a table: as `value_text`, but a dash where there is none.

    >>> short(0.98611111), short(12), short(None)
    ('0.9861', '12', '-')
    """
    return NOTHING if value is None else value_text(value)


def setting_texts(values: Mapping[str, object]) -> list[str]:
    """Return the settings of a configuration for a list or a sentence.

    >>> setting_texts({"lr": 0.00123456, "optimizer": "sgd"})
    ['lr = 0.001235', 'optimizer = sgd']
    """
    return [f"{name} = {value_text(value)}" for name, value in values.items()]


def configuration(values: Mapping[str, object]) -> str:
    """Return a configuration in one line.

    >>> configuration({"lr": 0.00312345, "optimizer": "adam", "batch_norm": True})
    'lr=0.003123 optimizer=adam batch_norm=True'
    """
    return " ".join(f"{name}={value_text(value)}" for name, value in values.items())


def option(name: str, value: object, default: object) -> str:
    """Return a command's option as it is typed, after a space; nothing where the default does.

    >>> option("--storage", "sqlite:///my trials.db", "sqlite:///optuna.db"), option("--seed", 0, 0)
    (" --storage 'sqlite:///my trials.db'", '')
    """
    return "" if value == default else f" {name} {shlex.quote(str(value))}"
