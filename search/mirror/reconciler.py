"""Makes MLflow's runs of a study equal to what Optuna's storage knows; doing it twice changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..errors import TrackingError
from ..stores import (
    ENVIRONMENT_RECORD,
    FILES_RECORD,
    ID_RECORD,
    MLFLOW_STATUS,
    NONE,
    STATE_RECORD,
    RunContent,
    RunState,
    StoredFamily,
    Tracker,
    Trial,
    best_metrics,
    end_tags,
    family_note,
)
from ..stores import mlflow_names as names
from ..text import plural
from .best_trial import BestTrial
from .wanted import WantedRun, digest_of, same

BEST_EPOCH = f"{names.BEST}/epoch"

OURS = {names.SEARCH_ID_TAG, names.MIRRORED_TAG, names.APART_TAG}
"""Tags that say nothing about how a trial went; runs of earlier versions lack them."""

PASSING = (names.REASON_TAG, names.APART_TAG)
"""Tags that a trial may lose: one that failed is tried again, one that was kept apart is compared again."""

Remember = Callable[[str, int, str], None]
"""Called with a family, the number of its trial, and the ID of its run."""

Runs = dict[str, Mapping[str, str]]
"""The tags of runs, by ID."""


@dataclass(slots=True)
class Mended:
    """What a reconciler has done.

    Args:
        written: trials that have ended, by family and number, whose runs lacked something.
        removed: runs in MLflow's trash, because Optuna's storage knows no such trial, or other numbers of it.
        foreign: runs of a search of the same name in another storage, which stay.
    """

    written: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    removed: int = 0
    foreign: int = 0

    def lines(self, study: str) -> list[str]:
        """Return what users should know of it."""
        runs = "that Optuna's storage does not know: moved to MLflow's trash (`mlflow runs restore` brings them back)"
        told = {
            f"MLflow lacked {plural(len(self.written), 'trial')}: written": len(self.written),
            f"MLflow held {plural(self.removed, 'run')} of trials {runs}": self.removed,
            f"MLflow also holds {plural(self.foreign, 'run')} of another search named {study!r}": self.foreign,
        }
        return [line for line, number in told.items() if number]


@dataclass(kw_only=True)
class Reconciler:
    """Writes what is missing in the runs of one study and mends what differs; what people added by hand stays.

    A tag of each run holds a digest of what was written, so that an equal one costs no call.

    Args:
        tracker: where the runs are.
        best: weights of the families' best trials.
        remember: called where a trial has another run than Optuna's storage says.
        thorough: compare the values themselves, whatever the digests say.
        alive: whether trials and families that Optuna's storage calls running do run.

    Raises:
        TrackingError: MLflow does not answer.
    """

    tracker: Tracker
    best: BestTrial
    remember: Remember
    thorough: bool = False
    alive: bool = True
    mended: Mended = field(default_factory=Mended)

    def __post_init__(self) -> None:
        self._families: dict[str, Runs] = {}
        self._trials: dict[tuple[str, int], Runs] = {}
        self._known: dict[str, RunContent] = {}
        for run_id, tags, _ in self.tracker.recorded({names.STAGE_TAG: names.FAMILY_STAGE}):
            self._families.setdefault(tags[names.FAMILY_TAG], {})[run_id] = tags
        for run_id, tags, _ in self.tracker.recorded({names.STAGE_TAG: names.SEARCH_STAGE}):
            self._trials.setdefault((tags[names.FAMILY_TAG], int(tags[names.TRIAL_TAG])), {})[run_id] = tags

    def study(self, stored: StoredFamily) -> None:
        """Mend a family, all its trials, and what is recorded of trials that there are not."""
        self.family(stored)
        trials = stored.all_trials
        for trial in trials:
            self.trial(stored, trial)
        for (family, number), runs in self._trials.items():
            if family == stored.name:
                if number >= len(trials):
                    self._remove(runs, _of(stored, runs))
                self.mended.foreign += len(runs) - len(_of(stored, runs))

    def family(self, stored: StoredFamily) -> None:
        """Mend a family's run: its files, its best trial, its state."""
        runs = self._families.setdefault(stored.name, {})
        tags = {
            names.SEARCH_ID_TAG: stored.kept[ID_RECORD],
            names.STAGE_TAG: names.FAMILY_STAGE,
            names.FAMILY_TAG: stored.name,
        }
        run_id = next(iter(_of(stored, runs) + _unclaimed(runs)), None)
        if run_id is None:
            # People may change the note.
            note = {names.NOTE_TAG: family_note(stored.study, stored.family)}
            run_id = self._create(stored, stored.name, {**tags, **note})
        found = self.tracker.content(run_id)
        if not found.params:
            self.tracker.describe_run(run_id, {"architecture": stored.family.architecture})
        files = {names.STUDY_FILE: stored.study.to_json(), **stored.kept.get(FILES_RECORD, {})}
        tags[names.MIRRORED_TAG] = digest_of(files)
        if _differs(tags, found.tags) or names.STUDY_FILE not in self.tracker.artifacts(run_id):
            for file, text in files.items():
                self.tracker.log_file(run_id, file, text.encode(errors="surrogateescape"))
        best = self._log_best(stored, run_id, found)
        state: RunState = stored.kept.get(STATE_RECORD, "finished")
        state = "interrupted" if state == "running" and not self.alive else state
        self._settle(run_id, found, state, {**tags, **best, **end_tags(state, None)})
        runs[run_id] = tags

    def trial(self, stored: StoredFamily, trial: Trial) -> None:
        """Mend a trial's run; one that never began has none."""
        wanted = WantedRun.of(stored, trial, alive=self.alive)
        if wanted is None:
            return
        runs = self._trials.setdefault((stored.name, trial.number), {})
        run_id = next((run for run in _of(stored, runs) if not _differs(wanted.tags, runs[run])), None)
        if run_id is None or self.thorough:
            run_id = self._matching(stored, wanted, runs) or self._create_trial(stored, trial, wanted)
            if self._write(run_id, wanted) and trial.ended is not None:
                self.mended.written.add((stored.name, trial.number))
            runs[run_id] = wanted.tags
        self._remove(runs, [run for run in _of(stored, runs) if run != run_id])
        if trial.mlflow_run != run_id:
            self.remember(stored.name, trial.number, run_id)

    def _matching(self, stored: StoredFamily, wanted: WantedRun, runs: Runs) -> str | None:
        """Return the run that tells of this training; None where there is none."""
        for run_id in _of(stored, runs) + _unclaimed(runs):
            if run_id not in self._known:
                self._known[run_id] = self.tracker.content(run_id)
            if not wanted.contradicts(self._known[run_id]):
                return run_id
        return None

    def _create_trial(self, stored: StoredFamily, trial: Trial, wanted: WantedRun) -> str:
        [*_, parent] = self._families[stored.name]
        tags = {name: value for name, value in wanted.tags.items() if name != names.MIRRORED_TAG}
        tags |= {names.PARENT_TAG: parent}
        run_id = self._create(stored, f"{stored.name} {trial.number}", tags, trial.started)
        tags |= end_tags("running", None)
        self._known[run_id] = RunContent(params={}, tags=tags, metrics={}, epochs={}, status=MLFLOW_STATUS["running"])
        return run_id

    def _write(self, run_id: str, wanted: WantedRun) -> bool:
        """Write what a run lacks; return whether there was anything."""
        found = self._known.pop(run_id)
        missing = {epoch: metrics for epoch, metrics in wanted.epochs.items() if epoch not in found.epochs}
        if found.params.keys() != wanted.params.keys():
            self.tracker.describe_run(run_id, wanted.params)
        if missing:
            self.tracker.log_epochs(run_id, missing)
        if wanted.failure is not None and names.FAILURE_FILE not in self.tracker.artifacts(run_id):
            self.tracker.log_file(run_id, names.FAILURE_FILE, wanted.failure)
        # Tags are not taken back one by one.
        passed = {name: "" for name in PASSING if name in found.tags}
        tags = {**found.tags, **passed, **wanted.tags}
        is_changed = self._settle(run_id, found, wanted.state, tags, wanted.best, wanted.ended)
        if wanted.state == "running":  # there is more to come
            epochs = {**found.epochs, **wanted.epochs}
            status = MLFLOW_STATUS[wanted.state]
            self._known[run_id] = replace(found, params=wanted.params, tags=tags, epochs=epochs, status=status)
        return is_changed or bool(missing)

    def _settle(
        self,
        run_id: str,
        found: RunContent,
        state: RunState,
        tags: Mapping[str, str],
        best: Mapping[str, float] = NONE,
        ended: datetime | None = None,
    ) -> bool:
        """Give a run its state, tags and best metrics; return whether anything was missing but our own notes on it."""
        changed = {name: value for name, value in tags.items() if found.tags.get(name) != value}
        metrics = {name: value for name, value in best.items() if not same(value, found.metrics.get(name))}
        is_running, is_other = state == "running", found.status != MLFLOW_STATUS[state]
        # Whichever call is the last one to be made, tags that name an end stand with a run that is over.
        if is_other and not is_running:
            self.tracker.set_status(run_id, state, ended=ended)
        if changed or metrics:
            self.tracker.log(run_id, tags=changed, metrics=metrics, step=int(best.get(BEST_EPOCH, 0)))
        if is_other and is_running:
            self.tracker.set_status(run_id, state)
        return bool(changed.keys() - OURS or metrics) or is_other

    def _log_best(self, stored: StoredFamily, run_id: str, found: RunContent) -> dict[str, str]:
        """Replace the family's best trial by the present one; return the tag that names it."""
        best = stored.best
        if best is None and stored.apart and names.BEST_TRIAL_TAG in found.tags:
            return {names.BEST_TRIAL_TAG: ""}  # no trial of the present number of epochs is finished
        files = {} if best is None else self.best.files(stored.name, best.number)
        if best is None or not files:  # an earlier version kept them in MLflow alone
            return {}
        paths = {f"{names.BEST}/{name}": file for name, file in files.items()}
        is_new = found.tags.get(names.BEST_TRIAL_TAG) != str(best.number)
        if is_new or not paths.keys() <= {*self.tracker.artifacts(run_id, names.BEST)}:
            try:
                for path, file in paths.items():
                    self.tracker.log_file(run_id, path, file)
            except TrackingError:
                if all(file.exists() for file in files.values()):
                    raise
                return {}  # a better trial has taken their place, and is written next
        metrics = best_metrics(best.best_metrics)
        if any(not same(value, found.metrics.get(name)) for name, value in metrics.items()):
            self.tracker.log(run_id, metrics=metrics)
        return {names.BEST_TRIAL_TAG: str(best.number)}

    def _create(self, stored: StoredFamily, name: str, tags: Mapping[str, str], started: datetime | None = None) -> str:
        # All tags at once: whoever finds the run of a process that died just then must know what it is.
        tags = {**stored.kept.get(ENVIRONMENT_RECORD, {}), **tags, **end_tags("running", None)}
        return self.tracker.create_run(name, tags, started=started)

    def _remove(self, runs: Runs, unwanted: Sequence[str]) -> None:
        for run_id in unwanted:
            self.tracker.delete_run(run_id)
            del runs[run_id]
            self.mended.removed += 1


def _of(stored: StoredFamily, runs: Runs) -> list[str]:
    """Return the runs that are known to be of this search."""
    return [run for run, tags in runs.items() if tags.get(names.SEARCH_ID_TAG) == stored.kept[ID_RECORD]]


def _unclaimed(runs: Runs) -> list[str]:
    """Return the runs of earlier versions, which do not say of which search they are."""
    return [run for run, tags in runs.items() if names.SEARCH_ID_TAG not in tags]


def _differs(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether a run was last written with other content or another state; one that is running has no digest."""
    told = (names.MIRRORED_TAG, names.STATE_TAG)
    return names.MIRRORED_TAG not in wanted or any(wanted.get(tag, found.get(tag)) != found.get(tag) for tag in told)
