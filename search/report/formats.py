"""Numbers as people read them on the page."""

from collections.abc import Mapping

from ..study.metric import MetricName

NOTHING = "-"

MINUTE, HOUR = 60, 3600


def percent(share: float | None) -> str:
    """A share in [0, 1] in per cent.

    >>> percent(0.95361), percent(None)
    ('95.36 %', '-')
    """
    return NOTHING if share is None else f"{100 * share:.2f} %"


def percent_range(low: float, high: float) -> str:
    """Two shares in [0, 1] as a range in per cent.

    >>> percent_range(0.951, 0.9536)
    '95.10 to 95.36 %'
    """
    return f"{100 * low:.2f} to {percent(high)}"


def metric_value(metric: MetricName, value: float | None) -> str:
    """A value of the metric: accuracy in per cent, loss as it is.

    >>> metric_value("val_accuracy", 0.5), metric_value("val_loss", 0.5)
    ('50.00 %', '0.5000')
    """
    if value is None or metric == "val_accuracy":
        return percent(value)
    return f"{value:.4f}"


def metric_difference(metric: MetricName, value: float) -> str:
    """A difference of two values of the metric: accuracy in points, loss as it is.

    >>> metric_difference("val_accuracy", 0.0042), metric_difference("val_loss", 0.0042)
    ('0.42 points', '0.0042')
    """
    return f"{100 * value:.2f} points" if metric == "val_accuracy" else f"{value:.4f}"


def metric_name(metric: MetricName) -> str:
    """The metric in words.

    >>> metric_name("val_loss")
    'validation loss'
    """
    return metric.replace("val_", "validation ")


def count(number: int | None) -> str:
    """A whole number with its thousands apart.

    >>> count(61706), count(None)
    ('61,706', '-')
    """
    return NOTHING if number is None else f"{number:,}"


def plural(number: int, noun: str) -> str:
    """A number of things.

    >>> plural(1, "trial"), plural(1200, "trial")
    ('1 trial', '1,200 trials')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listing(words: list[str]) -> str:
    """Words as a list in a sentence.

    >>> listing(["a", "b", "c"]), listing(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def duration(seconds: float | None) -> str:
    """A time in the units that suit it.

    >>> duration(4.31), duration(71.6), duration(5400), duration(None)
    ('4.3 s', '1 min 12 s', '1 h 30 min', '-')
    """
    if seconds is None:
        return NOTHING
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def value_text(value: object) -> str:
    """A value of a hyperparameter, floats with four digits.

    >>> value_text(0.00312345), value_text(128), value_text("adam"), value_text(None)
    ('0.003123', '128', 'adam', 'none')
    """
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def pairs(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """A configuration as names and texts.

    >>> pairs({"lr": 0.1, "depth": 3})
    [('lr', '0.1'), ('depth', '3')]
    """
    return [(name, value_text(value)) for name, value in values.items()]
