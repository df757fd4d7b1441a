"""What is known of a study after its search: the values that verdict, pictures and report are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..stores import ModelRun, StoredFamily, Trial, promised
from ..study import EpochResult, Reference, Study


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TestResult:
    """One retrained model on the test images.

    Args:
        classes: names of the classes.
        labels: int64 [N], the true classes.
        predictions: int64 [N], the most probable classes.
        confidences: float32 [N], the probability of the predicted class, in [0, 1].
        loss: mean cross-entropy.
        calibration_error: expected calibration error, in [0, 1].
        openings: how often the test part has been opened for this model.
        digest: of the test part, in hexadecimal.
        groups: int64 [N], equal for images that belong together; None where all are independent, and for tests of
            earlier versions, which did not record them.
    """

    __test__ = False  # else pytest collects it

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    confidences: NDArray[np.float32]
    loss: float
    calibration_error: float
    openings: int
    digest: str
    groups: NDArray[np.int64] | None = None

    @property
    def group_count(self) -> int | None:
        """How many groups the images come in; None where all are independent."""
        return None if self.groups is None else len(np.unique(self.groups))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Bool [N], whether an image was recognised."""
        return self.labels == self.predictions

    @property
    def accuracy(self) -> float:
        """Share of images that were recognised, in [0, 1]."""
        return float(self.correct.mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RetrainedModel:
    """A family's best configuration, retrained on training and validation images, and so without validation.

    The model of the first seed is the champion that is registered; there is no result before the test.
    """

    run: ModelRun
    epochs: tuple[EpochResult, ...]
    test: TestResult | None = None

    @property
    def seconds(self) -> float:
        """The wall-clock time of its epochs."""
        return sum(epoch.seconds for epoch in self.epochs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FamilyResult:
    """Everything that is known of a family; None or empty for what does not exist yet.

    Args:
        stored: its trials.
        candidate: whose configuration is, or is to be, retrained: the best trial, or the one that a race confirmed.
        raced: fresh validation values of the configurations that were raced, by trial number; empty without a race.
        models: retrained under several seeds, the champion first.
        parameters: number of parameters of the candidate's network.
        latency_ms: median time for one image in milliseconds, where the champion was tested.
        latency_device: what that was measured on, e.g. "one CPU thread".
        version: of the champion in MLflow's registry.
        pictures: PNG files of the champion by name: "misclassified", "filters", "feature_maps".
    """

    stored: StoredFamily
    candidate: Trial | None
    raced: Mapping[int, Sequence[float]] = field(default_factory=dict[int, Sequence[float]])
    models: tuple[RetrainedModel, ...] = ()
    parameters: int | None = None
    latency_ms: float | None = None
    latency_device: str | None = None
    version: str | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def name(self) -> str:
        """The family's name."""
        return self.stored.name

    @property
    def reference(self) -> Reference | None:
        """What was reported elsewhere for this family."""
        return next((family.reference for family in self.stored.study.families if family.name == self.name), None)

    @property
    def promise(self) -> float | None:
        """The study's metric on validation images: the mean over the race where there was one, else the search's."""
        return promised(self.candidate.number, self.candidate.value, self.raced) if self.candidate else None

    @property
    def promised_accuracy(self) -> float | None:
        """The accuracy on validation images: of `promise` where that is one, else in the search's best epoch."""
        if self.stored.study.metric == "val_accuracy":
            return self.promise
        return self.candidate.val_accuracy if self.candidate else None

    @property
    def champion(self) -> RetrainedModel | None:
        """The model that is registered: the first seed's, as choosing a seed by its test would be a leak."""
        return self.models[0] if self.models else None

    @property
    def champion_test(self) -> TestResult | None:
        """The champion on the test images; None before its test."""
        return self.champion.test if self.champion else None

    @property
    def retraining_seconds(self) -> float:
        """The wall-clock time of all retrained models."""
        return sum(model.seconds for model in self.models)

    @property
    def tests(self) -> tuple[TestResult, ...]:
        """The results of all models that were tested."""
        return tuple(model.test for model in self.models if model.test is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyResults:
    """Everything that is known of a study.

    Args:
        study: as it was last run; it may name fewer families than are stored.
        families: all that are stored, in the order in which they were begun.
        data: digest, split_digest and layout of the images.
        versions: of packages.
        git_commit: of the folder in which the study was run; None outside a git repository.
        tracking_uri: of MLflow.
        storage: URL of Optuna's storage, without its password.
    """

    study: Study
    families: tuple[FamilyResult, ...]
    data: Mapping[str, str]
    versions: Mapping[str, str]
    git_commit: str | None
    tracking_uri: str
    storage: str

    @property
    def by_validation(self) -> tuple[str, ...]:
        """All families, the best by validation first; ties go to the lower validation loss, then to the alphabet."""

        def merit(family: FamilyResult) -> tuple[float, float, str]:
            best = family.candidate and family.candidate.best_result
            loss = math.inf if best is None or best.val_loss is None else best.val_loss
            promise = math.inf if family.promise is None else -self.study.objective.sign * family.promise
            return promise, loss, family.name

        return tuple(family.name for family in sorted(self.families, key=merit))
