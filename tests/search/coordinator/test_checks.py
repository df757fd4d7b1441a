from typing import Any

import pytest

from optrack.search import Budget, Categorical, Data, Family, Float, Int, OptrackError, Pruner, Sampler, Study
from optrack.search.coordinator.checks import check_models, check_study, hyperparameters, known_shape
from optrack.search.study.lookup import load_study, shipped_studies


def study_of(architecture: str = "lenet", *, image_size: int | None = 16, data: str = "digits", **parts: Any) -> Study:
    family = Family("f", architecture=architecture, **parts)
    return Study("s", data=Data(data, image_size=image_size), families=[family])


def problem(study: Study) -> str:
    with pytest.raises(OptrackError) as raised:
        check_study(study)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_study_whose_every_value_is_taken_passes() -> None:
    check_study(
        study_of(
            options={"schedule": "cosine", "nesterov": True},
            space={
                "lr": Float(1e-4, 1.0, log=True),
                "batch_norm": Categorical(True, False),
                "width_1": Int(1, 9),
                "weight_decay": Int(0, 1),
            },
            start=[{"lr": 0.1}, {"batch_norm": True}],
        )
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"options": {"optimiser": "adam"}},
            "family 'f': unknown hyperparameter 'optimiser' (did you mean 'optimizer'?); valid names:",
        ),
        ({"space": {"drop_out": Float(0, 0.5)}}, "unknown hyperparameter 'drop_out' (did you mean 'dropout'?)"),
        ({"options": {"depth": 2}}, "unknown hyperparameter 'depth'"),  # the mlp's
        ({"options": {"lr": 0.0}}, "family 'f': lr should be greater than 0, but got 0.0"),
        ({"options": {"lr": True}}, "lr should be a valid number, but got True"),
        ({"options": {"optimizer": "rmsprop"}}, "optimizer should be 'adam', 'adamw' or 'sgd', but got 'rmsprop'"),
        ({"options": {"dropout": None}}, "dropout should be a valid number, but got None"),
        ({"space": {"dropout": Float(0.0, 1.0)}}, "dropout should be less than 1, but got 1.0"),
        ({"space": {"lr": Float(-0.1, 1.0)}}, "lr should be greater than 0, but got -0.1"),
        ({"space": {"batch_size": Float(16, 64)}}, "batch_size should be a valid integer, but got 16.0"),
        ({"space": {"width_1": Int(0, 9)}}, "width_1 should be greater than or equal to 1, but got 0"),
        ({"space": {"batch_norm": Categorical(True, 0)}}, "batch_norm should be a valid boolean, but got 0"),
        ({"space": {"schedule": Categorical("cosine", "linear")}}, "schedule should be"),
        ({"space": {"kernel_size_1": Int(3, 9)}}, "family 'f': lenet needs images of at least 20 x 20 pixels"),
        ({"space": {"kernel_size_1": Int(3, 5)}, "options": {"kernel_size_2": 7}}, "needs images of at least"),
    ],
)
def test_what_training_and_architecture_do_not_take_is_refused_with_the_rule(parts: Any, message: str) -> None:
    assert message in problem(study_of(**parts))


def test_a_start_configuration_is_built_too() -> None:
    # 16 pixels are enough for each of these kernel sizes alone.
    space: dict[str, Any] = {"kernel_size_1": Int(3, 6), "kernel_size_2": Int(3, 6)}
    check_study(study_of(image_size=18, space=space))
    start = [{"kernel_size_1": 6, "kernel_size_2": 6}]
    assert "needs images of at least 19 x 19 pixels" in problem(study_of(image_size=18, space=space, start=start))


def test_images_that_are_too_small_for_the_architecture_are_refused_by_size() -> None:
    message = "family 'f': lenet needs images of at least 16 x 16 pixels, but got 8 x 8"
    assert problem(study_of(image_size=None)) == message
    assert problem(study_of(image_size=8)) == message


def test_an_unknown_architecture_names_the_nearest_one() -> None:
    assert "unknown architecture 'lenett' (did you mean 'lenet'?)" in problem(study_of("lenett"))


