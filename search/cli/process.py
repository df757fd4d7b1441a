"""What the commands that train share: the machine, signals, exit codes, commands to type next."""

import shlex
import signal
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from ...sources import is_disk_full
from ..errors import StorageFailedError, StudyError, TrackingFailedError, unknown
from ..text import option
from .options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, DEFAULT_STORAGE, DEFAULT_TRACKING_URI
from .output import console, say

if TYPE_CHECKING:
    from ..launchers import Machine, Outcome
    from ..stores import Places
    from ..waiting import Waiting

FAILED = 1
INTERRUPTED = 130

OPTIONS: dict[str, tuple[str, object]] = {
    "storage": ("--storage", DEFAULT_STORAGE),
    "tracking_uri": ("--tracking-uri", DEFAULT_TRACKING_URI),
    "data_dir": ("--data-dir", str(DEFAULT_DATA_DIR)),
    "cache_dir": ("--cache-dir", str(DEFAULT_CACHE_DIR)),
}
"""The options that say where things are, with their defaults, by the fields of `Places`."""

TAKEN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("run", "retrain", "test"), tuple(OPTIONS)),
    **dict.fromkeys(("report", "serve", "sync", "ui"), ("storage", "tracking_uri")),
    **dict.fromkeys(("export", "predict"), ("tracking_uri",)),
    "importance": ("storage",),
}
"""Which of them each command takes."""

DONE = {"study", "timeout", "retry_failed", "again"}
"""What is not typed again to go on: whoever has opened the test images once more does not mean to do it twice."""


def machine_of(
    *, launcher: str, device: str, workers: int | None, threads: int | None, hang_timeout: float | None = None
) -> "Machine":
    """Return what the options say about the machine.

    Raises:
        StudyError: the launcher is unknown.
    """
    if launcher not in ("processes", "inline"):
        raise StudyError(unknown("launcher", launcher, ("processes", "inline")))
    with console(stderr=True).status("starting"):  # torch takes seconds to import
        from ..launchers import Machine

    return Machine(launcher=launcher, device=device, workers=workers, threads=threads, hang_seconds=hang_timeout)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop`, which puts everything away, at the first Ctrl-C or SIGTERM; the second one ends at once."""

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, first)
    signal.signal(signal.SIGTERM, first)


def command(name: str, places: "Places | Mapping[str, str]", *arguments: str) -> str:
    """Return a command to type, with the options that say where things are, without passwords and defaults."""
    from ..stores import shown

    where = {at: places[at] if isinstance(places, Mapping) else getattr(places, at) for at in TAKEN[name]}
    options = "".join(option(OPTIONS[at][0], shown(str(value)), OPTIONS[at][1]) for at, value in where.items())
    return shlex.join(["optrack", name, *arguments]) + options


def resuming(context: typer.Context, places: "Places | Mapping[str, str]", reference: str | None) -> str:
    """Return the command that goes on with the one that runs: all options that were given, but for what is done.

    Args:
        context: of the command that runs.
        places: where the stores and the data are; `command` types these, without passwords.
        reference: the study as it was given; None where none was.
    """
    ran: Any = context.command
    typed: list[str] = []
    for parameter in ran.params:
        source: Any = context.get_parameter_source(parameter.name)
        if parameter.name in {*OPTIONS, *DONE} or source.name != "COMMANDLINE":
            continue
        given: Any = context.params[parameter.name]
        values: list[Any] = given if parameter.multiple or parameter.nargs != 1 else [given]
        if parameter.param_type_name == "argument":
            typed += map(str, values)
        elif given is True:
            typed.append(parameter.opts[0])
        else:
            typed += [word for value in values for word in (parameter.opts[0], str(value))]
    return command(ran.name, places, *([] if reference is None else [reference]), *typed)


@contextmanager
def with_way_on(again: str, *, resumes: bool = True) -> Generator[None]:
    """Say which command goes on where Ctrl-C, a store that stays away or a disk without space ends all at once.

    Args:
        again: the command to type.
        resumes: whether it goes on where this one has stopped, and does not begin anew.
    """
    try:
        yield
    except KeyboardInterrupt:
        if resumes:
            say(f"interrupted: `{again}` resumes it")
        raise
    except Exception as error:
        is_ours = isinstance(error, StorageFailedError | TrackingFailedError)
        if not (is_ours or is_disk_full(error)):
            raise
        way_on = "goes on where it stopped" if resumes else "tries again"
        kind = type(error) if is_ours else StorageFailedError
        raise kind(f"{error}; `{again}` {way_on}") from error


@contextmanager
def mlflow_waited_for(seconds: float, again: str, *, resumes: bool = False) -> Generator["Waiting"]:
    """Wait for MLflow in the block for so long at a time, and say which command goes on where that is not enough."""
    from ..waiting import Waiting, waits

    with with_way_on(again, resumes=resumes), waits(Waiting(seconds, say)) as waiting:
        yield waiting


def print_next(commands: Iterable[tuple[str, str]]) -> None:
    """Print the commands that make sense now, each with its purpose."""
    say("Next:")
    for typed, purpose in commands:
        say(f"  {typed}  # {purpose}")


def print_outcome(outcome: "Outcome", again: str) -> int:
    """Say whether a search or a retraining was ended, and that `again` resumes it; return the exit code."""
    if outcome.interrupted:
        say(f"interrupted: `{again}` resumes it")
        return INTERRUPTED
    if outcome.timed_out:
        say(f"the time is up: `{again}` resumes it")
    return FAILED if outcome.failed or outcome.stopped or outcome.refused else 0
