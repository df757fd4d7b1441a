"""Every shipped study: it is complete, its families are the published ones, and it begins where people ended."""

from typing import get_args

import pytest

from optrack.architectures.inspection import describe
from optrack.datasets.augmentation import PRESETS
from optrack.search.coordinator.checks import check_study, known_shape
from optrack.search.study.lookup import load_study, shipped_studies
from optrack.search.study.study import Family, Study
from optrack.search.training import split_settings
from optrack.search.training.config import Preset

# What the reports state, or what their layer tables come to; for transfer models the features alone.
PARAMETERS = {
    "gtsrb/lenet": 47_531,
    "gtsrb/lenet_bn": 47_939,
    "gtsrb/lenet_fcn": 47_939,
    "stl10/logistic": 122_890,
    "stl10/mlp": 6_457_482,
    "stl10/cnn4": 8_807_106,
    "stl10/mobilenet_v2_frozen": 2_223_872,
    "stl10/mobilenet_v2_learned": 2_223_872,
    "cifar10_lenet/lenet3": 390_410,
    "cifar10_lenet/convnet_wide": 1_438_666,
    "cifar10_lenet/convnet_deep": 419_818,
    "cifar10_lenet/resnet18": 11_181_642,
    "cifar10_convnet/convnet": 7_678_474,
    "cifar10_convnet/convnet_bn": 7_682_826,
    "cifar10_convnet/vgg11_bn_frozen": 9_225_984,
    "cifar10_convnet/vgg11_bn_learned": 9_225_984,
    "cifar10_convnet/vgg11_bn_scratch": 9_225_984,
    "cinic10/lenet5": 62_006,
    "cinic10/lenet5_small_filters": 81_974,
    "cinic10/lenet5_wide_bn": 1_539_130,
}
FEATURES_ALONE = ("mobilenet_v2", "vgg11_bn")

STUDIES = {name: load_study(name) for name in shipped_studies()}
FAMILIES = {f"{study.name}/{family.name}": (study, family) for study in STUDIES.values() for family in study.families}


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_can_be_trained(name: str) -> None:
    check_study(STUDIES[name])
    assert Study.from_json(STUDIES[name].to_json()) == STUDIES[name]


@pytest.mark.parametrize(("study", "family"), FAMILIES.values(), ids=FAMILIES)
def test_a_family_begins_with_a_configuration_of_its_own(study: Study, family: Family) -> None:
    assert family.start
    assert family.space


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_reference_family_has_the_published_number_of_parameters_and_carries_its_report(name: str) -> None:
    study, family = FAMILIES[name]
    shape = known_shape(study.data)
    assert shape is not None
    _, model = split_settings({**family.options, **family.start[0]})
    description = describe(family.architecture, *shape, **model)
    layers = [layer for layer in description.layers if layer.name.startswith("features")]
    features = sum(layer.parameters for layer in layers)
    counted = features if family.architecture in FEATURES_ALONE else description.parameters.total
    assert counted == PARAMETERS[name]
    assert family.reference is not None


def test_a_frozen_family_trains_its_head_alone() -> None:
    for name, (study, family) in FAMILIES.items():
        if name.endswith("_frozen"):
            shape = known_shape(study.data)
            assert shape is not None
            _, model = split_settings({**family.options, **family.start[0]})
            layers = describe(family.architecture, *shape, **model).layers
            assert {layer.trainable for layer in layers if layer.name.startswith("features")} == {0}
            assert any(layer.trainable for layer in layers)


def test_training_takes_every_augmentation_that_there_is() -> None:
    assert get_args(Preset) == tuple(PRESETS)