def test_an_unknown_data_set_names_the_nearest_one() -> None:
    assert "unknown data set 'digit' (did you mean 'digits'?)" in problem(study_of(data="digit"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": Sampler("bayes")}, "unknown sampler 'bayes'"),
        ({"pruner": Pruner("hyperbant")}, "unknown pruner 'hyperbant' (did you mean 'hyperband'?)"),
        ({"pruner": Pruner("wilcoxon"), "budget": Budget(epochs=2)}, "cannot reach p_threshold"),
    ],
)
def test_sampler_and_pruner_are_checked_with_the_study(changes: Any, message: str) -> None:
    assert message in problem(Study("s", data=Data("digits"), families=[Family("f", architecture="mlp")], **changes))


@pytest.mark.parametrize("total", [1, 3])
def test_a_budget_that_is_not_enough_for_one_whole_trial_is_refused(total: int) -> None:
    family, budget = Family("f", architecture="mlp"), Budget(epochs=4, total_epochs=total)
    message = problem(Study("s", data=Data("digits"), families=[family], budget=budget))
    assert message == f"total_epochs must be at least the 4 epochs of one trial, but got {total}"


def test_a_budget_of_exactly_one_trial_is_enough() -> None:
    family, budget = Family("f", architecture="mlp"), Budget(epochs=4, total_epochs=4)
    check_study(Study("s", data=Data("digits"), families=[family], budget=budget))


def test_the_shape_of_images_in_folders_is_known_only_with_a_size() -> None:
    assert known_shape(Data("image_folder:somewhere")) is None
    assert known_shape(Data("image_folder:somewhere", image_size=30)) == ((3, 30, 30), 2)
    assert known_shape(Data("digits")) == ((1, 8, 8), 10)


NORMED: dict[str, Any] = {"batch_norm": True}
BATCHES = Categorical(1, 32)


@pytest.mark.parametrize(
    "parts",
    [
        {"options": NORMED | {"batch_size": 1}},
        {"options": NORMED, "space": {"batch_size": BATCHES}},
        {"options": NORMED, "space": {"batch_size": Int(1, 32)}},
        {"options": {"batch_size": 1}, "space": {"batch_norm": Categorical(False, True)}},
        {"space": {"batch_norm": Categorical(False, True), "batch_size": BATCHES, "depth": Int(1, 2)}},
        {"options": NORMED, "space": {"batch_size": BATCHES, "depth": Int(1, 3)}, "start": [{"batch_size": 1}]},
        {
            "options": NORMED,
            "space": {"optimizer": Categorical("adam"), "batch_size": Int(1, 2, when={"optimizer": "adam"})},
        },
    ],
)
def test_batches_of_one_image_are_refused_where_batch_norm_may_meet_them(parts: Any) -> None:
    message = "family 'f': batch_size must be at least 2 with the batch norm of mlp, which has no spread in one image"
    assert problem(study_of("mlp", image_size=None, **parts)) == f"{message}, but got 1"


@pytest.mark.parametrize(
    "parts",
    [
        {"options": {"batch_size": 1}},
        {"options": NORMED | {"batch_size": 2}},
        {"space": {"batch_norm": Categorical(False, True), "batch_size": Int(1, 9, when={"batch_norm": False})}},
        {"space": {"batch_size": BATCHES, "batch_norm": Categorical(False, True, when={"batch_size": 32})}},
    ],
)
def test_batches_of_one_image_are_accepted_where_batch_norm_never_meets_them(parts: Any) -> None:
    check_study(study_of("mlp", image_size=None, **parts))


def test_batches_of_one_image_are_refused_where_a_network_leaves_one_value_to_its_batch_norm() -> None:
    options = {"batch_size": 1}
    assert "with the batch norm of resnet18" in problem(study_of("resnet18", image_size=32, options=options))
    check_study(study_of("resnet18", image_size=64, options=options))
    fixed = {"trainable_blocks": 0} | options  # its batch norms stay in inference
    check_study(study_of("resnet18", image_size=32, options=fixed))


def test_networks_are_checked_without_memory() -> None:
    huge = Family("f", architecture="mlp", options={"width": 10**7, "depth": 2})  # 400 TB
    check_models(huge, (3, 32, 32), 10)


def test_all_that_a_family_may_set_is_what_training_and_its_architecture_take() -> None:
    known = hyperparameters("mlp")
    assert {"lr", "optimizer", "schedule", "depth", "width"} <= set(known)
    assert "filters_1" not in known


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_study_goes_by_its_file_name(name: str) -> None:
    assert load_study(name).name == name == shipped_studies()[name].stem
