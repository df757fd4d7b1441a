"""What one sees while models are retrained: bars on a terminal, a line per model elsewhere; all on stderr."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..retraining.model_training import ModelTraining
from ..stores.candidates import Candidate
from ..stores.model_runs import Stage
from ..stores.tracking import RunState
from ..text import configuration, duration, short
from .output import console


class TrainingProgress:
    """A line when a model is trained, and on a terminal a bar for the epochs of all that are still to come."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = sys.stderr.isatty()
        self._bars = Progress(*columns, console=self._console, transient=True, disable=not shown)
        self._epochs: TaskID | None = None
        self._images: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    def decoded(self, done: int, total: int) -> None:
        """Show how far the images are."""
        if self._images is None:
            self._images = self._bars.add_task("decoding images", total=total)
        self._bars.update(self._images, completed=done, visible=done < total)

    def trainings_planned(self, stage: Stage, waiting: Sequence[ModelTraining], done: int) -> None:
        """Say what is to come."""
        what = "trainings of the race" if stage == "confirm" else "models"
        self._line(
            f"{done} of {done + len(waiting)} {what} are there already" if done else f"{len(waiting)} {what} to train"
        )
        if self._epochs is not None:
            self._bars.remove_task(self._epochs)
        self._epochs = self._bars.add_task("epochs", total=sum(training.job.epochs for training in waiting))

    def training_started(self, training: ModelTraining) -> None:
        """Nothing to say yet."""

    def training_epoch_ended(self, training: ModelTraining) -> None:  # noqa: ARG002 - all trainings share a bar
        """Move the bar."""
        if self._epochs is not None:
            self._bars.advance(self._epochs)

    def training_ended(self, training: ModelTraining, state: RunState) -> None:
        """Say how it ended."""
        if training.reason is not None:
            self._line(f"{training.name}: {state}, {training.reason}")
            return
        last = training.epochs[-1]
        seconds = sum(result.seconds for result in training.epochs)
        result = f"train_accuracy {short(last.train_accuracy)}"
        if training.value is not None:
            result = f"{training.job.metric} {short(training.value)}"
        self._line(f"{training.name}: {result} after {len(training.epochs)} epochs in {duration(seconds)}")

    def candidate_picked(self, candidate: Candidate, raced: Mapping[int, Sequence[float]]) -> None:
        """Say which configuration is retrained, and why."""
        values = raced.get(candidate.trial)
        why = f"best of the search with {short(candidate.value)}"
        if values:
            why = f"confirmed with {short(sum(values) / len(values))} over {len(values)} fresh seeds"
        chosen = f"trial {candidate.trial}, {why}, {candidate.epoch} epochs, {configuration(candidate.params)}"
        self._line(f"{candidate.family}: {chosen}")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
