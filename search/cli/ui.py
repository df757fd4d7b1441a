"""`optrack ui`: MLflow's UI and optuna-dashboard side by side."""

from typing import Annotated

import typer

from .options import DEFAULT_STORAGE, DEFAULT_TRACKING_URI, StorageOption, TrackingOption
from .output import console, say
from .stored import quiet_optuna


def ui(
    storage: StorageOption = DEFAULT_STORAGE,
    tracking_uri: TrackingOption = DEFAULT_TRACKING_URI,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of MLflow's UI.")] = 5000,
    dashboard_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of optuna-dashboard.")] = 8080,
) -> None:
    """Start MLflow's UI and optuna-dashboard on this machine; Ctrl-C ends both."""
    from ..servers import serve
    from ..stores import read_storage, readable

    quiet_optuna()
    read_storage(storage)  # a dashboard of a missing storage would leave an empty file behind
    from ..stores import check_tracking, study_links

    check_tracking(tracking_uri)
    if (readable(storage), readable(tracking_uri)) != (storage, tracking_uri):
        say("what may only be read here is shown as a copy: what is changed on the pages is lost when they end")
    say("starting both takes about ten seconds; Ctrl-C ends them")

    def announce(name: str, address: str) -> None:
        console().print(f"{name}: {address}", markup=False, soft_wrap=True)
        if name == "MLflow":
            for table, link in study_links(tracking_uri, address):
                console().print(f"  {table}: {link}", markup=False, soft_wrap=True)

    serve(
        tracking_uri=readable(tracking_uri),
        storage_url=readable(storage),
        mlflow_port=mlflow_port,
        dashboard_port=dashboard_port,
        announce=announce,
    )
