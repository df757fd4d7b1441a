"""Check that a study can be trained: every name and value against what samplers, training and architectures accept."""

from collections.abc import Mapping
from typing import Any

from ...architectures import architecture, is_own_architecture
from ...architectures.transfer import Transferable
from ...datasets import dataset_infos, is_own_dataset
from ..errors import StudyError, unknown
from ..study import Budget, Data, Family, Parameter, Study, keyword_parameters
from ..training import split_settings, training_parameters
from .corners import corners, single_image_corners
from .strategies import check_strategies


def check_study(study: Study) -> None:
    """Check all that can be checked before any image is read.

    Raises:
        StudyError: an unknown data set, architecture, hyperparameter, sampler or pruner, a value out of range, a budget
            that is not enough for one trial, or images that an architecture does not accept.
    """
    _check_budget(study.budget)
    check_strategies(study)
    shape = known_shape(study.data)
    for family in study.families:
        _check_values(family)
        if shape is not None and not is_own_architecture(family.architecture):
            check_models(family, *shape)


def check_models(family: Family, input_shape: tuple[int, int, int], classes: int) -> None:
    """Build the family's network, without memory, at every corner of its space.

    A user-defined network is really built there, and must pass the architecture contract. The values have each been
    checked before; `input_shape` is channels, height and width.

    Raises:
        StudyError: the network cannot be built, e.g. because the images are too small for it, or it has a batch norm
            that batches of one image may meet.
    """
    import torch

    from ...architectures.contract import check_contract, takes_single_images

    build = architecture(family.architecture)
    is_own = is_own_architecture(family.architecture)
    for settings in corners(family):
        _, model = split_settings(settings)
        try:
            if is_own:
                check_contract(family.architecture, build, input_shape, classes, model)
            else:
                with torch.device("meta"):
                    build(input_shape, classes, **model)
        except (ValueError, RuntimeError) as error:
            raise StudyError(f"family {family.name!r}: {error}") from None
    checked: list[Mapping[str, Any]] = []
    for settings in single_image_corners(family):
        _, model = split_settings(settings)
        if model in checked:
            continue
        checked.append(model)
        if not takes_single_images(build, input_shape, classes, model, device="cpu" if is_own else "meta"):
            raise StudyError(
                f"family {family.name!r}: batch_size must be at least 2 with the batch norm of {family.architecture}, "
                "which has no spread in one image, but got 1"
            )


def fetch_weights(family: Family, input_shape: tuple[int, int, int], classes: int) -> None:
    """Download the family's pretrained weights, if it has any, before several workers ask for them at once.

    Raises:
        StudyError: they can neither be found nor downloaded, or do not fit.
    """
    build = architecture(family.architecture)
    if not issubclass(build, Transferable):
        return
    _, model = split_settings({**family.options, **(family.start[0] if family.start else {})})
    try:
        build(input_shape, classes, **model).load_pretrained()
    except ValueError as error:
        raise StudyError(f"family {family.name!r}: {error}") from None


def hyperparameters(name: str) -> dict[str, Parameter]:
    """Return all that a family of this architecture may fix or search: training's parameters, then its own.

    Raises:
        StudyError: the architecture has a hyperparameter that training has too.
        ArchitectureError: there is no such architecture.
        SourceError: the code of a user-defined network is missing, or does not run.
    """
    own = keyword_parameters(architecture(name))
    training = training_parameters()
    both = [parameter for parameter in own if parameter in training]
    if both:
        raise StudyError(f"{name} must not take {both[0]!r}, which the training takes: give it another name")
    return {**training, **own}


def known_shape(data: Data) -> tuple[tuple[int, int, int], int] | None:
    """Return input shape and number of classes, if they are known without reading the images.

    Raises:
        StudyError: unknown data set.
    """
    if is_own_dataset(data.name):
        return None
    infos = {info.name.split(":")[0]: info for info in dataset_infos()}
    key = data.name.split(":")[0]
    if key not in infos:
        raise StudyError(unknown("data set", key, [info.name for info in infos.values()]))
    info = infos[key]
    side = data.image_size or info.image_size
    if side is None:
        return None
    # The size is what matters: any number of channels and classes will do.
    return (info.channels or 3, side, side), info.classes or 2


def _check_budget(budget: Budget) -> None:
    """Check that a trial can end; not when the budget is made, as one that an earlier version stored is still read."""
    total = budget.total_epochs
    if total is not None and total < budget.epochs:
        raise StudyError(f"total_epochs must be at least the {budget.epochs} epochs of one trial, but got {total}")


def _check_values(family: Family) -> None:
    known = hyperparameters(family.architecture)
    for name in [*family.options, *family.space]:
        if name not in known:
            raise StudyError(f"family {family.name!r}: {unknown('hyperparameter', name, known)}")
    try:
        for settings in corners(family):
            for name, value in settings.items():
                known[name].check(value)
    except StudyError as error:
        raise StudyError(f"family {family.name!r}: {error}") from None
