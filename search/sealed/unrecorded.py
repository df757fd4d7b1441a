"""Results that MLflow does not have yet, beside Optuna's storage: what was seen once need not be looked at again."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..stores import make_state_folder

FIGURES_FILE = "figures.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What is to be recorded of a test.

    Args:
        openings: how often the test part was opened for the model, this time included.
        figures: metrics by name.
        files: artifacts by path.
    """

    openings: int
    figures: Mapping[str, float]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A folder for each model's run whose test is not recorded yet.

    Args:
        folder: of the study.
    """

    folder: Path

    @classmethod
    def beside(cls, storage_url: str, study: str) -> "Unrecorded":
        """Return what is kept of a study, whose storage has this address."""
        return cls(make_state_folder(storage_url) / "tests" / study)

    def keep(self, run_id: str, tested: Tested) -> None:
        """Keep a result; a kill leaves all of it or nothing."""
        unfinished = self.folder / f"{run_id}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        for name, content in tested.files.items():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_bytes(content)
        numbers = {"openings": tested.openings, "figures": dict(tested.figures)}
        (unfinished / FIGURES_FILE).write_text(json.dumps(numbers), encoding="utf-8")
        self.drop(run_id)
        unfinished.rename(self.folder / run_id)

    def of(self, run_id: str) -> Tested | None:
        """Return the result of a run; None where there is none that is not recorded."""
        kept = self.folder / run_id
        if not kept.is_dir():
            return None
        numbers: dict[str, Any] = json.loads((kept / FIGURES_FILE).read_text(encoding="utf-8"))
        paths = [path for path in kept.rglob("*") if path.is_file() and path.name != FIGURES_FILE]
        return Tested(files={path.relative_to(kept).as_posix(): path.read_bytes() for path in paths}, **numbers)

    def drop(self, run_id: str) -> None:
        """Remove the result of a run, which is recorded; a kill leaves all of it or nothing."""
        kept, dropped = self.folder / run_id, self.folder / f"{run_id}.dropped"
        shutil.rmtree(dropped, ignore_errors=True)
        if kept.is_dir():
            kept.rename(dropped)
            shutil.rmtree(dropped, ignore_errors=True)
