"""All commands under one name, and every error in one line."""

import atexit
import gc
import os
import platform
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from ...sources import MOST_CHARACTERS, fit, is_disk_full
from ..errors import OptrackError, StorageFailedError, TrackingFailedError
from .architecture import architecture_app
from .best import best
from .dataset import dataset_app
from .export import export
from .importance import importance
from .new import new
from .predict import predict
from .process import FAILED, INTERRUPTED
from .report import report
from .retrain import retrain
from .run import run
from .serve import serve
from .status import status
from .studies import studies
from .sync import sync
from .test import test
from .ui import ui

BAD_INPUT = 2

app = typer.Typer(
    name="optrack",
    help="Search for the best configuration of image classifiers: Optuna proposes, PyTorch trains, MLflow records.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (new, run, status, best, importance, retrain, test, report, export, predict, serve, studies, sync, ui):
    app.command()(command)
app.add_typer(dataset_app, name="dataset")
app.add_typer(architecture_app, name="architecture")


def say_version(asked: bool) -> None:  # noqa: FBT001 - typer's form
    """Print the versions of optrack and of what it stands on, and end, if asked."""
    if asked:
        others = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision", "optuna", "mlflow"))
        typer.echo(f"optrack {metadata.version('optrack')} (Python {platform.python_version()}, {others})")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=say_version, help="Say which versions these are.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run a command; exit 0 when done, 1 when something failed, 2 on bad input, 130 when interrupted."""
    # Nothing leaves the machine by us.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # Bars of its own between ours, one for each file.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # The address of each run of a server, among our answers.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # MLflow's client would try for eight minutes without a word; whoever calls it here tries again, with one.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    atexit.register(_leave)
    result: Any = None
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()  # what is still to be written can fail here, and not while Python exits
    except (StorageFailedError, TrackingFailedError) as error:
        _fail(str(error), FAILED)
    except OptrackError as error:
        _fail(str(error), FAILED if is_disk_full(error) else BAD_INPUT)
    except TyperException as error:
        message = error.format_message().replace("Input should be", "it must be")
        if message.startswith("No such command"):
            message += f" Known are {', '.join(_commands_of(error))}."
        if not message:  # no command was named, and the help is printed already
            sys.exit(BAD_INPUT)
        _fail(message)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has closed it, as `| head` does; Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not is_disk_full(error):
            raise
        _fail(str(error), FAILED)
    sys.exit(result if isinstance(result, int) else 0)


def _leave() -> None:
    """Close all databases, and spare Python its last search for garbage among every object of MLflow and torch."""
    if "sqlalchemy" in sys.modules:
        from sqlalchemy import Engine

        for engine in [each for each in gc.get_objects() if type(each) is Engine]:
            if engine.url.database is not None:  # one in memory is its thread's alone
                engine.dispose()
    gc.freeze()


def _commands_of(error: TyperException) -> list[str]:
    """Return the names of the commands among which one was not found: of all, or of a group."""
    context: Any = getattr(error, "ctx", None)
    group: Any = typer.main.get_command(app) if context is None else context.command
    return list(group.commands)


def _fail(message: str, code: int = BAD_INPUT) -> None:
    line = fit(" ".join(message.split()), MOST_CHARACTERS)
    sys.stderr.write(f"optrack: error: {line}\n")
    sys.exit(code)
