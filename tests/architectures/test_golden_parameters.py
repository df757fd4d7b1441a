"""Parameter counts, by hand or from the published reports; a new architecture brings its own into the table."""

import json
from pathlib import Path
from typing import Any

import pytest

from optrack.architectures import ARCHITECTURES
from optrack.architectures.inspection import describe

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden_parameters.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['architecture']}-{case['parameters']}")
def test_a_model_has_exactly_the_known_number_of_parameters(case: dict[str, Any]) -> None:
    description = describe(case["architecture"], tuple(case["input"]), case["classes"], **case["hyperparameters"])
    assert description.parameters.total == case["parameters"]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_a_known_number_of_parameters(name: str) -> None:
    assert name in {case["architecture"] for case in GOLDEN}, f"enter {name} in golden_parameters.json"
