# pyright: reportPrivateUsage=false
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from optrack.search import Sampler, StudyError
from optrack.search.cli.options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, DEFAULT_STORAGE, DEFAULT_TRACKING_URI
from optrack.search.cli.run import _closing_words, _key_value, _strategy
from optrack.search.launchers.pool import Outcome
from optrack.search.stores.places import Places


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
        (Outcome(), 0, "Next:"),
        (Outcome(failed=2), 1, "Next:"),
        (Outcome(stopped=True), 1, "Next:"),
        (Outcome(timed_out=True), 0, "the time is up: `optrack run digits`"),
        (Outcome(interrupted=True), 130, "interrupted: `optrack run digits`"),
        (Outcome(interrupted=True, failed=2), 130, "interrupted: `optrack run digits`"),
    ],
)
def test_the_exit_code_says_how_it_ended(
    outcome: Outcome, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _closing_words("digits", outcome, PLACES, "optrack run digits", []) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(words)
    next_commands = [line.split("  #")[0].strip() for line in output.err.partition("Next:\n")[2].splitlines()]
    expected = ["optrack importance digits", "optrack ui", "optrack retrain digits"]
    assert next_commands == ([] if code == 130 else expected)


def test_the_next_commands_say_where_things_lie_as_far_as_each_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    places = replace(PLACES, storage="sqlite:///a.db", tracking_uri="sqlite:///b.db", data_dir=Path("my data"))
    _closing_words("my study.py", Outcome(), places, "", [])
    where, data = ["--storage", "sqlite:///a.db"], ["--data-dir", "my data"]
    tracking = ["--tracking-uri", "sqlite:///b.db"]
    assert [shlex.split(line, comments=True) for line in capsys.readouterr().err.splitlines()[1:]] == [
        ["optrack", "importance", "my study.py", *where],
        ["optrack", "ui", *where, *tracking],
        ["optrack", "retrain", "my study.py", *where, *tracking, *data],
    ]


@pytest.mark.parametrize(
    ("families", "line"),
    [
        (["linear"], "all trials of linear diverged: no epoch has a finite loss; "),
        (["linear", "deep"], "all trials of linear and deep diverged: no epoch has a finite loss; "),
    ],
)
def test_a_search_whose_trials_all_diverged_says_so_and_exits_with_1(
    families: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _closing_words("digits", Outcome(), PLACES, "optrack run digits", [], families) == 1
    assert capsys.readouterr().err.splitlines()[0].startswith(line)


def ended(*reasons: str | None) -> list[Any]:
    return [SimpleNamespace(failure=reason) for reason in reasons]


@pytest.mark.parametrize(
    ("trials", "line"),
    [
        (ended(None, "ValueError: no"), "1 of 2 failed: ValueError: no; "),
        (ended("ValueError: no", "ValueError: no"), "2 of 2 failed: ValueError: no; "),
        (ended("a", None, "b", "a"), "3 of 4 failed: a (2), b (1); "),
        (ended("x" * 10_000), f"1 of 1 failed: {'x' * 100}…{'x' * 99}; "),
    ],
)
def test_stored_failures_are_named_with_the_command_that_tries_them_again(
    trials: list[Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _closing_words("digits", Outcome(), PLACES, "optrack run digits", trials) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first == f"{line}`optrack run digits --retry-failed` tries them again"
