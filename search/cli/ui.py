"""`optrack ui`: MLflow's UI and optuna-dashboard side by side."""

from typing import Annotated

import typer

from .options import DEFAULT_STORAGE, DEFAULT_TRACKING_URI, StorageOption, TrackingOption

Port = Annotated[int, typer.Option(min=1, max=65535)]


def ui(
    storage: StorageOption = DEFAULT_STORAGE,
    tracking_uri: TrackingOption = DEFAULT_TRACKING_URI,
    mlflow_port: Port = 5000,
    dashboard_port: Port = 8080,
) -> None:
    """Start MLflow's UI and optuna-dashboard on this machine; Ctrl-C ends both."""
