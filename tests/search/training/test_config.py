import pickle
from dataclasses import replace
from typing import Any

import pytest

from optrack.search import StudyError
from optrack.search.training import TrainingConfig, split_settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": -1}, "lr should be greater than 0, but got -1"),
        ({"lr": float("nan")}, "lr should be greater than 0, but got nan"),
        ({"optimizer": "nope"}, "optimizer should be 'adam', 'adamw' or 'sgd', but got 'nope'"),
        ({"momentum": 1.0}, "momentum should be less than 1, but got 1.0"),
        ({"nesterov": 1}, "nesterov should be a valid boolean, but got 1"),
        ({"batch_size": 16.0}, "batch_size should be a valid integer, but got 16.0"),
        ({"augmentation": "crop"}, "augmentation should be 'none', 'crop_flip'"),
    ],
)
def test_what_training_does_not_take_is_refused_when_made(values: dict[str, Any], message: str) -> None:
    for make in (lambda: TrainingConfig(**values), lambda: split_settings(values)):
        with pytest.raises(StudyError) as raised:
            make()
        assert str(raised.value).startswith(message)


def test_a_changed_config_is_checked_too() -> None:
    with pytest.raises(StudyError, match="lr should be greater than 0"):
        replace(TrainingConfig(), lr=0.0)


def test_values_stay_as_they_were_given_and_travel_by_pickle() -> None:
    config = TrainingConfig(weight_decay=0, warmup_epochs=2)
    assert repr((config.weight_decay, config.warmup_epochs)) == "(0, 2)"
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - pickled here


def test_settings_are_split_by_who_takes_them() -> None:
    assert split_settings({"lr": 0.1, "depth": 3}) == (TrainingConfig(lr=0.1), {"depth": 3})
