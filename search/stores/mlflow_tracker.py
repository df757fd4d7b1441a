"""MLflow's side of the record: an experiment per study, a parent run per family, a child run per trial or model.

What is written here mirrors Optuna's storage, for people to look at; nothing is decided by what stands here.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.git_utils import get_git_commit
from typing_extensions import override

from ...datasets import Prepared
from ..errors import TrackingError
from ..study.study import Family, Study
from . import mlflow_names as names
from .addresses import sqlite_path
from .mlflow_store import MlflowRuns, answers_of, client
from .mlflow_views import experiment_tags, family_note
from .tracking import Params, RunState, Tags, Tracker

# A pruned trial did what it was meant to do; the tag tells it from one that ran to its end.
MLFLOW_STATUS: dict[RunState, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}

RECORDED_PACKAGES = ("optrack", "torch", "torchvision", "optuna", "mlflow", "numpy")


class MlflowTracker(MlflowRuns, Tracker):
    """Records one study in MLflow, and with each run which images it saw.

    Raises:
        TrackingError: MLflow does not answer, or the study's experiment was deleted.
    """

    def __init__(self, uri: str, study: Study, data: Prepared) -> None:
        with answers_of(uri):
            _open_experiment(uri, study, data)
        super().__init__(uri, study.name)
        self.left = {}
        self._study = study
        self._data = data
        commit = get_git_commit(str(Path.cwd()))  # not the remote's address, which may hold a password
        self._tags = {
            names.STUDY_TAG: study.name,
            names.VERSIONS_TAG: ", ".join(f"{name} {version(name)}" for name in RECORDED_PACKAGES),
            names.PYTHON_TAG: platform.python_version(),
            **({names.COMMIT_TAG: commit} if commit else {}),
        }

    @override
    def open_family(self, family: Family) -> str:
        run_id = super().open_family(family)
        self.log(run_id, tags={names.NOTE_TAG: family_note(self._study, family)})
        return run_id

    @override
    def create_run(self, name: str, tags: Tags) -> str:
        command = "run" if tags[names.STAGE_TAG] in {names.FAMILY_STAGE, names.SEARCH_STAGE} else "retrain"
        own = {names.COMMAND_TAG: f"optrack {command} {self._study.name}", **self._tags}
        with answers_of(self.uri):
            return self._client.create_run(self.experiment_id, run_name=name, tags={**own, **tags}).info.run_id

    @override
    def describe_run(self, run_id: str, params: Params) -> None:
        channels, height, width = self._data.input_shape
        dataset = Dataset(
            name=self._data.name[:500],
            digest=self._data.digest[:36],
            source_type="local",
            source=json.dumps({"layout": self._data.layout}),
            schema=json.dumps({"input": [channels, height, width], "classes": list(self._data.classes)})[:60_000],
        )
        self.log(run_id, params=params)
        with answers_of(self.uri):
            self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])])

    @override
    def set_status(self, run_id: str, state: RunState) -> None:
        with answers_of(self.uri):
            if state == "running":
                self._client.update_run(run_id, status="RUNNING")
            else:
                self._client.set_terminated(run_id, MLFLOW_STATUS[state])


def _open_experiment(uri: str, study: Study, data: Prepared) -> None:
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
        for tag, value in tags.items():
            if found.tags.get(tag) != value:
                calls.set_experiment_tag(found.experiment_id, tag, value)
