"""What the commands that train have in common: the machine, signals, exit codes, commands to be typed again."""

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
    from ..stores.places import Places

FAILED = 1
INTERRUPTED = 130


def machine_of(*, launcher: str, device: str, workers: int | None, threads: int | None) -> "Machine":
    """What the options say about the machine.

    Raises:
        StudyError: no such launcher.
    """
    if launcher not in ("processes", "inline"):
        raise StudyError(unknown("launcher", launcher, ("processes", "inline")))
    with console(stderr=True).status("starting"):  # torch takes seconds to import
        from ..launchers.machine import Machine

    return Machine(launcher=launcher, device=device, workers=workers, threads=threads)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """The first Ctrl-C or SIGTERM calls `stop`, which puts everything away; the second one ends at once."""

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, first)
    signal.signal(signal.SIGTERM, first)


def place_options(places: "Places", *, storage: bool = True, tracking: bool = True, data: bool = True) -> str:
    """The options that say where things lie, as they must be typed again but for passwords; nothing for defaults.

    Args:
        places: where things lie.
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
    """The commands that make sense now, each with what it is for."""
    say = console(stderr=True)
    say.print("Next:")
    for command, purpose in commands:
        say.print(f"  {command}  # {purpose}", markup=False, soft_wrap=True)
