"""After the search: race configurations over fresh seeds if asked, then train each family's best one on all images."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

from ...datasets import Prepared
from ..champions.champion import load_folder, save_folder
from ..champions.mlflow_model import save_model
from ..champions.recipe import Recipe
from ..champions.registry import register, registered, set_best
from ..coordinator.checks import fetch_weights
from ..coordinator.observer import Observer
from ..coordinator.strategies import seed_of
from ..errors import NothingStoredError
from ..launchers import Launcher
from ..launchers.machine import Machine, devices_of, launcher_of
from ..launchers.pool import Outcome
from ..pictures.champion import champion_pictures
from ..stores import mlflow_names as names
from ..stores import optuna_store as stores
from ..stores.addresses import make_state_folder, shown
from ..stores.candidates import Candidate, candidates, check_searched, picked
from ..stores.comparable import check_comparable
from ..stores.mlflow_store import MlflowRuns
from ..stores.mlflow_tracker import MlflowTracker
from ..stores.model_runs import ModelRun, Stage, race_values
from ..stores.places import Places, check_places, prepared_data
from ..stores.tracking import RunStore, Tracker
from ..stores.trials import StoredFamily
from ..study.study import Study
from ..training.jobs import Jobs
from .model_training import ModelTrainer, ModelTraining, RunningTraining


def retrain_study(
    stored: Sequence[StoredFamily],
    *,
    only: Sequence[str] | None = None,
    seeds: int,
    confirm: int,
    places: Places,
    machine: Machine,
    observer: Observer,
    on_start: Callable[["Retraining"], None] = lambda _: None,
) -> Outcome:
    """Train each family's best configuration on training and validation images, for as many epochs as it was best at.

    What was trained before is not trained again. The first seed's model is the family's champion in MLflow's registry.

    Args:
        stored: all families of a study.
        only: names of those to retrain, each with a finished trial; None for all.
        seeds: models of each family.
        confirm: how many of the best configurations to race first, each under as many fresh seeds, on the validation
            images; 0 for no race.
        places: where the stores and the data are.
        machine: what may be used.
        observer: watches.
        on_start: called with the retraining before it runs, so that a signal handler can stop it.

    Raises:
        OptrackError: bad input, or a store that does not answer; if possible before anything is written.
    """
    families = [family for family in stored if only is None or family.name in only]
    check_searched(families)
    check_places(places)
    study = stores.whole_study(stored)
    runs = MlflowRuns(places.tracking_uri, study.name)
    recorded = runs.families()
    unrecorded = [family.name for family in families if family.name not in recorded]
    if unrecorded:
        raise NothingStoredError(
            f"MLflow at {shown(places.tracking_uri)} has no run of family {unrecorded[0]!r}: "
            f"`optrack run {study.name}` makes it"
        )
    devices = devices_of(machine, most=len(families) * seeds * max(confirm, 1))
    data = prepared_data(study, places, observer.decoded)
    check_comparable(study, data, stored)
    for family in (family for family in study.families if only is None or family.name in only):
        fetch_weights(family, data.input_shape, len(data.classes))
    with stores.owned(places.storage, study.name), launcher_of(machine, devices) as launcher:
        retraining = Retraining(
            study,
            families,
            tracker=MlflowTracker(places.tracking_uri, study, data),
            runs=runs,
            tracking_uri=places.tracking_uri,
            launcher=launcher,
            data=data,
            weights=make_state_folder(places.storage) / "weights" / f"{study.name}.retrain",
            observer=observer,
        )
        on_start(retraining)
        return retraining.run(seeds=seeds, confirm=confirm)


class Retraining:
    """Races, picks, retrains and registers.

    Args:
        study: what was searched, with all its families.
        families: those to retrain, each with a finished trial.
        tracker: writes MLflow's runs.
        runs: reads them.
        tracking_uri: of MLflow, where the champions are registered.
        launcher: carries jobs to workers.
        data: the prepared images.
        weights: folder for weights under way, removed at the end.
        observer: watches.
    """

    def __init__(
        self,
        study: Study,
        families: Sequence[StoredFamily],
        *,
        tracker: Tracker,
        runs: RunStore,
        tracking_uri: str,
        launcher: Launcher,
        data: Prepared,
        weights: Path,
        observer: Observer,
    ) -> None:
        self._study = study
        self._families = families
        self._tracker = tracker
        self._runs = runs
        self._tracking_uri = tracking_uri
        self._observer = observer
        self._jobs = Jobs(study, data)
        self._parents = {name: run.run_id for name, run in runs.families().items()}
        self._trainer = ModelTrainer(
            tracker=tracker, launcher=launcher, parents=self._parents, weights=weights, observer=observer
        )

    def stop(self) -> None:
        """Start no more trainings and interrupt the running ones; `run` returns soon.

        Safe to call from a signal handler.
        """
        self._trainer.stop()

    def run(self, *, seeds: int, confirm: int) -> Outcome:
        """Race, pick, retrain, register.

        Args:
            seeds: models of each configuration.
            confirm: how many configurations to race; 0 for no race.
        """
        trainer = self._trainer
        try:
            trainer.train(self._races(seeds, confirm), known=self._runs.find("confirm"))
            if not trainer.outcome.interrupted:
                chosen = self._pick()
                planned = [self._retraining(each, number) for each in chosen for number in range(1, seeds + 1)]
                trainer.train(planned, known=self._runs.find("retrain"), keep=self._keep)
                self._register([training for training in planned if training.number == 1])
        finally:
            trainer.close()
        return trainer.outcome

    def _races(self, seeds: int, confirm: int) -> list[ModelTraining]:
        """Plan the best configurations of each family as in the search, under fresh seeds that all of them share."""
        planned: list[ModelTraining] = []
        for stored in self._families:
            for candidate in candidates(stored, confirm):
                trial = stored.trials[candidate.trial]
                epochs = trial.planned_epochs or self._study.budget.epochs
                planned += [
                    self._planned("confirm", candidate, number, epochs, trial.patience)
                    for number in range(1, seeds + 1)
                ]
        return planned

    def _pick(self) -> list[Candidate]:
        """Pick the configuration of each family that is to be retrained."""
        raced = race_values(self._runs.find("confirm"), self._study.metric)
        chosen: list[Candidate] = []
        for stored in self._families:
            candidate = picked(stored, raced.get(stored.name, {}))
            if candidate is not None:
                chosen.append(candidate)
                self._tracker.log(self._parents[stored.name], tags={names.CANDIDATE_TAG: str(candidate.trial)})
                self._observer.candidate_picked(candidate, raced.get(stored.name, {}))
        return chosen

    def _retraining(self, candidate: Candidate, number: int) -> ModelTraining:
        return self._planned("retrain", candidate, number, candidate.epoch, None)

    def _planned(
        self, stage: Stage, candidate: Candidate, number: int, epochs: int, patience: int | None
    ) -> ModelTraining:
        job = self._jobs.job(
            candidate.family,
            candidate.trial,
            candidate.params,
            epochs=epochs,
            patience=patience,
            seed=seed_of(self._study.seed, f"{candidate.family}/{stage}", number),
        )
        job = replace(job, validates=stage == "confirm")
        return ModelTraining(stage=stage, candidate=candidate, number=number, job=job)

    def _keep(self, running: RunningTraining) -> None:
        """Record the model in its run, in MLflow's form."""
        job, value, epoch = running.job, running.plan.candidate.value, len(running.epochs)
        if job.weights is None:
            return
        code = self._jobs.codes[job.family]
        recipe = Recipe.of(self._study, self._jobs.data, job, code=code, value=value, epoch=epoch)
        with tempfile.TemporaryDirectory() as folder:
            source, model = Path(folder) / "champion", Path(folder) / names.MODEL_FOLDER
            save_folder(source, state=load_file(job.weights), recipe=recipe, code=code and code.content)
            save_model(model, source, recipe)
            self._tracker.log_folder(running.run_id, model, names.MODEL_FOLDER)
            pictures = champion_pictures(job, load_folder(source)) if running.plan.number == 1 else {}
        for name, content in pictures.items():
            self._tracker.log_file(running.run_id, name, content)

    def _register(self, firsts: Sequence[ModelTraining]) -> None:
        """Register the first seed's model as its family's champion: a choice among seeds by their test would leak."""
        finished = {run.training: run for run in self._runs.find("retrain") if run.state == "finished"}
        for training in firsts:
            if training.digest in finished:
                run = finished[training.digest]
                figures = {name: run.metrics[name] for name in run.metrics if name.startswith(f"{names.TEST}/")}
                register(self._tracking_uri, self._study.name, run.family, run.run_id, figures=figures)
        if not any(run.openings for run in finished.values()):
            self._set_best({run.run_id: run for run in finished.values()})

    def _set_best(self, finished: Mapping[str, ModelRun]) -> None:
        """Mark the family with the best validation metric as the study's best one until there is a verdict."""
        champions = registered(self._tracking_uri, self._study.name).items()
        values = {name: finished[each.run_id].value for name, each in champions if each.run_id in finished}
        best = self._study.objective.best_of(values, values.get)
        if best is not None:
            set_best(self._tracking_uri, self._study.name, best)
