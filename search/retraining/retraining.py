"""After the search: race configurations over fresh seeds if asked, then train each family's best one on all images."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

from ...datasets import Prepared
from ..champions import Recipe, load_folder, register, registered, save_folder, save_model, set_best
from ..coordinator import Observer, check_comparable, fetch_weights, seed_of
from ..errors import NothingStoredError
from ..launchers import Machine, Outcome, devices_of, launcher_of
from ..mirror import MlflowTracker, environment
from ..pictures import champion_pictures
from ..stores import (
    MlflowRuns,
    ModelRun,
    Places,
    RunStore,
    Stage,
    StoredFamily,
    Trial,
    candidates,
    check_places,
    check_searched,
    data_record,
    make_state_folder,
    owned,
    picked,
    prepared_data,
    promised,
    race_values,
    relocated,
    shown,
)
from ..stores import mlflow_names as names
from ..stores import optuna_store as stores
from ..study import Study
from ..training import Jobs
from .model_training import ModelTrainer, ModelTraining, RunningTraining

DIGEST_LENGTH = 64
"""Characters of the digest that names a training's folder."""


def retrain_study(
    stored: Sequence[StoredFamily],
    *,
    only: Sequence[str] | None = None,
    file: Study | None = None,
    seeds: int,
    confirm: int,
    places: Places,
    machine: Machine,
    observer: Observer,
    on_start: Callable[[Callable[[], None]], None] = lambda _: None,
) -> Outcome:
    """Train each family's best configuration on training and validation images, for as many epochs as it was best at.

    What was trained before is not trained again. The first seed's model is the family's champion in MLflow's registry.

    `file` is the study as its file is by now, if there is one: where its images and user-defined networks lie, should
    they have moved.

    `only` names the families to retrain, each with a finished trial; None is all. `seeds` is the number of models of
    each. So many of the best configurations as `confirm` says are raced first, each under as many fresh seeds, on the
    validation images; 0 is no race. The other arguments are those of `run_study`.

    Raises:
        OptrackError: bad input, or a store that does not answer; if possible before anything is written.
    """
    families = [family for family in stored if only is None or family.name in only]
    check_searched(families)
    check_places(places)
    study = relocated(stores.whole_study(stored), file, places)
    runs = MlflowRuns(places.tracking_uri, study.name)
    recorded = runs.families()
    unrecorded = [family.name for family in families if family.name not in recorded]
    if unrecorded:
        raise NothingStoredError(
            f"MLflow at {shown(places.tracking_uri)} has no run of family {unrecorded[0]!r}: "
            f"`optrack sync {study.name}` makes it"
        )
    devices = devices_of(machine, most=len(families) * seeds * max(confirm, 1))
    data = prepared_data(study, places, observer.decoded)
    for line in check_comparable(study, data, families):
        observer.noticed(line)
    for family in (family for family in study.families if only is None or family.name in only):
        fetch_weights(family, data.input_shape, len(data.classes))
    with owned(places.storage, study.name), launcher_of(machine, devices) as launcher:
        retraining = Retraining(
            study=study,
            families=families,
            parents={name: run.run_id for name, run in recorded.items()},
            tracker=MlflowTracker(places.tracking_uri, study, data_record(data), environment()),
            runs=runs,
            tracking_uri=places.tracking_uri,
            launcher=launcher,
            data=data,
            weights=unfinished_trainings(make_state_folder(places.storage), study.name),
            observer=observer,
        )
        on_start(retraining.stop)
        return retraining.run(seeds=seeds, confirm=confirm)


