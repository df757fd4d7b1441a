# pyright: reportPrivateUsage=false
import signal
from collections.abc import Iterator
from typing import Any, cast

import pytest

from optrack.search import Sampler, StudyError
from optrack.search.cli.options import (
    DEFAULT_CACHE_DIR,
    DEFAULT_DATA_DIR,
    DEFAULT_STORAGE,
    DEFAULT_TRACKING_URI,
)
from optrack.search.cli.run import _closing_words, _key_value, _stop_on_signals, _strategy
from optrack.search.coordinator import Coordinator, Outcome
from optrack.search.places import Places


class Stoppable:
    """In the place of a coordinator."""

    def __init__(self) -> None:
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


@pytest.fixture
def kept_handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_handlers")
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_the_second_ends_at_once(first: int, second: int) -> None:
    coordinator = Stoppable()
    _stop_on_signals(cast("Coordinator", coordinator))
    assert coordinator.stops == 0
    signal.raise_signal(first)
    assert coordinator.stops == 1
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(second)
    assert coordinator.stops == 1


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("n=5", ("n", 5)),
        ("x=0.5", ("x", 0.5)),
        ("x=1e-3", ("x", 0.001)),
        ("flag=true", ("flag", True)),
        ("nothing=null", ("nothing", None)),
        ("word=adam", ("word", "adam")),
        ('word="5"', ("word", "5")),
        ("equation=a=b", ("equation", "a=b")),
        ("empty=", ("empty", "")),
        ("x=NaN", ("x", "NaN")),
        ("x=-Infinity", ("x", "-Infinity")),
        ("x=1e999", ("x", "1e999")),
    ],
)
def test_options_are_read_as_json_where_they_are_json(text: str, pair: tuple[str, Any]) -> None:
    name, value = _key_value("sampler", text)
    assert (name, value, type(value)) == (*pair, type(pair[1]))


@pytest.mark.parametrize("text", ["n", "=5", "", "list=[1, 2]", 'dict={"a": 1}'])
def test_options_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(StudyError, match="--pruner-option"):
        _key_value("pruner", text)


def test_another_sampler_drops_the_options_of_the_old_one() -> None:
    current = Sampler("tpe", n_startup_trials=5, multivariate=False)
    assert _strategy(current, "sampler", None, None) == ("tpe", current.options)
    assert _strategy(current, "sampler", "tpe", ["n_startup_trials=7"]) == (
        "tpe",
        {"n_startup_trials": 7, "multivariate": False},
    )
    assert _strategy(current, "sampler", "random", None) == ("random", {})
    assert _strategy(current, "sampler", None, ["n_ei_candidates=3"])[1] == {
        "n_startup_trials": 5,
        "multivariate": False,
        "n_ei_candidates": 3,
    }


PLACES = Places(
    storage=DEFAULT_STORAGE,
    tracking_uri=DEFAULT_TRACKING_URI,
    data_dir=DEFAULT_DATA_DIR,
    cache_dir=DEFAULT_CACHE_DIR,
)


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (Outcome(interrupted=False, timed_out=False, failed=0, trials=6), 0, "Next:"),
        (Outcome(interrupted=False, timed_out=False, failed=2, trials=6), 1, "failed trials: 2;"),
        (Outcome(interrupted=False, timed_out=True, failed=0, trials=6), 0, "the time is spent: `optrack run digits`"),
        (Outcome(interrupted=True, timed_out=False, failed=0, trials=6), 130, "interrupted: `optrack run digits`"),
        (Outcome(interrupted=True, timed_out=False, failed=2, trials=6), 130, "interrupted: `optrack run digits`"),
    ],
)
def test_the_exit_code_says_how_it_ended(
    outcome: Outcome, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _closing_words("digits", outcome, PLACES) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(words)
    assert ("optrack run digits --trials 12" in output.err) == (code != 130)
