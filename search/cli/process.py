"""What the commands that train share: the machine, signals, exit codes, commands to type next."""

import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING

from ..errors import StudyError, unknown
from ..text import option
from .options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, DEFAULT_STORAGE, DEFAULT_TRACKING_URI
from .output import console

if TYPE_CHECKING:
    from ..launchers.machine import Machine
    from ..launchers.pool import Outcome
    from ..stores.places import Places

FAILED = 1
INTERRUPTED = 130


def machine_of(*, launcher: str, device: str, workers: int | None, threads: int | None) -> "Machine":
    """Return what the options say about the machine.

    Raises:
        StudyError: the launcher is unknown.
    """
    if launcher not in ("processes", "inline"):
        raise StudyError(unknown("launcher", launcher, ("processes", "inline")))
    with console(stderr=True).status("starting"):  # torch takes seconds to import
        from ..launchers.machine import Machine

    return Machine(launcher=launcher, device=device, workers=workers, threads=threads)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop`, which puts everything away, at the first Ctrl-C or SIGTERM; the second one ends at once."""

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, first)
    signal.signal(signal.SIGTERM, first)


def place_options(places: "Places", *, storage: bool = True, tracking: bool = True, data: bool = True) -> str:
    """Return the options that say where things are, as they must be typed again, without passwords and defaults.

    Args:
        places: where the stores and the data are.
        storage: whether the command takes Optuna's storage.
        tracking: whether it takes MLflow's address.
        data: whether it takes the folders of images.
    """
    from ..stores.addresses import shown

    text = option("--storage", shown(places.storage), DEFAULT_STORAGE) if storage else ""
    text += option("--tracking-uri", shown(places.tracking_uri), DEFAULT_TRACKING_URI) if tracking else ""
    if data:
        text += option("--data-dir", places.data_dir, DEFAULT_DATA_DIR)
        text += option("--cache-dir", places.cache_dir, DEFAULT_CACHE_DIR)
    return text


def print_next(commands: Iterable[tuple[str, str]]) -> None:
    """Print the commands that make sense now, each with its purpose."""
    say = console(stderr=True)
    say.print("Next:")
    for command, purpose in commands:
        say.print(f"  {command}  # {purpose}", markup=False, soft_wrap=True)


def print_outcome(outcome: "Outcome", again: str, jobs: str) -> int:
    """Say how a search or a retraining ended, unless all went well; return the exit code.

    Args:
        outcome: how it ended.
        again: the command that resumes it.
        jobs: what may have failed, "trials" or "trainings".
    """
    say = console(stderr=True)
    if outcome.interrupted:
        say.print(f"interrupted: `{again}` resumes it", markup=False, soft_wrap=True)
        return INTERRUPTED
    if outcome.timed_out:
        say.print(f"the time is up: `{again}` resumes it", markup=False, soft_wrap=True)
    if outcome.failed:
        say.print(f"failed {jobs}: {outcome.failed}; their runs in MLflow hold failure.txt", markup=False)
    return FAILED if outcome.failed else 0