@dataclass(kw_only=True)
class Retraining(ModelTrainer):
    """Races, picks, retrains and registers; each of the families has a finished trial, and `study` has all families."""

    study: Study
    families: Sequence[StoredFamily]
    runs: RunStore
    tracking_uri: str
    data: Prepared

    def __post_init__(self) -> None:
        super().__post_init__()
        self._jobs = Jobs(self.study, self.data)

    def run(self, *, seeds: int, confirm: int) -> Outcome:
        """Race so many configurations of each family, or none, then pick, retrain under all seeds, and register."""
        try:
            self.train(self._races(seeds, confirm), known=self.runs.find("confirm"))
            if not self.outcome.interrupted:
                planned = [
                    training
                    for stored, trial in self._pick()
                    for training in self._planned(
                        "retrain", stored, trial, seeds, trial.best_epoch or trial.reported, None
                    )
                ]
                self.train(planned, known=self.runs.find("retrain"), keep=self._keep)
                self._register([training for training in planned if training.number == 1])
            if not self.outcome.interrupted:
                for stored in self.families:
                    self.forget(stored.name)  # what is left of trainings that are not planned any more
        finally:
            self.close()
        return self.outcome

    def _races(self, seeds: int, confirm: int) -> list[ModelTraining]:
        """Plan the best configurations of each family as in the search, under fresh seeds that all of them share."""
        planned: list[ModelTraining] = []
        for stored in self.families:
            for trial in candidates(stored, confirm):
                epochs = trial.planned_epochs or self.study.budget.epochs
                planned += self._planned("confirm", stored, trial, seeds, epochs, trial.patience)
        return planned

    def _pick(self) -> list[tuple[StoredFamily, Trial]]:
        """Pick the trial of each family whose configuration is to be retrained."""
        raced = race_values(self.runs.find("confirm"), self.study.metric)
        chosen: list[tuple[StoredFamily, Trial]] = []
        for stored in self.families:
            trial = picked(stored, raced.get(stored.name, {}))
            if trial is not None:
                chosen.append((stored, trial))
                self.tracker.log(self.parents[stored.name], tags={names.CANDIDATE_TAG: str(trial.number)})
                self.observer.candidate_picked(stored.name, trial, raced.get(stored.name, {}))
        return chosen

    def _planned(
        self, stage: Stage, stored: StoredFamily, trial: Trial, seeds: int, epochs: int, patience: int | None
    ) -> list[ModelTraining]:
        """Plan a configuration's trainings, one for each of its seeds."""
        planned: list[ModelTraining] = []
        for number in range(1, seeds + 1):
            seed = seed_of(self.study.seed, f"{stored.name}/{stage}", number)
            job = self._jobs.job(stored.name, trial.number, trial.params, epochs=epochs, patience=patience, seed=seed)
            job = replace(job, validates=stage == "confirm")
            planned.append(ModelTraining(stage=stage, family=stored.family, trial=trial, number=number, job=job))
        return planned

    def _keep(self, running: RunningTraining) -> Callable[[], None]:
        """Make the model in MLflow's form, and its pictures; return what records them in the run."""
        job, value, epoch = running.job, running.plan.trial.value, len(running.epochs)
        if job.weights is None:
            return lambda: None
        code = self._jobs.codes[job.family]
        recipe = Recipe.of(self.study, self.data, job, code=code, value=value, epoch=epoch)
        # Beside the weights until MLflow has it, however long it is away.
        source, model = job.weights.with_name("champion"), job.weights.with_name(names.MODEL_FOLDER)
        for folder in (source, model):
            shutil.rmtree(folder, ignore_errors=True)  # of a process that died
        save_folder(source, state=load_file(job.weights), recipe=recipe, code=code and code.content)
        save_model(model, source, recipe)
        # Here and not where they are written: what is trained in this process shares its random numbers.
        pictures = champion_pictures(job, load_folder(source)) if running.plan.number == 1 else {}

        def write() -> None:
            self.tracker.log_folder(running.run_id, model, names.MODEL_FOLDER)
            for name, content in pictures.items():
                self.tracker.log_file(running.run_id, name, content)

        return write

    def _register(self, firsts: Sequence[ModelTraining]) -> None:
        """Register the first seed's model as its family's champion: a choice among seeds by their test would leak."""
        finished = {run.training: run for run in self.runs.find("retrain") if run.state == "finished"}
        for training in firsts:
            if training.digest in finished:
                run = finished[training.digest]
                figures = {name: run.metrics[name] for name in run.metrics if name.startswith(f"{names.TEST}/")}
                register(self.tracking_uri, self.study.name, run.family, run.run_id, figures=figures)
        if not any(run.openings for run in finished.values()):
            self._set_best({run.run_id: run for run in finished.values()})

    def _set_best(self, finished: Mapping[str, ModelRun]) -> None:
        """Mark the family with the best validation metric as the study's best one until there is a verdict."""
        champions = registered(self.tracking_uri, self.study.name).items()
        raced = race_values(self.runs.find("confirm"), self.study.metric)
        runs = {name: finished[each.run_id] for name, each in champions if each.run_id in finished}
        values = {name: promised(run.trial, run.value, raced.get(name, {})) for name, run in runs.items()}
        best = self.study.objective.best_of(values, values.get)
        if best is not None:
            set_best(self.tracking_uri, self.study.name, best)


def unfinished_trainings(state: Path, study: str) -> Path:
    """Return the folder of a study's unfinished trainings, with those that an earlier version left elsewhere.

    It kept them where the trials of a study named `STUDY.retrain` lie, whose folders are numbers and no digests.
    """
    folder = state / "retraining" / study
    for earlier in (state / "weights" / f"{study}.retrain").glob("*/*"):
        now = folder / earlier.parent.name / earlier.name
        if len(earlier.name) == DIGEST_LENGTH and not now.exists():
            now.parent.mkdir(parents=True, exist_ok=True)
            earlier.rename(now)
    return folder
