"""Everything that is known of a study, read from Optuna's storage and MLflow's runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..champions.registry import registered
from ..errors import NothingStoredError
from ..stores.addresses import shown
from ..stores.candidates import Candidate, candidate_of, picked
from ..stores.model_runs import CANDIDATE_TAG, LATENCY_TAG, OPENINGS_TAG, ModelRun, ModelRuns, race_values
from ..stores.optuna_store import DATA_ATTRIBUTE, whole_study
from ..stores.trials import StoredFamily, epoch_of
from ..study.metric import MetricName
from .predictions import PREDICTIONS_FILE, RESULT_FILE, decoded
from .values import FamilyResult, RetrainedModel, StudyResults, TestResult

PICTURES = ("misclassified", "filters", "feature_maps")


def collect(stored: Sequence[StoredFamily], *, storage: str, tracking_uri: str) -> StudyResults:
    """Collect everything that is known of a study by now.

    Args:
        stored: all families of the study.
        storage: URL of Optuna's storage.
        tracking_uri: of MLflow.

    Raises:
        TrackingError: MLflow does not answer, or an artifact of a finished test is missing.
    """
    study = whole_study(stored)
    try:
        runs = ModelRuns(tracking_uri, study.name)
    except NothingStoredError:
        runs = None
    families = _families(stored, runs, study.metric)
    parents = runs.families() if runs else {}
    tags = next((run.data.tags for run in parents.values()), dict[str, str]())
    return StudyResults(
        study=study,
        families=families,
        data=stored[0].optuna_study.user_attrs.get(DATA_ATTRIBUTE, {}),
        versions=_versions(tags),
        git_commit=tags.get("mlflow.source.git.commit"),
        tracking_uri=tracking_uri,
        storage=shown(storage),
    )


def _families(stored: Sequence[StoredFamily], runs: ModelRuns | None, metric: MetricName) -> tuple[FamilyResult, ...]:
    if runs is None:
        return tuple(FamilyResult(stored=family, candidate=picked(family, {})) for family in stored)
    parents = runs.families()
    raced = race_values(runs.find("confirm"), metric)
    retrained = runs.find("retrain")
    versions = {name: champion.version for name, champion in registered(runs.uri, runs.study).items()}
    results: list[FamilyResult] = []
    for family in stored:
        parent = parents.get(family.name)
        chosen = parent.data.tags.get(CANDIDATE_TAG) if parent else None
        candidate = _candidate(family, chosen, raced.get(family.name, {}))
        models = _models(runs, retrained, family.name, chosen)
        results.append(
            FamilyResult(
                stored=family,
                candidate=candidate,
                raced=raced.get(family.name, {}),
                models=tuple(models),
                parameters=_parameters(runs, parent.info.run_id, candidate) if parent and candidate else None,
                version=versions.get(family.name),
                **_of_champion(runs, retrained, models),
            )
        )
    return tuple(results)


def _candidate(stored: StoredFamily, chosen: str | None, raced: Mapping[int, Sequence[float]]) -> Candidate | None:
    """The configuration that was retrained; before that, the one that would be."""
    return picked(stored, raced) if chosen is None else candidate_of(stored, int(chosen))


def _models(runs: ModelRuns, retrained: Sequence[ModelRun], family: str, chosen: str | None) -> list[RetrainedModel]:
    """The finished models of the chosen configuration; the latest where there are two of a seed."""
    mine = {
        run.number: run
        for run in retrained
        if run.family == family and run.state == "finished" and str(run.trial) == chosen
    }
    return [_model(runs, mine[number]) for number in sorted(mine)]


def _model(runs: ModelRuns, run: ModelRun) -> RetrainedModel:
    epochs = tuple(epoch_of(epoch) for epoch in runs.epochs(run.run_id))
    return RetrainedModel(
        run_id=run.run_id,
        number=run.number,
        seed=run.seed,
        trial=run.trial,
        seconds=sum(epoch.seconds for epoch in epochs),
        epochs=epochs,
        test=_test(runs, run),
    )


def _test(runs: ModelRuns, run: ModelRun) -> TestResult | None:
    if "test/accuracy" not in run.metrics:
        return None
    files = {name: runs.read(run.run_id, name) for name in (PREDICTIONS_FILE, RESULT_FILE)}
    return decoded(files, openings=int(run.tags.get(OPENINGS_TAG, 1)))


def _parameters(runs: ModelRuns, family_run: str, candidate: Candidate) -> int | None:
    """Count the parameters of the candidate's network, built for the images of the search's best one."""
    if not runs.artifacts(family_run, "best"):
        return None
    from ...architectures.inspection import describe
    from ..training import split_settings

    best: dict[str, Any] = json.loads(runs.read(family_run, "best/configuration.json"))
    channels, height, width = best["input"]
    _, model = split_settings(candidate.settings)
    found = describe(candidate.architecture, (channels, height, width), len(best["classes"]), **model)
    return found.parameters.total


def _of_champion(runs: ModelRuns, retrained: Sequence[ModelRun], models: Sequence[RetrainedModel]) -> dict[str, Any]:
    """Latency and pictures of a family's first model, as far as they are there."""
    run = next((run for run in retrained if models and run.run_id == models[0].run_id), None)
    if run is None:
        return {}
    there = runs.artifacts(run.run_id, "pictures")
    names = [name for name in PICTURES if f"pictures/{name}.png" in there]
    return {
        "latency_ms": run.metrics.get("test/latency_ms"),
        "latency_device": run.tags.get(LATENCY_TAG),
        "pictures": {name: runs.read(run.run_id, f"pictures/{name}.png") for name in names},
    }


def _versions(tags: Mapping[str, str]) -> dict[str, str]:
    """Package versions out of the tag of a run."""
    pairs = (entry.split(" ", 1) for entry in tags.get("optrack.versions", "").split(", ") if " " in entry)
    return {"python": tags.get("optrack.python", "unknown"), **dict(pairs)}
