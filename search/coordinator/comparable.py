"""Whether families can be continued: stored and new trials must be measured in the same way."""

from collections.abc import Mapping, Sequence

from ...datasets import Prepared
from ..errors import StudyError
from ..stores import DATA_RECORD, SOURCE_RECORD, StoredFamily
from ..study import Family, Study
from ..training import OwnCode, network_code


def check_comparable(study: Study, data: Prepared, stored: Sequence[StoredFamily]) -> list[str]:
    """Check that new trials of the study can be compared with the stored ones.

    Budget, sampler, pruner, seed and start configurations may change, and families may be added. So may the place of
    the images and of a user-defined network's file, while their digests stay.

    Returns:
        A line for users about each that is in another place.

    Raises:
        StudyError: a difference makes results incomparable; the message names it.
    """
    for difference in differences(study, data, stored).values():
        raise _incomparable(study, difference)
    return relocations(study, stored)


def refused(study: Study, data: Prepared, stored: Sequence[StoredFamily]) -> Mapping[str, str]:
    """Return why families cannot be continued, by name; the others can.

    Args:
        study: with the families that are to be searched.
        data: its images.
        stored: all families of the study that are stored, to be searched or not.

    Raises:
        StudyError: none can be continued, or the images are other ones for all that is stored.
    """
    found = differences(study, data, stored)
    for difference in found.values():
        on_other_images = all(_data_differences(study, data, old) for old in stored)
        if on_other_images or all(family.name in found for family in study.families):
            raise _incomparable(study, difference)
    return {family.name: found[family.name] for family in study.families if family.name in found}


def differences(study: Study, data: Prepared, stored: Sequence[StoredFamily]) -> dict[str, str]:
    """Return what makes new trials of families incomparable with their stored ones, by family."""
    families = {family.name: family for family in study.families}
    found: dict[str, str] = {}
    for old in stored:
        of_family = _data_differences(study, data, old)
        if old.name in families:
            of_family += _family_differences(families[old.name], old)
        if of_family:
            found[old.name] = of_family[0]
    return found


def relocations(study: Study, stored: Sequence[StoredFamily]) -> list[str]:
    """Return a line for users about each of the images and networks of comparable families that is in another place."""
    networks = {family.name: family.architecture for family in study.families}
    moved: list[tuple[str, str, str]] = []
    for old in stored:
        moved.append(("images", old.study.data.name, study.data.name))
        if old.name in networks:
            moved.append(("network", old.family.architecture, networks[old.name]))
    lines = [f"{what}: {now!r} is {was!r} in another place, unchanged" for what, was, now in moved if was != now]
    return list(dict.fromkeys(lines))


def _incomparable(study: Study, difference: str) -> StudyError:
    return StudyError(
        f"study {study.name!r} has stored trials that cannot be compared with new ones: {difference} "
        "(rename the study, or give another --storage)"
    )


def _data_differences(study: Study, data: Prepared, old: StoredFamily) -> list[str]:
    before, now = old.study.data, study.data
    stored_data = old.kept.get(DATA_RECORD, {})
    is_same = (stored_data.get("digest"), stored_data.get("split_digest")) == (data.digest, data.split_digest)
    compared: dict[str, tuple[object, object]] = {
        "metric": (old.study.metric, study.metric),
        **({} if is_same else {"data set": (before.name, now.name)}),
        **{
            name: (getattr(before, name), getattr(now, name))
            for name in ("image_size", "validation", "group_pattern", "split_seed")
        },
    }
    for name, digest in (("digest", data.digest), ("split digest", data.split_digest)):
        compared[f"{name} of the images"] = (stored_data.get(name.replace(" ", "_"), digest), digest)
    return [f"{name} was {was!r} and is {value!r}" for name, (was, value) in compared.items() if was != value]


def _family_differences(family: Family, old: StoredFamily) -> list[str]:
    before, code, recorded = old.family, network_code(family), old.kept.get(SOURCE_RECORD)
    is_same_code = (
        code is not None
        and recorded is not None
        and code.digest == recorded["sha256"]
        and _class_of(before) == _class_of(family)
    )
    pairs = {
        **({} if is_same_code else {"architecture": (before.architecture, family.architecture)}),
        "options": (before.options, family.options),
        **{
            f"space of {name}": (before.space.get(name), family.space.get(name))
            for name in dict.fromkeys([*before.space, *family.space])
        },
        **({} if is_same_code else {"source": _sources(code, old)}),
    }
    return [
        f"{name} in family {family.name!r} was {was} and is {now}" for name, (was, now) in pairs.items() if was != now
    ]


def _class_of(family: Family) -> str:
    """Return the class of a user-defined network."""
    return family.architecture.rpartition(":")[2]


def _sources(code: OwnCode | None, old: StoredFamily) -> tuple[str | None, str | None]:
    """Return the code of a user-defined network, then and now; it may be fixed while all of its trials have failed."""
    now = code and f"{code.file} with SHA-256 {code.digest[:12]}"
    recorded = old.kept.get(SOURCE_RECORD)
    if recorded is None or not old.is_begun:
        return now, now
    return f"{recorded['file']} with SHA-256 {recorded['sha256'][:12]}", now
