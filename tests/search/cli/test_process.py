import shlex
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from optrack.search import StudyError
from optrack.search.cli.app import app
from optrack.search.cli.options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, DEFAULT_STORAGE, DEFAULT_TRACKING_URI
from optrack.search.cli.process import OPTIONS, TAKEN, command, machine_of, resuming, stop_on_signals
from optrack.search.launchers.machine import Machine
from optrack.search.stores.places import Places
from optrack.search.text import option


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
    stops: list[str] = []
    stop_on_signals(lambda: stops.append("stop"))
    assert stops == []
    signal.raise_signal(first)
    assert stops == ["stop"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(second)
    assert stops == ["stop"]


def test_what_is_said_of_the_machine_is_what_is_used_of_it() -> None:
    machine = machine_of(launcher="inline", device="cuda:1", workers=3, threads=2)
    assert machine == Machine(launcher="inline", device="cuda:1", workers=3, threads=2)
    assert machine_of(launcher="processes", device="auto", workers=None, threads=None) == Machine()


def test_an_unknown_launcher_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(StudyError, match=r"unknown launcher 'process' \(did you mean 'processes'\?\)"):
        machine_of(launcher="process", device="auto", workers=None, threads=None)


@given(value=st.text(min_size=1), default=st.text())
def test_an_option_reads_as_it_was_given_and_a_default_is_left_out(value: str, default: str) -> None:
    words = shlex.split(option("--some", value, default))
    assert words == ([] if value == default else ["--some", value])


DEFAULTS = Places(
    storage=DEFAULT_STORAGE,
    tracking_uri=DEFAULT_TRACKING_URI,
    data_dir=DEFAULT_DATA_DIR,
    cache_dir=DEFAULT_CACHE_DIR,
)
OTHERS = Places(
    storage="postgresql://me:SECRET@host/name",
    tracking_uri="mysql://me:SECRET@host/records",
    data_dir=Path("my data"),
    cache_dir=Path("my cache"),
)
TYPED = {
    "storage": ["--storage", "postgresql://me:***@host/name"],
    "tracking_uri": ["--tracking-uri", "mysql://me:***@host/records"],
    "data_dir": ["--data-dir", "my data"],
    "cache_dir": ["--cache-dir", "my cache"],
}


@pytest.mark.parametrize("name", TAKEN)
def test_where_things_lie_by_default_need_not_be_typed(name: str) -> None:
    assert command(name, DEFAULTS) == f"optrack {name}"


@pytest.mark.parametrize("name", TAKEN)
def test_where_things_lie_is_typed_again_without_passwords_for_commands_that_ask_for_it(name: str) -> None:
    words = [word for place in TAKEN[name] for word in TYPED[place]]
    assert shlex.split(command(name, OTHERS, "my study.py")) == ["optrack", name, "my study.py", *words]


@pytest.mark.parametrize("name", TAKEN)
def test_a_command_takes_the_places_that_it_is_told(name: str) -> None:
    commands: Any = get_command(app)
    known = {item.name: item.default for item in commands.commands[name].params if item.name in OPTIONS}
    assert {place: str(default) for place, default in known.items()} == {
        place: default for place, (_, default) in OPTIONS.items() if place in TAKEN[name]
    }


def test_a_place_that_is_not_the_default_is_typed_alone() -> None:
    changed = replace(DEFAULTS, data_dir=Path("elsewhere"))
    assert command("run", changed) == "optrack run --data-dir elsewhere"


@pytest.mark.parametrize(
    "typed",
    [
        "run digits",
        "run digits --trials 40 --epochs 3 --patience 2 --total-epochs 9 --family mlp --family lenet --seed 0",
        "run digits --sampler tpe --sampler-option n_startup_trials=5 --sampler-option 'a=b c' --pruner none",
        "run digits --launcher inline --workers 2 --threads 1 --device cpu",
        "retrain digits --family mlp --seeds 5 --confirm 4 --threads 1",
    ],
)
def test_what_resumes_a_command_has_the_options_that_were_given(typed: str) -> None:
    name, *arguments = shlex.split(typed)
    assert shlex.split(resumed(name, arguments)) == ["optrack", name, *arguments]


def test_what_resumes_a_search_drops_its_time_and_hides_passwords() -> None:
    arguments = ["--timeout", "30", "--storage", OTHERS.storage, "--trials", "40", "my study.py"]
    expected = ["optrack", "run", "my study.py", "--trials", "40", *TYPED["storage"]]
    assert shlex.split(resumed("run", arguments, replace(DEFAULTS, storage=OTHERS.storage))) == expected


def resumed(name: str, arguments: list[str], places: Places = DEFAULTS) -> str:
    group: Any = get_command(app)
    context = group.commands[name].make_context(name, list(arguments))
    return resuming(context, places, context.params["study"])
