"""What users see while models are retrained: bars on a terminal, a line per model elsewhere; all on stderr."""

from collections.abc import Mapping, Sequence

from ..launchers import Work
from ..stores import RunState, Stage, Trial
from ..text import configuration, duration, plural, short
from ..training import Job
from .progress import Display, bars


class TrainingProgress(Display):
    """A line when a model is trained, and on a terminal a bar for the epochs of all that are still to come."""

    def __init__(self) -> None:
        self._bars = bars()
        super().__init__(self._bars.console, self._bars)
        self._images = self._bars.add_task("decoding images", total=None, visible=False)
        self._epochs = self._bars.add_task("epochs", total=None, visible=False)

    def decoded(self, done: int, total: int) -> None:
        """Show how many images are decoded."""
        self._bars.update(self._images, completed=done, total=total, visible=done < total)

    def trainings_planned(self, stage: Stage, jobs: Sequence[Job], done: int) -> None:
        """Say what is to come."""
        one, many = ("training of the race", "trainings of the race") if stage == "confirm" else ("model", "models")
        total = plural(done + len(jobs), one, many)
        to_come = total if stage == "confirm" else f"{total} to train"
        self.line(f"{done} of {total} done before" if done else to_come)
        self._bars.reset(self._epochs, total=sum(job.epochs for job in jobs), visible=True)

    def candidate_picked(self, family: str, trial: Trial, raced: Mapping[int, Sequence[float]]) -> None:
        """Say which configuration is retrained, and why."""
        values = raced.get(trial.number)
        why = f"best of the search with {short(trial.value)}"
        if values:
            why = f"confirmed with {short(sum(values) / len(values))} over {len(values)} fresh seeds"
        epochs = plural(trial.best_epoch or trial.reported, "epoch")
        self.line(f"{family}: trial {trial.number}, {why}, {epochs}, {configuration(trial.params)}")

    def epoch_ended(self, work: Work) -> None:  # noqa: ARG002 - all trainings share a bar
        """Move the bar."""
        self._bars.advance(self._epochs)

    def ended(self, work: Work, state: RunState) -> None:
        """Say how it ended."""
        if state == "failed":
            self.line(f"{work.name}: {state}, {work.reason}")
            return
        seconds = sum(result.seconds for result in work.epochs)
        result = f"train_accuracy {short(work.epochs[-1].train_accuracy)}"
        if work.value is not None:
            result = f"{work.job.metric} {short(work.value)}"
        end = "" if work.reason is None else f", {work.reason}"
        self.line(f"{work.name}: {result} after {plural(len(work.epochs), 'epoch')} in {duration(seconds)}{end}")
