"""The weights and the configuration of each family's best trial, kept beside Optuna's storage."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..stores import make_state_folder
from ..stores import mlflow_names as names


@dataclass(frozen=True, slots=True)
class BestTrial:
    """A folder for each trial that was a family's best one; those before it are removed once the new one counts.

    Only the best ones of other numbers of epochs stay: the study may go back to these.

    Args:
        folder: of the study.
    """

    folder: Path

    @classmethod
    def beside(cls, storage_url: str, study: str) -> "BestTrial":
        """Return what is kept of a study, whose storage has this address."""
        return cls(make_state_folder(storage_url) / "best" / study)

    def keep(self, family: str, trial: int, *, weights: Path | None, configuration: Mapping[str, Any]) -> None:
        """Keep a trial's weights, which are moved here, and its configuration; a kill leaves all of it or nothing."""
        kept = self.folder / family / str(trial)
        unfinished = kept.with_name(f"{trial}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        (unfinished / names.CONFIGURATION).write_text(json.dumps(configuration, indent=2), encoding="utf-8")
        if weights is not None and weights.exists():
            shutil.move(weights, unfinished / weights.name)
        shutil.rmtree(kept, ignore_errors=True)
        unfinished.rename(kept)

    def files(self, family: str, trial: int) -> dict[str, Path]:
        """Return what is kept of a trial, by the names of files; nothing where it was not the best one."""
        return {path.name: path for path in sorted((self.folder / family / str(trial)).glob("*"))}

    def drop_others(self, family: str, *trials: int) -> None:
        """Remove what is kept of all trials but these."""
        kept = [str(trial) for trial in trials]
        for path in (self.folder / family).glob("*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
