"""`optrack serve`: a page where each champion classifies the images that are dropped on it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import NothingStoredError, OwnSourceError
from . import options
from .output import console, say
from .process import mlflow_waited_for, resuming
from .stored import quiet_optuna, study_name

if TYPE_CHECKING:
    from ..champions import Champion
    from ..servers import Served
    from ..study import Family

DEFAULT_PORT = 8600


def serve(
    context: typer.Context,
    study: options.StudyArgument,
    *,
    family: options.FamilyOption = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page on this machine; 0 for any that is free.")
    ] = DEFAULT_PORT,
    run_source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Run this recorded code of a user-defined network if it is not at hand; may be repeated.",
        ),
    ] = None,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.DEFAULT_WAIT_SECONDS,
) -> None:
    """Serve a page where each family's champion classifies the images that are dropped on it.

    Predictions are shown side by side, and test accuracies beside reported ones where Optuna's storage has them. Only
    this machine can open the page. Ctrl-C ends it.
    """
    from ..servers import listener, serve_until_stopped

    name = study_name(study)
    with listener(port, option="--port") as opened:
        again = resuming(context, {"storage": storage, "tracking_uri": tracking_uri}, study)
        with console(stderr=True).status("loading"), mlflow_waited_for(wait, again):  # torch takes seconds to import
            from ..servers import page_app

            searched = _searched(name, storage)
            served = _served(name, family, searched, tracking_uri, run_source or ())
        known = {each.family for each in served}
        missing = [] if family else [each.name for each in searched if each.name not in known]
        app = page_app(name, served, missing=missing)
        serve_until_stopped(app, opened, announce=lambda address: say(f"{address}  (Ctrl-C ends it)"))


def _searched(study: str, storage: str) -> "tuple[Family, ...]":
    """Return the stored families of a study; none where it was searched on another machine."""
    from ..stores import read_storage, stored_families, whole_study

    quiet_optuna()
    try:
        stored = stored_families(read_storage(storage), study)
    except NothingStoredError:
        return ()
    return tuple(whole_study(stored).families) if stored else ()


def _served(
    study: str,
    only: list[str] | None,
    searched: "tuple[Family, ...]",
    tracking_uri: str,
    run_source: Sequence[str] = (),
) -> "list[Served]":
    """Load the champions with their results, the winner first, then by test accuracy."""
    from ..champions import registered
    from ..servers import Served

    found = registered(tracking_uri, study)
    references = {family.name: family.reference for family in searched}
    # With no champion, asking for the winner raises an error that says what is there instead.
    names: list[str] | list[None] = list(dict.fromkeys(only or found)) or [None]
    served = [
        Served(
            champion=champion,
            best=found[champion.family].best,
            test=found[champion.family].figures.get("test_accuracy"),
            reference=references.get(champion.family),
        )
        for champion in (_loaded(study, name, tracking_uri, run_source) for name in names)
    ]
    return sorted(served, key=lambda each: (not each.best, -(each.test or 0.0), each.family))


def _loaded(study: str, family: str | None, tracking_uri: str, run_source: Sequence[str]) -> "Champion":
    """Load a champion; the code of a user-defined network is looked for in its place, then under the given names."""
    from ..champions import load_champion

    *others, last = (None, *run_source)
    for source in others:
        with suppress(OwnSourceError):
            return load_champion(study, family, tracking_uri=tracking_uri, run_source=source)
    return load_champion(study, family, tracking_uri=tracking_uri, run_source=last)
