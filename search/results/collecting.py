"""Everything that is known about a study, read from Optuna's storage and MLflow's runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...sources import SourceError
from ..champions import registered
from ..errors import NothingStoredError
from ..stores import (
    DATA_RECORD,
    FamilyRun,
    MlflowRuns,
    ModelRun,
    RunStore,
    StoredFamily,
    Trial,
    candidate_of,
    epoch_of,
    picked,
    race_values,
    shown,
    whole_study,
)
from ..stores import mlflow_names as names
from ..study import Family
from .predictions import PREDICTIONS_FILE, RESULT_FILE, decoded
from .values import FamilyResult, RetrainedModel, StudyResults

PICTURES = ("misclassified", "filters", "feature_maps")


def collect(stored: Sequence[StoredFamily], *, storage: str, tracking_uri: str) -> StudyResults:
    """Return everything that is known about the study of these families, which are all that it has.

    Raises:
        TrackingError: MLflow does not answer, or an artifact of a finished test is gone.
    """
    study = whole_study(stored)
    runs = recorded_runs(tracking_uri, study.name)
    families = [FamilyResult(stored=family, candidate=picked(family, {})) for family in stored]
    first = FamilyRun.of("", {})
    if runs is not None:
        parents = runs.families()
        first = next(iter(parents.values()), first)
        raced, retrained = race_values(runs.find("confirm"), study.metric), retrained_models(runs, parents)
        champions = registered(tracking_uri, study.name)
        families = [
            _family(
                family,
                runs,
                parents.get(family.name),
                raced.get(family.name, {}),
                retrained.get(family.name, []),
                version=champions[family.name].version if family.name in champions else None,
            )
            for family in stored
        ]
    return StudyResults(
        study=study,
        families=tuple(families),
        data=stored[0].kept.get(DATA_RECORD, {}),
        versions=first.versions,
        git_commit=first.git_commit,
        tracking_uri=tracking_uri,
        storage=shown(storage),
    )


def recorded_runs(tracking_uri: str, study: str) -> RunStore | None:
    """Return the runs of a study; None where MLflow does not know it."""
    try:
        return MlflowRuns(tracking_uri, study)
    except NothingStoredError:
        return None


def retrained_models(runs: RunStore, parents: Mapping[str, FamilyRun]) -> dict[str, list[ModelRun]]:
    """Return the finished models of each family's chosen configuration, by seed; the latest of two of one seed."""
    found: dict[str, dict[int, ModelRun]] = {name: {} for name in parents}
    for run in runs.find("retrain"):
        if run.state == "finished" and run.family in parents and run.trial == parents[run.family].candidate:
            found[run.family][run.number] = run
    return {name: [by_seed[number] for number in sorted(by_seed)] for name, by_seed in found.items()}


def _family(
    stored: StoredFamily,
    runs: RunStore,
    parent: FamilyRun | None,
    raced: Mapping[int, Sequence[float]],
    models: Sequence[ModelRun],
    *,
    version: str | None,
) -> FamilyResult:
    if parent is None or parent.candidate is None:
        candidate = picked(stored, raced)
    else:
        candidate = candidate_of(stored, parent.candidate)
    return FamilyResult(
        stored=stored,
        candidate=candidate,
        raced=raced,
        models=tuple(_model(runs, run) for run in models),
        parameters=_parameters(runs, parent.run_id, stored.family, candidate) if parent and candidate else None,
        latency_ms=models[0].metrics.get(f"{names.TEST}/latency_ms") if models else None,
        latency_device=models[0].latency_device if models else None,
        version=version,
        pictures=_pictures(runs, models[0].run_id) if models else {},
    )


def _model(runs: RunStore, run: ModelRun) -> RetrainedModel:
    test = None
    if run.tested:
        files = {name: runs.read(run.run_id, name) for name in (PREDICTIONS_FILE, RESULT_FILE)}
        test = decoded(files, openings=max(run.openings, 1))
    recorded = runs.epochs(run.run_id, run.metrics)
    epochs = tuple(epoch_of({"epoch": epoch, **metrics}) for epoch, metrics in recorded.items())
    return RetrainedModel(run=run, epochs=epochs, test=test)


def _parameters(runs: RunStore, family_run: str, family: Family, candidate: Trial) -> int | None:
    """Count the parameters of the candidate's network for the search's images.

    None while no trial has finished, and where the code of a user-defined network is not in its place.
    """
    if not runs.artifacts(family_run, names.BEST):
        return None
    from ...architectures.inspection import describe
    from ..training import split_settings

    best: dict[str, Any] = json.loads(runs.read(family_run, names.CONFIGURATION_FILE))
    channels, height, width = best["input"]
    _, model = split_settings({**family.options, **candidate.params})
    try:
        found = describe(family.architecture, (channels, height, width), len(best["classes"]), **model)
    except SourceError:
        return None
    return found.parameters.total


def _pictures(runs: RunStore, run_id: str) -> dict[str, bytes]:
    """Return the pictures of a family's first model by name, as far as they are there."""
    there = runs.artifacts(run_id, names.PICTURES_FOLDER)
    files = {name: f"{names.PICTURES_FOLDER}/{name}.png" for name in PICTURES}
    return {name: runs.read(run_id, file) for name, file in files.items() if file in there}
