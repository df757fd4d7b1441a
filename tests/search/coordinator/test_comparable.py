from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import optuna
import pytest

from optrack.datasets import Prepared
from optrack.search import Budget, Categorical, Data, Family, Float, Pruner, Sampler, Study, StudyError
from optrack.search.coordinator.comparable import check_comparable, refused
from optrack.search.stores.records import DATA_RECORD, SOURCE_RECORD, STUDY_RECORD, data_record
from optrack.search.stores.trials import StoredFamily
from optrack.search.training import network_code

SPACE: dict[str, Any] = {"lr": Float(0.1, 1.0), "batch_size": Categorical(32, 64)}
FIXED: dict[str, Any] = {"optimizer": "sgd"}
FAMILY: dict[str, Any] = {"architecture": "mlp", "options": FIXED, "space": SPACE}
DATA: dict[str, Any] = {"image_size": 16, "validation": 0.2, "split_seed": 1}


def family_of(**changes: Any) -> Family:
    return Family("f", **{**FAMILY, **changes})


def data_of(**changes: Any) -> Data:
    return Data("digits", **{**DATA, **changes})


def study_of(**changes: Any) -> Study:
    parts: dict[str, Any] = {"data": data_of(), "families": [family_of()]}
    return Study("s", **{**parts, **changes})


def stored(study: Study, data: Prepared) -> list[StoredFamily]:
    def kept(family: Family) -> StoredFamily:
        opened = optuna.create_study(study_name=f"s/{family.name}")
        opened.set_user_attr(DATA_RECORD, data_record(data))
        opened.set_user_attr(STUDY_RECORD, study.to_json())
        return StoredFamily.read(opened)

    return [kept(family) for family in study.families]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"budget": Budget(trials=99, epochs=3, patience=1, total_epochs=7, timeout_seconds=1.0)},
        {"sampler": Sampler("random")},
        {"pruner": Pruner("none")},
        {"seed": 7},
        {"families": [family_of(start=[{"lr": 0.5}])]},
        {"families": [family_of(), Family("another", architecture="lenet")]},
        {"families": [Family("another", architecture="lenet")]},
        {"families": [family_of(space=dict(reversed(SPACE.items())))]},
    ],
)
def test_what_leaves_trials_comparable_may_change(changes: dict[str, Any], digits: Prepared) -> None:
    check_comparable(study_of(**changes), digits, stored(study_of(), digits))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"metric": "val_loss"}, "metric was 'val_accuracy' and is 'val_loss'"),
        ({"data": data_of(image_size=None)}, "image_size was 16 and is None"),
        ({"data": data_of(validation=0.3)}, "validation was 0.2 and is 0.3"),
        ({"data": data_of(split_seed=2)}, "split_seed was 1 and is 2"),
        (
            {"families": [family_of(architecture="lenet")]},
            "architecture in family 'f' was mlp and is lenet",
        ),
        (
            {"families": [family_of(options={"optimizer": "adam"})]},
            "options in family 'f' was {'optimizer': 'sgd'} and is {'optimizer': 'adam'}",
        ),
        (
            {"families": [family_of(space={**SPACE, "lr": Float(0.1, 2.0)})]},
            "space of lr in family 'f' was",
        ),
        (
            {"families": [family_of(space={**SPACE, "lr": Float(0.1, 1.0, log=True)})]},
            "space of lr in family 'f' was",
        ),
        (
            {"families": [family_of(space={**SPACE, "momentum": Float(0, 0.9)})]},
            "space of momentum in family 'f' was None and is",
        ),
        ({"families": [family_of(space={"lr": SPACE["lr"]})]}, "space of batch_size in family 'f'"),
        (
            {"families": [Family("another", architecture="lenet"), family_of(options={})]},
            "options in family 'f'",
        ),
    ],
)
def test_what_makes_trials_incomparable_is_refused_and_named(
    changes: dict[str, Any], difference: str, digits: Prepared
) -> None:
    with pytest.raises(StudyError) as raised:
        check_comparable(study_of(**changes), digits, stored(study_of(), digits))
    assert difference in str(raised.value)
    assert "rename the study, or give another --storage" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"digest": "other"}, "digest of the images was"),
        ({"split_digest": "other"}, "split digest of the images was"),
    ],
)
def test_other_images_under_the_same_name_are_refused(
    change: dict[str, Any], difference: str, digits: Prepared
) -> None:
    with pytest.raises(StudyError, match=difference):
        check_comparable(study_of(), replace(digits, **change), stored(study_of(), digits))


