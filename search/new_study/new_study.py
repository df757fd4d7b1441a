"""A new study on a folder of images: planned from what is in the folder, measured on this machine, checked, written."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...datasets import DataError
from ...datasets.folders import (
    TEST_LIST,
    FolderSurvey,
    expanded,
    search_parts,
    split_off_test,
    survey_folder,
    write_new,
    write_test_list,
)
from ...sources import remove_unfinished
from ..errors import StudyError
from ..study import Study, load_study, shipped_studies
from .proposal import propose, validation_share, wants_transfer
from .study_text import Draft, Estimate, Findings, Target, study_text

MODELS = 3
"""Of each family, that `optrack retrain` trains unless told otherwise."""

MOST_TRIALS = 1_000
"""More than run at once on any machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStudy:
    """A planned study, not written yet.

    Args:
        missing: which pretrained weights are missing and where to put them; None if none are.
    """

    text: str
    study: Study
    estimate: Estimate
    missing: str | None


def check_target(target: Target) -> None:
    """Check that a study can be written there.

    Raises:
        StudyError: it cannot be written, or not under that name.
    """
    file = target.file
    if file.suffix != ".py":
        raise StudyError(f"a study is a Python file: its name must end with .py, but got {str(file)!r}")
    remove_unfinished(file)
    if os.path.lexists(file):
        raise StudyError(f"{str(file)!r} is there already, and nothing is written over it: give another name")
    if not file.parent.is_dir():
        raise StudyError(f"{file} cannot be written: there is no folder {file.parent}")
    if not target.study:
        raise StudyError(f"a study is called as its file, so {file.name!r} must have a letter or digit before .py")
    if target.study in shipped_studies():
        raise StudyError(f"{target.study!r} is the name of a study that comes with optrack: give the file another one")


def look(images: Path, group_pattern: str | None) -> Findings:
    """Survey a folder of images, and choose test images if it has none; nothing is written.

    Without a group pattern the names' own suggestion counts, if it can be kept.

    Raises:
        DataError: the folder cannot be trained on as it is.
    """
    survey = survey_folder(expanded(images))
    if group_pattern is not None or survey.groups is None:
        return _set_aside(survey, group_pattern, ())
    try:
        return _set_aside(survey, survey.groups.pattern, ())
    except DataError as error:
        doubt = f"the names suggest groups ({survey.groups.reason}), but the study does without: {error}"
        return _set_aside(survey, None, (doubt,))


def plan_study(findings: Findings, target: Target) -> NewStudy:
    """Propose a study, measure what it costs, and give it as many trials as fit.

    Raises:
        StudyError: no network can take the images.
    """
    # torch takes seconds to import, and what is wrong with a folder should be reported before that.
    from ..launchers import Machine, devices_of
    from .estimate import Workload
    from .speed import measured_speeds
    from .transfer_weights import TransferWeights, transfer_weights

    survey = findings.survey
    weights = transfer_weights() if wants_transfer(survey) else TransferWeights(architecture=None, missing=None)
    devices = devices_of(Machine(), most=MOST_TRIALS)
    proposal = propose(survey, transfer=weights.architecture, blocks=_blocks(weights.architecture), device=devices[0])
    draft = Draft(target=target, findings=findings, proposal=proposal, missing=weights.missing)
    # The families are read from the text, so that what is measured is what is written.
    families = _loaded(study_text(draft, None), target).families
    shape = (1 if survey.grey else 3, proposal.image_size, proposal.image_size)
    workload = Workload(
        speeds=measured_speeds(families, shape, len(survey.classes), device=devices[0]),
        epochs=proposal.epochs,
        train_images=findings.images("train"),
        validation_images=findings.images("validation"),
        workers=len(devices),
    )
    trials = workload.fitting_trials()
    estimate = Estimate(
        trials=trials,
        run_seconds=workload.run_seconds(trials),
        retrain_seconds=workload.retrain_seconds(MODELS),
        workers=workload.workers,
    )
    text = study_text(draft, estimate)
    return NewStudy(text=text, study=_loaded(text, target), estimate=estimate, missing=weights.missing)


def write_study(new: NewStudy, findings: Findings, target: Target) -> None:
    """Write the file, and before it the list of test images if there is one; both or neither.

    Raises:
        DataError: one exists by now, or cannot be written.
    """
    remove_unfinished(findings.survey.folder / TEST_LIST)  # of who wrote the list that is there now
    listed = None if findings.to_list is None else write_test_list(findings.survey.folder, findings.to_list)
    try:
        write_new(target.file, new.text)
    except BaseException:
        if listed is not None:
            listed.unlink(missing_ok=True)
        raise


def _set_aside(survey: FolderSurvey, group_pattern: str | None, doubts: tuple[str, ...]) -> Findings:
    paths = None if survey.sealed else split_off_test(survey.folder, group_pattern)
    left = survey if paths is None else survey.with_test(paths)
    searched = search_parts(survey.folder, paths, validation=validation_share(left), group_pattern=group_pattern)
    return Findings(survey=left, searched=searched, group_pattern=group_pattern, to_list=paths, doubts=doubts)


def _blocks(name: str | None) -> int:
    """Return how many feature blocks a transfer architecture has: the default in its signature, where all train."""
    from ..coordinator import hyperparameters

    return 0 if name is None else int(str(hyperparameters(name)["trainable_blocks"].default))


def _loaded(text: str, target: Target) -> Study:
    """Load the study in a text, as `optrack run` will read it."""
    from ..coordinator import check_study

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{target.study}.py"
        file.write_bytes(text.encode(errors="surrogateescape"))
        study = load_study(str(file))
    check_study(study)
    return study
