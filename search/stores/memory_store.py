"""Runs recorded in this process: what stands in for MLflow where it is not what is tested."""

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from ..errors import TrackingError
from .tracking import MLFLOW_STATUS, NONE, Metrics, Params, RunContent, RunState, Tags, Tracker


@dataclass(slots=True, kw_only=True)
class MemoryRun:
    """A run as it is recorded: each metric's steps and values in the order in which they were logged, files by path."""

    params: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict[str, list[tuple[int, float]]])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    status: str = MLFLOW_STATUS["running"]

    @property
    def metrics(self) -> dict[str, float]:
        """The value of each metric at its last step."""
        return {name: max(reversed(values), key=lambda each: each[0])[1] for name, values in self.history.items()}

    @property
    def epochs(self) -> list[int]:
        """The epochs that were logged, in their order."""
        return [step for step, _ in self.history.get("train_loss", ())]


class MemoryStore(Tracker):
    """Records one study in this process; an ID is the run's name, with a number in brackets where there are several."""

    def __init__(self, runs: dict[str, MemoryRun] | None = None) -> None:
        self.runs: dict[str, MemoryRun] = {} if runs is None else runs

    @override
    def recorded(self, tags: Tags) -> list[tuple[str, Tags, Metrics]]:
        return [
            (run_id, dict(run.tags), run.metrics)
            for run_id, run in self.runs.items()
            if tags.items() <= run.tags.items()
        ]

    @override
    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        return self.runs[run_id].history.get(metric, [])

    @override
    def content(self, run_id: str) -> RunContent:
        run = self.runs[run_id]
        return RunContent(
            params=dict(run.params),
            tags=dict(run.tags),
            metrics=run.metrics,
            epochs=self.epochs(run_id, run.history),
            status=run.status,
        )

    @override
    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        before = folder and f"{folder}/"
        inside = [path.removeprefix(before) for path in self.runs[run_id].files if path.startswith(before)]
        return sorted({f"{before}{path.split('/')[0]}" for path in inside})

    @override
    @contextmanager
    def fetched(self, run_id: str, name: str) -> Generator[Path]:
        files = {
            path: content for path, content in self.runs[run_id].files.items() if f"{path}/".startswith(f"{name}/")
        }
        if not files:
            raise TrackingError(f"the artifact {name} of run {run_id} is gone")
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_bytes(content)
            yield Path(folder) / name

    @override
    def log(
        self, run_id: str, *, params: Params = NONE, tags: Tags = NONE, metrics: Metrics = NONE, step: int = 0
    ) -> None:
        if run_id not in self.runs:
            raise TrackingError(f"there is no run {run_id}")
        run = self.runs[run_id]
        for name, value in params.items():
            if run.params.setdefault(name, str(value)) != str(value):
                raise TrackingError(
                    f"the parameter {name} of run {run_id} is {run.params[name]}, and cannot be {value}"
                )
        run.tags |= tags
        for name, value in metrics.items():
            run.history.setdefault(name, []).append((step, value))

    @override
    def log_epochs(self, run_id: str, epochs: Mapping[int, Metrics]) -> None:
        for epoch, metrics in epochs.items():
            self.log(run_id, metrics=metrics, step=epoch)

    @override
    def log_file(self, run_id: str, file: str, content: str | bytes | Path) -> None:
        content = content.read_bytes() if isinstance(content, Path) else content
        self.runs[run_id].files[file] = content if isinstance(content, bytes) else content.encode()

    @override
    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.log_file(run_id, f"{name}/{path.relative_to(folder).as_posix()}", path)

    @override
    def create_run(self, name: str, tags: Tags, *, started: datetime | None = None) -> str:
        others = sum(run_id.startswith(name) for run_id in self.runs)
        run_id = f"{name} ({others + 1})" if name in self.runs else name
        self.runs[run_id] = MemoryRun(tags=dict(tags))
        return run_id

    @override
    def describe_run(self, run_id: str, params: Params) -> None:
        self.log(run_id, params=params)

    @override
    def set_status(self, run_id: str, state: RunState, *, ended: datetime | None = None) -> None:
        self.runs[run_id].status = MLFLOW_STATUS[state]

    @override
    def delete_run(self, run_id: str) -> None:
        del self.runs[run_id]
