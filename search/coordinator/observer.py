"""Whoever watches a search or a retraining: a progress display, a test."""

from collections.abc import Mapping, Sequence

from ..launchers import Work
from ..stores import RunState, Stage, Trial
from ..training import Job
from .family_search import FamilySearch


class Observer:
    """Ignores everything; override what is of interest."""

    def decoded(self, done: int, total: int) -> None:
        """Note that so many images of all are decoded."""

    def noticed(self, line: str) -> None:
        """Note what users should know, from any thread."""

    def family_refused(self, family: str, difference: str) -> None:
        """Note that a family is not searched, as this makes new trials incomparable with its stored ones."""

    def study_opened(self, searches: Mapping[str, FamilySearch]) -> None:
        """Note that all families of a search are open, and nothing has been trained yet."""

    def trainings_planned(self, stage: Stage, jobs: Sequence[Job], done: int) -> None:
        """Note the jobs of a retraining that are to be trained, and how many were trained before."""

    def candidate_picked(self, family: str, trial: Trial, raced: Mapping[int, Sequence[float]]) -> None:
        """Note whose configuration is to be retrained, and the values of the family's race by trial."""

    def started(self, work: Work) -> None:
        """Note that a job goes to a worker."""

    def epoch_ended(self, work: Work) -> None:
        """Note that an epoch is recorded."""

    def died(self, work: Work, reason: str) -> None:
        """Note that the worker of a job died, and that the job waits to resume at its last checkpoint."""

    def family_stopped(self, family: str, reason: str) -> None:
        """Note that a family is not searched any further, as all of its first trials failed for this reason."""

    def ended(self, work: Work, state: RunState) -> None:
        """Note that a job is recorded with its final state."""
