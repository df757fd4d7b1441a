import math
from typing import Any

import pytest

from optrack.search.report.replicates import noise

PARAMS = {"lr": 1e-3, "depth": 2, "optimizer": "adam"}


def trial(value: float | None, replicate_of: int | None = None) -> tuple[dict[str, Any], float | None, dict[str, Any]]:
    return (PARAMS, value, {"replicate_of": replicate_of})


def test_the_deviation_is_pooled_over_configurations(study_of: Any, stored_of: Any) -> None:
    trials = [trial(0.90), trial(0.80), trial(0.94, 0), trial(0.83, 1), trial(0.86, 1)]
    found = noise(stored_of(study_of("alpha"), "alpha", trials))
    assert found is not None
    assert list(found.groups) == [{0: 0.90, 2: 0.94}, {1: 0.80, 3: 0.83, 4: 0.86}]
    assert found.degrees == 3
    # Sums of squares: 2 * 0.02^2 and 2 * 0.03^2.
    assert found.deviation == pytest.approx(math.sqrt((0.0008 + 0.0018) / 3))


def test_a_replicate_of_a_replicate_belongs_to_the_first_trial(study_of: Any, stored_of: Any) -> None:
    found = noise(stored_of(study_of("alpha"), "alpha", [trial(0.9), trial(0.8, 0), trial(0.7, 1)]))
    assert found is not None
    assert [list(group) for group in found.groups] == [[0, 1, 2]]


def test_pruned_replicates_tell_nothing(study_of: Any, stored_of: Any) -> None:
    assert noise(stored_of(study_of("alpha"), "alpha", [trial(0.9), trial(None, 0), trial(0.9)])) is None
