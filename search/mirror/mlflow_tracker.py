"""MLflow's side of the record: an experiment per study, a parent run per family, a child run per trial or model.

What is written here mirrors Optuna's storage, for people to look at; nothing is decided by what stands here.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from typing_extensions import override

from ..errors import TrackingError
from ..stores import (
    MLFLOW_STATUS,
    NONE,
    MlflowRuns,
    Params,
    RunState,
    Tags,
    Tracker,
    answers_of,
    client,
    experiment_tags,
    note_digest,
    sqlite_path,
)
from ..stores import mlflow_names as names
from ..study import Study


class MlflowTracker(MlflowRuns, Tracker):
    """Records one study in MLflow, and with each run which images it saw.

    Args:
        uri: of MLflow.
        study: whose runs they are.
        data: the images, as `data_record` has them; of earlier versions, digests alone.
        tags: of each new run, beside its own.

    Raises:
        TrackingError: MLflow does not answer, or the study's experiment was deleted.
    """

    def __init__(self, uri: str, study: Study, data: Mapping[str, Any], tags: Tags = NONE) -> None:
        with answers_of(uri):
            _open_experiment(uri, study, data)
        super().__init__(uri, study.name)
        self._data = data
        self._tags = {names.STUDY_TAG: study.name, **tags}

    @override
    def create_run(self, name: str, tags: Tags, *, started: datetime | None = None) -> str:
        command = "run" if tags[names.STAGE_TAG] in {names.FAMILY_STAGE, names.SEARCH_STAGE} else "retrain"
        own = {names.COMMAND_TAG: f"optrack {command} {self.study}", **self._tags}
        with answers_of(self.uri):
            run = self._client.create_run(
                self.experiment_id, run_name=name, tags={**own, **tags}, start_time=_milliseconds(started)
            )
        return run.info.run_id

    @override
    def describe_run(self, run_id: str, params: Params) -> None:
        if "classes" in self._data:
            self._describe_images(run_id)
        self.log(run_id, params=params)

    def _describe_images(self, run_id: str) -> None:
        dataset = Dataset(
            name=self._data["name"][:500],
            digest=self._data["digest"][:36],
            source_type="local",
            source=json.dumps({"layout": self._data["layout"]}),
            schema=json.dumps({"input": self._data["input_shape"], "classes": self._data["classes"]})[:60_000],
        )
        with answers_of(self.uri):
            self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])])

    @override
    def set_status(self, run_id: str, state: RunState, *, ended: datetime | None = None) -> None:
        with answers_of(self.uri):
            if state == "running":
                self._client.update_run(run_id, status="RUNNING")
            else:
                self._client.set_terminated(run_id, MLFLOW_STATUS[state], end_time=_milliseconds(ended))

    @override
    def delete_run(self, run_id: str) -> None:
        with answers_of(self.uri):
            self._client.delete_run(run_id)


def _milliseconds(time: datetime | None) -> int | None:
    """Return a local time, as Optuna keeps it, in MLflow's form."""
    return time and int(time.timestamp() * 1000)


def _open_experiment(uri: str, study: Study, data: Mapping[str, Any]) -> None:
    calls, name, tags = client(uri), study.name, experiment_tags(study, data)
    found = calls.get_experiment_by_name(name)
    if found is None:
        # Beside a SQLite file, whatever the current folder; a server decides for itself.
        path = sqlite_path(uri)
        calls.create_experiment(name, artifact_location=path and str(path.parent / "mlruns" / name), tags=tags)
    elif found.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow's experiment {name!r} was deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or rename the study"
        )
    else:
        # A note that people have changed is theirs.
        ours = found.tags.get(names.OWN_NOTE_TAG) in (None, note_digest(found.tags.get(names.NOTE_TAG, "")))
        for tag, value in tags.items():
            if found.tags.get(tag) != value and (ours or tag not in {names.NOTE_TAG, names.OWN_NOTE_TAG}):
                calls.set_experiment_tag(found.experiment_id, tag, value)
