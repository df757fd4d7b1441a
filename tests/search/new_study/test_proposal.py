import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.datasets.folders.survey import FolderSurvey
from optrack.search.new_study.proposal import (
    LEAST_STEPS,
    MOST_PIXELS,
    TRANSFER_SIZES,
    Proposal,
    propose,
    validation_share,
    wants_transfer,
)


def survey_of(
    train: dict[str, int], *, validation: dict[str, int] | None = None, side: int = 300, grey: bool = False
) -> FolderSurvey:
    parts = {"train": train, **({"validation": validation} if validation else {}), "test": dict.fromkeys(train, 1)}
    return FolderSurvey(
        folder=Path("photos"),
        has_parts=True,
        parts=parts,
        sealed="list",
        looked_at=10,
        smallest=(side, side),
        median=(side, side),
        largest=(side, side),
        short_side=side,
        grey=grey,
        groups=None,
    )


def proposed(survey: FolderSurvey, *, transfer: str | None = "mobilenet_v2", device: str = "cpu") -> Proposal:
    return propose(survey, transfer=transfer, blocks=19, device=device)


FEW = {"ants": 97, "bees": 97}


def test_a_few_photographs_get_a_pretrained_network_at_its_own_size_and_its_last_blocks() -> None:
    proposal = proposed(survey_of(FEW, validation={"ants": 56, "bees": 66}, side=160))
    assert (proposal.image_size, proposal.validation, proposal.batch_sizes) == (224, None, (16, 32))
    assert proposal.transfer is not None
    assert (proposal.transfer.architecture, proposal.transfer.most_blocks, proposal.lenet) == ("mobilenet_v2", 6, False)


def test_without_weights_photographs_are_made_small_for_two_networks_from_scratch() -> None:
    proposal = proposed(survey_of(FEW), transfer=None)
    assert (proposal.image_size, proposal.transfer, proposal.lenet) == (64, None, True)
    assert (proposal.small.depth, proposal.small.filters_1) == (4, 32)


@pytest.mark.parametrize(("side", "size"), [(8, 16), (16, 16), (28, 28), (31, 28), (43, 40), (63, 60)])
def test_small_images_stay_as_they_are_or_nearly_and_are_learned_from_scratch(side: int, size: int) -> None:
    survey = survey_of({"0": 900, "1": 800}, side=side)
    assert not wants_transfer(survey)
    proposal = proposed(survey)
    assert (proposal.image_size, proposal.transfer, proposal.mirrored) == (size, None, False)


def test_more_images_are_smaller_on_a_cpu_and_train_more_blocks() -> None:
    found = [proposed(survey_of({"a": count, "b": count})) for count in (100, 1_000, 2_500, 5_000, 50_000)]
    assert [proposal.image_size for proposal in found] == [224, 192, 160, 128, 96]
    assert [proposal.transfer and proposal.transfer.most_blocks for proposal in found] == [6, 12, 12, 19, 19]
    assert proposed(survey_of({"a": 20_000, "b": 20_000}), device="cuda:0").image_size == 224


def test_images_are_enlarged_to_twice_their_size_at_most() -> None:
    assert proposed(survey_of(FEW, side=70)).image_size == 128


@pytest.mark.parametrize(
    ("classes", "mirrored"),
    [(("ants", "bees"), True), (("turn_left", "turn_right"), False), (("Keep Right", "stop"), False)],
)
def test_images_are_not_mirrored_where_a_class_is_about_sides(classes: tuple[str, str], mirrored: bool) -> None:  # noqa: FBT001 - a parameter of the test
    proposal = proposed(survey_of(dict.fromkeys(classes, 50)))
    assert proposal.mirrored == mirrored
    assert proposal.augmentation == ("stl10" if mirrored else "rotation_jitter")


def test_the_largest_class_folder_of_all_has_fewer_epochs() -> None:
    few, many = (proposed(survey_of({"a": count, "b": count}, side=32)) for count in (500, 20_000))
    assert many.epochs < few.epochs


COUNTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(4, 60_000), min_size=2, max_size=6)


@given(
    COUNTS,
    st.integers(1, 5_000),
    st.booleans(),
    st.sampled_from([None, "mobilenet_v2"]),
    st.sampled_from(["cpu", "cuda:0"]),
)
def test_whatever_is_in_a_folder_the_proposal_can_be_trained(
    train: dict[str, int],
    side: int,
    official: bool,  # noqa: FBT001 - as hypothesis gives it
    transfer: str | None,
    device: str,
) -> None:
    survey = survey_of(train, validation=dict.fromkeys(train, 3) if official else None, side=side)
    proposal = proposed(survey, transfer=transfer, device=device)
    searched = survey.images("train", "validation")
    count = searched - (survey.images("validation") or math.ceil(searched * (proposal.validation or 0)))
    assert len(train) <= count < searched
    assert 16 <= proposal.image_size <= max(size for sizes in TRANSFER_SIZES.values() for _, size in sizes)
    assert proposal.image_size / 2**proposal.small.depth >= 3
    assert list(proposal.batch_sizes) == sorted(set(proposal.batch_sizes))
    assert proposal.batch_sizes[-1] == 8 or count / proposal.batch_sizes[-1] >= LEAST_STEPS
    assert proposal.batch_sizes[-1] * proposal.image_size**2 <= MOST_PIXELS["cuda"]
    assert proposal.patience < proposal.epochs
    if proposal.transfer is not None:
        assert 1 <= proposal.transfer.most_blocks <= 19
        assert proposal.image_size % 32 == 0
    assert (proposal.transfer is None) == proposal.lenet


@given(COUNTS)
def test_of_every_class_there_is_something_to_validate_on(train: dict[str, int]) -> None:
    share = validation_share(survey_of(train))
    assert 0.15 <= share <= 0.25
    assert min(train.values()) * share >= 1 - 1e-9
    assert math.isclose(share, round(share, 2))
