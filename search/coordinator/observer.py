"""Whoever watches a search or a retraining: a progress display, a test."""

from collections.abc import Mapping, Sequence

from ..launchers.pool import Work
from ..stores.candidates import Candidate
from ..stores.model_runs import Stage
from ..stores.tracking import RunState
from ..training import Job
from .family_search import FamilySearch


class Observer:
    """Ignores everything; override what is of interest."""

    def decoded(self, done: int, total: int) -> None:
        """Note that so many images of all are decoded."""

    def study_opened(self, searches: Mapping[str, FamilySearch]) -> None:
        """Note that all families of a search are open, and nothing has been trained yet."""

    def trainings_planned(self, stage: Stage, jobs: Sequence[Job], done: int) -> None:
        """Note the jobs of a retraining that are to be trained, and how many were trained before."""

    def candidate_picked(self, candidate: Candidate, raced: Mapping[int, Sequence[float]]) -> None:
        """Note the configuration that is to be retrained, and the values of its family's race by trial."""

    def started(self, work: Work) -> None:
        """Note that a job goes to a worker."""

    def epoch_ended(self, work: Work) -> None:
        """Note that an epoch is recorded."""

    def ended(self, work: Work, state: RunState) -> None:
        """Note that a job is recorded with its final state."""
