"""Parameter counts, by hand or from the published reports; a new architecture brings its own into the table.

The table names the twenty hand-tuned systems as STUDY/FAMILY; the other lines have no family.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from optrack.architectures import ARCHITECTURES
from optrack.architectures.inspection import describe

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden_parameters.json").read_text())


@pytest.mark.parametrize(
    "case", GOLDEN, ids=lambda case: f"{case['family'] or case['architecture']}-{case['parameters']}"
)
def test_a_model_has_exactly_the_known_number_of_parameters(case: dict[str, Any]) -> None:
    description = describe(case["architecture"], tuple(case["input"]), case["classes"], **case["hyperparameters"])
    features = sum(layer.parameters for layer in description.layers if layer.name.startswith("features."))
    assert description.parameters.total == case["parameters"]
    assert description.parameters.trainable == case.get("trainable", case["parameters"])
    assert features == case.get("features", features)


def test_all_twenty_hand_tuned_systems_are_in_the_table() -> None:
    families = {case["family"] for case in GOLDEN} - {None}
    assert Counter(family.split("/")[0] for family in families) == {
        "gtsrb": 3,
        "stl10": 5,
        "cifar10_lenet": 4,
        "cifar10_convnet": 5,
        "cinic10": 3,
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_a_known_number_of_parameters(name: str) -> None:
    assert name in {case["architecture"] for case in GOLDEN}, f"enter {name} in golden_parameters.json"
