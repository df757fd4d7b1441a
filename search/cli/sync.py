"""`optrack sync`: MLflow made equal to Optuna's storage."""

from typing import Annotated

import typer

from ..errors import StudyError, unknown
from . import options
from .output import console, say
from .process import mlflow_waited_for, resuming
from .stored import quiet_optuna, study_name


def sync(
    context: typer.Context,
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="A stored study; all if left out.")] = None,
    *,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.DEFAULT_WAIT_SECONDS,
) -> None:
    """Compare everything that is stored with MLflow's runs, value by value, and write what they lack.

    A search writes MLflow by itself while it runs; this is for a search whose MLflow was away, and for an MLflow
    whose database or artifacts were lost. Retrained models and tests live in MLflow alone.
    """
    from ..stores import check_tracking, check_writable, read_storage, stored_names

    quiet_optuna()
    known = stored_names(read_storage(storage))
    name = study and study_name(study)
    if name is not None and name not in known:
        raise StudyError(unknown("stored study", name, known))
    from ..mirror import sync_study

    places = {"storage": storage, "tracking_uri": tracking_uri}
    with mlflow_waited_for(wait, resuming(context, places, study), resumes=True):
        check_tracking(tracking_uri)
        check_writable(tracking_uri)
        for each in known if name is None else [name]:
            with console(stderr=True).status(f"comparing {each}"):
                mended = sync_study(each, storage_url=storage, tracking_uri=tracking_uri)
            for line in mended.lines(each) or ["MLflow is equal to Optuna's storage"]:
                say(f"{each}: {line}")