def test_the_same_images_in_another_layout_are_taken(digits: Prepared) -> None:
    check_comparable(study_of(), replace(digits, layout="class folders"), stored(study_of(), digits))


def stored_on(data: Prepared, *names: str) -> list[StoredFamily]:
    return stored(study_of(families=[replace(family_of(), name=name) for name in names]), data)


def test_a_family_that_cannot_be_continued_is_refused_alone(digits: Prepared) -> None:
    wider = replace(family_of(space={**SPACE, "lr": Float(0.1, 2.0)}), name="a")
    found = refused(study_of(families=[wider, replace(family_of(), name="b")]), digits, stored_on(digits, "a", "b"))
    assert found.keys() == {"a"}
    assert found["a"].startswith("space of lr in family 'a' was")


def test_a_family_that_is_stored_with_other_images_is_refused_alone(digits: Prepared) -> None:
    now = replace(digits, digest="other")
    both = study_of(families=[replace(family_of(), name=name) for name in ("a", "b", "new")])
    found = refused(both, now, [*stored_on(digits, "a"), *stored_on(now, "b")])
    assert found.keys() == {"a"}
    assert found["a"].startswith("digest of the images was")


def test_other_images_for_all_that_is_stored_refuse_new_families_as_well(digits: Prepared) -> None:
    new = study_of(families=[replace(family_of(), name="new")])
    with pytest.raises(StudyError, match="digest of the images"):
        refused(new, replace(digits, digest="other"), stored_on(digits, "a", "b"))


def test_where_no_family_can_be_continued_the_study_is_refused(digits: Prepared) -> None:
    wider = replace(family_of(space={**SPACE, "lr": Float(0.1, 2.0)}), name="a")
    with pytest.raises(StudyError, match="space of lr in family 'a'"):
        refused(study_of(families=[wider]), digits, stored_on(digits, "a", "b"))


def test_nothing_is_refused_where_nothing_differs(digits: Prepared) -> None:
    assert refused(study_of(), digits, stored(study_of(), digits)) == {}
    assert refused(study_of(), digits, []) == {}


def test_the_same_images_under_another_name_are_taken_with_a_line(digits: Prepared) -> None:
    moved = study_of(data=Data("image_folder:digits", **DATA), families=[family_of(), Family("g", architecture="mlp")])
    before = stored(study_of(families=moved.families), digits)
    line = "images: 'image_folder:digits' is 'digits' in another place, unchanged"
    assert check_comparable(moved, digits, before) == [line]
    with pytest.raises(StudyError, match="data set was 'digits' and is 'image_folder:digits'"):
        check_comparable(moved, replace(digits, split_digest="other"), before)


def test_images_of_which_no_digest_is_known_keep_their_name(digits: Prepared) -> None:
    [family] = stored(study_of(), digits)
    old = replace(family, kept={**family.kept, DATA_RECORD: {"layout": "embedded"}})
    assert check_comparable(study_of(), digits, [old]) == []
    with pytest.raises(StudyError, match="data set was 'digits' and is 'mnist'"):
        check_comparable(study_of(data=Data("mnist", **DATA)), digits, [old])


@pytest.mark.parametrize(
    ("now", "line"),
    [
        ("nets/mine.py:Net", "network: 'nets/mine.py:Net' is 'net.py:Net' in another place, unchanged"),
        ("net.py:Other", None),
        ("nets/other.py:Net", None),
    ],
)
def test_the_same_code_in_another_file_is_taken_with_a_line(
    now: str, line: str | None, digits: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    for name, text in (("net.py", "class Net: ..."), ("nets/mine.py", "class Net: ..."), ("nets/other.py", "")):
        (tmp_path / name).write_text(text)
    own = study_of(families=[family_of(architecture="net.py:Net")])
    [family] = stored(own, digits)
    code = network_code(own.families[0])
    assert code is not None
    begun = SimpleNamespace(state="finished")
    old = replace(family, kept={**family.kept, SOURCE_RECORD: code.as_json()}, trials=cast("Any", (begun,)))
    new = study_of(families=[family_of(architecture=now)])
    if line is not None:
        assert check_comparable(new, digits, [old]) == [line]
        return
    with pytest.raises(StudyError, match=r"architecture in family 'f' was net\.py:Net"):
        check_comparable(new, digits, [old])
