"""`optrack importance`: which hyperparameters matter."""

from .options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument


def importance(study: StudyArgument, storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False) -> None:  # noqa: FBT001, FBT002 - typer's form
    """Write a page with Optuna's figures for each family."""
