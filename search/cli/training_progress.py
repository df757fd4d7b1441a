"""What users see while models are retrained: bars on a terminal, a line per model elsewhere; all on stderr."""

import sys
from collections.abc import Mapping, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..launchers.pool import Work
from ..stores.candidates import Candidate
from ..stores.model_runs import Stage
from ..stores.tracking import RunState
from ..text import configuration, duration, short
from ..training import Job
from .output import console
from .progress import Display


class TrainingProgress(Display):
    """A line when a model is trained, and on a terminal a bar for the epochs of all that are still to come."""

    def __init__(self) -> None:
        terminal = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=terminal, transient=True, disable=not sys.stderr.isatty())
        super().__init__(terminal, self._bars)
        self._epochs: TaskID | None = None
        self._images: TaskID | None = None

    def decoded(self, done: int, total: int) -> None:
        """Show how many images are decoded."""
        if self._images is None:
            self._images = self._bars.add_task("decoding images", total=total)
        self._bars.update(self._images, completed=done, visible=done < total)

    def trainings_planned(self, stage: Stage, jobs: Sequence[Job], done: int) -> None:
        """Say what is to come."""
        what = "trainings of the race" if stage == "confirm" else "models"
        self.line(f"{done} of {done + len(jobs)} {what} are there already" if done else f"{len(jobs)} {what} to train")
        if self._epochs is not None:
            self._bars.remove_task(self._epochs)
        self._epochs = self._bars.add_task("epochs", total=sum(job.epochs for job in jobs))

    def candidate_picked(self, candidate: Candidate, raced: Mapping[int, Sequence[float]]) -> None:
        """Say which configuration is retrained, and why."""
        values = raced.get(candidate.trial)
        why = f"best of the search with {short(candidate.value)}"
        if values:
            why = f"confirmed with {short(sum(values) / len(values))} over {len(values)} fresh seeds"
        chosen = f"trial {candidate.trial}, {why}, {candidate.epoch} epochs, {configuration(candidate.params)}"
        self.line(f"{candidate.family}: {chosen}")

    def epoch_ended(self, work: Work) -> None:  # noqa: ARG002 - all trainings share a bar
        """Move the bar."""
        if self._epochs is not None:
            self._bars.advance(self._epochs)

    def ended(self, work: Work, state: RunState) -> None:
        """Say how it ended."""
        if work.reason is not None:
            self.line(f"{work.name}: {state}, {work.reason}")
            return
        seconds = sum(result.seconds for result in work.epochs)
        result = f"train_accuracy {short(work.epochs[-1].train_accuracy)}"
        if work.value is not None:
            result = f"{work.job.metric} {short(work.value)}"
        self.line(f"{work.name}: {result} after {len(work.epochs)} epochs in {duration(seconds)}")
