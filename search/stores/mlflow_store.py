"""MLflow as the place where runs are recorded: its one client, reading a study's runs, and adding to them."""

import logging
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from ..errors import MlflowAwayError, NothingStoredError, TrackingError
from ..waiting import Waiting, waited_for, waiting_now
from . import mlflow_names as names
from .addresses import away_error, check_tracking, first_line, has_records, mlflow_at, readable, reason_of, shown
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


OF_MLFLOW = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)
"""What MLflow's client raises."""

MOVING = {"download_artifacts", "log_artifact", "log_artifacts"}
"""The client's methods that move files, and may take as long as these are large."""


@contextmanager
def answers_of(uri: str) -> Generator[None]:
    """Turn MLflow's errors in the block into ours."""
    try:
        yield
    except OF_MLFLOW as error:
        raise _ours(error, uri) from None


def _ours(error: Exception, uri: str) -> TrackingError:
    return away_error(uri, error)(f"{mlflow_at(uri)} does not answer: {reason_of(error, uri)}")


def client(uri: str) -> MlflowClient:
    """Return MLflow's client for runs and registered models at an address that `check_tracking` has accepted.

    Where MLflow is waited for in this context, so do the client's methods, in whatever thread they are called.

    Raises:
        TrackingError: MLflow does not answer.
    """
    quiet_mlflow()

    def opened() -> MlflowClient:
        with answers_of(uri):
            have_tables(uri)
            address = readable(uri)
            return MlflowClient(tracking_uri=address, registry_uri=address)

    calls, waiting = waited_for(opened, name=mlflow_at(uri)), waiting_now()
    return calls if waiting is None else cast("MlflowClient", _WaitingClient(calls, uri, waiting))


class _WaitingClient:
    """MLflow's client whose methods are repeated until MLflow answers; what it has done by then is not done twice."""

    def __init__(self, calls: MlflowClient, uri: str, waiting: Waiting) -> None:
        self._calls = calls
        self._uri = uri
        self._waiting = waiting

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._calls, name)

        def waiting(*arguments: Any, **options: Any) -> Any:
            return self._repeated(partial(method, *arguments, **options), moves_files=name in MOVING)

        return waiting

    def create_experiment(self, name: str, **options: Any) -> str:
        """Make an experiment, or return the one that was made when an answer was lost."""

        def made() -> str | None:
            found = self._calls.get_experiment_by_name(name)
            return found and found.experiment_id

        return self._made_once(partial(self._calls.create_experiment, name, **options), made)

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: Tags = NONE, run_name: str | None = None
    ) -> Run:
        """Make a run, or return the one that was made when an answer was lost: it began at this millisecond."""
        start_time = start_time or time.time_ns() // 1_000_000

        def made() -> Run | None:
            found: list[Run] = self._calls.search_runs([experiment_id], f"attributes.start_time = {start_time}")
            return next((run for run in found if run.info.run_name == run_name), None)

        return self._made_once(
            lambda: self._calls.create_run(experiment_id, start_time, dict(tags), run_name),
            made,
        )

    def create_model_version(self, name: str, source: str, run_id: str, **options: Any) -> ModelVersion:
        """Make a version of a model, or return the one that was made of this run when an answer was lost."""

        def made() -> ModelVersion | None:
            return next(iter(self._calls.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")), None)

        return self._made_once(partial(self._calls.create_model_version, name, source, run_id, **options), made)

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash, where it may lie since an answer was lost."""

        def done() -> bool | None:
            return self._calls.get_run(run_id).info.lifecycle_stage == "deleted" or None

        self._made_once(partial(self._calls.delete_run, run_id), done)

    def _made_once(self, make: Callable[[], Any], made: Callable[[], Any]) -> Any:
        is_tried = False

        def attempt() -> Any:
            nonlocal is_tried
            found = made() if is_tried else None
            is_tried = True
            return make() if found is None else found

        return self._repeated(attempt)

    def _repeated(self, call: Callable[[], Any], *, moves_files: bool = False) -> Any:
        def answered() -> Any:
            try:
                return call()
            except OF_MLFLOW as error:
                ours = _ours(error, self._uri)
                if isinstance(ours, MlflowAwayError):
                    raise ours from None
                raise  # callers tell MLflow's answers apart

        return self._waiting.repeated(answered, name=mlflow_at(self._uri), moves_files=moves_files)


def fetch(uri: str, place: str, name: str, folder: Path) -> Path | None:
    """Fetch an artifact, file or folder, into a folder; None where it is not there.

    Args:
        uri: of MLflow.
        place: address of the artifacts.
        name: path of the artifact there.
        folder: on this machine; the artifact lies in it under its own name.

    Raises:
        TrackingError: MLflow does not answer, or the artifact cannot be had though it is there.
    """

    def fetched() -> Path | None:
        with answers_of(uri):
            at = readable(uri)
            try:
                return Path(download_artifacts(artifact_uri=f"{place}/{name}", dst_path=str(folder), tracking_uri=at))
            except (MlflowException, OSError) as error:
                # What MLflow raises then does not tell whether the artifact or the server is gone.
                parent, _, _ = name.rpartition("/")
                there = list_artifacts(artifact_uri=f"{place}/{parent}".rstrip("/"), tracking_uri=at)
                if not any(each.path.rpartition("/")[2] == name.rpartition("/")[2] for each in there):
                    return None
                raise (MlflowAwayError if uri.startswith("http") else TrackingError)(
                    f"{mlflow_at(uri)} does not give {name}: {first_line(error, uri)}"
                ) from None

    return waited_for(fetched, name=mlflow_at(uri), moves_files=True)


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
            status=run.info.status,
        )

    @override
    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        with answers_of(self.uri):
            return [item.path for item in self._client.list_artifacts(run_id, folder or None)]

    @override
    @contextmanager
    def fetched(self, run_id: str, name: str) -> Generator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            with answers_of(self.uri):
                place = str(self._client.get_run(run_id).info.artifact_uri)
            path = fetch(self.uri, place, name, Path(folder))
            if path is None:
                raise TrackingError(
                    f"the artifact {name} of run {run_id} is gone from {mlflow_at(self.uri)}: put it back into "
                    f"{place}; or delete the run, and `optrack retrain {self.study}` makes it again"
                )
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
