"""MLflow as the place where runs are recorded: its one client, reading a study's runs, and adding to them."""

import logging
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from ..errors import NothingStoredError, TrackingError
from . import mlflow_names as names
from .addresses import check_tracking, first_line, has_records, readable, shown
from .mlflow_database import have_tables
from .mlflow_names import tagged
from .mlflow_views import MODELS_VIEW, TRIALS_VIEW
from .tracking import NONE, Metrics, Params, RunContent, RunStore, Tags

BATCH_LIMIT = 1000
"""Metrics that MLflow takes in one call."""


def quiet_mlflow() -> None:
    """Silence MLflow's own lines, which would stand between ours; what goes wrong comes as an exception."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)


@contextmanager
def answers_of(uri: str) -> Generator[None]:
    """Turn MLflow's errors in the block into ours."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise TrackingError(f"MLflow at {shown(uri)} does not answer: {first_line(error, uri)}") from None


def client(uri: str) -> MlflowClient:
    """Return MLflow's client for runs and registered models at an address that `check_tracking` has accepted.

    Raises:
        TrackingError: MLflow does not answer.
    """
    quiet_mlflow()
    with answers_of(uri):
        have_tables(uri)
        address = readable(uri)
        return MlflowClient(tracking_uri=address, registry_uri=address)


def all_pages(search: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """Return what is on all pages of one of the client's searches."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = search(*arguments, page_token=token, **options)
        found += page
        token = page.token
        if not token:
            return found


class MlflowRuns(RunStore):
    """The runs of one study in MLflow.

    Raises:
        TrackingError: MLflow does not answer.
        NothingStoredError: it does not know the study.
    """

    def __init__(self, uri: str, study: str) -> None:
        self.uri = uri
        self.study = study
        found = None
        check_tracking(uri)
        if has_records(uri):
            self._client = client(uri)
            with answers_of(uri):
                found = self._client.get_experiment_by_name(study)
        if found is None or found.lifecycle_stage != "active":
            raise NothingStoredError(
                f"MLflow at {shown(uri)} has no experiment {study!r}: give the --tracking-uri of the study's records"
            )
        self.experiment_id = found.experiment_id

    @override
    def recorded(self, tags: Tags) -> list[tuple[str, Tags, Metrics]]:
        query = " and ".join(tagged(name, value) for name, value in tags.items())
        order = ["attributes.start_time ASC"]
        with answers_of(self.uri):
            found: list[Run] = all_pages(self._client.search_runs, [self.experiment_id], query, order_by=order)
        return [(run.info.run_id, run.data.tags, run.data.metrics) for run in found]

    @override
    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        with answers_of(self.uri):
            return [(each.step, each.value) for each in self._client.get_metric_history(run_id, metric)]

    @override
    def content(self, run_id: str) -> RunContent:
        with answers_of(self.uri):
            run: Run = self._client.get_run(run_id)
        return RunContent(
            params=run.data.params,
            tags=run.data.tags,
            metrics=run.data.metrics,
            epochs=self.epochs(run_id, run.data.metrics),
            is_running=run.info.status == "RUNNING",
        )

    @override
    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        with answers_of(self.uri):
            return [item.path for item in self._client.list_artifacts(run_id, folder or None)]

    @override
    @contextmanager
    def fetched(self, run_id: str, name: str) -> Generator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                with answers_of(self.uri):
                    path = Path(self._client.download_artifacts(run_id, name, folder))
            except TrackingError:
                raise TrackingError(
                    f"the artifact {name} of run {run_id} is gone from MLflow at {shown(self.uri)}: "
                    f"delete the run, and `optrack retrain {self.study}` makes it again"
                ) from None
            yield path

    @override
    def log(
        self, run_id: str, *, params: Params = NONE, tags: Tags = NONE, metrics: Metrics = NONE, step: int = 0
    ) -> None:
        now = time.time_ns() // 1_000_000
        with answers_of(self.uri):
            self._client.log_batch(
                run_id,
                params=[Param(name, str(value)[: names.TEXT_LIMIT]) for name, value in params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
                metrics=[Metric(name, float(value), now, step) for name, value in metrics.items()],
            )

    @override
    def log_epochs(self, run_id: str, epochs: Mapping[int, Metrics]) -> None:
        now = time.time_ns() // 1_000_000
        metrics = [
            Metric(name, float(value), now, epoch) for epoch, values in epochs.items() for name, value in values.items()
        ]
        with answers_of(self.uri):
            for first in range(0, len(metrics), BATCH_LIMIT):
                self._client.log_batch(run_id, metrics=metrics[first : first + BATCH_LIMIT])

    @override
    def log_file(self, run_id: str, file: str, content: str | bytes | Path) -> None:
        with tempfile.TemporaryDirectory() as folder, answers_of(self.uri):
            path = content if isinstance(content, Path) else Path(folder) / Path(file).name
            if not isinstance(content, Path):
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
            self._client.log_artifact(run_id, str(path), str(Path(file).parent) if "/" in file else None)

    @override
    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        with answers_of(self.uri):
            self._client.log_artifacts(run_id, str(folder), name)


def log_report(uri: str, study: str, page: bytes) -> None:
    """Write a study's report to the artifacts of a run of its own; the page before is replaced.

    Raises:
        NothingStoredError: MLflow does not know the study.
        TrackingError: MLflow does not answer.
    """
    runs = MlflowRuns(uri, study)
    tags = {names.STAGE_TAG: names.REPORT_STAGE}
    found = [run_id for run_id, _, _ in runs.recorded(tags)]
    tags |= {names.STUDY_TAG: study, names.STATE_TAG: "finished"}
    writes = client(uri)
    with answers_of(uri):
        if not found:
            made = writes.create_run(runs.experiment_id, run_name=names.REPORT_STAGE, tags=tags)
            found.append(made.info.run_id)
        writes.set_terminated(found[0])
    runs.log_file(found[0], names.REPORT_FILE, page)


def study_links(uri: str, address: str) -> list[tuple[str, str]]:
    """Return the tables of all studies by what they show: trials, and retrained models, the best first.

    Left alone, MLflow opens an experiment on an empty page of traces; the address is its server's.
    """
    with answers_of(uri):
        experiments = client(uri).search_experiments(filter_string=f"tags.`{names.STUDY_TAG}` != ''")
    page = "runs?workflowType=machine_learning&viewStateShareKey"
    return [
        (f"{what} of {item.name}", f"{address}/#/experiments/{item.experiment_id}/{page}={view}")
        for item in experiments
        for what, view in (("trials", TRIALS_VIEW), ("retrained models", MODELS_VIEW))
    ]
