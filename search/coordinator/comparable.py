"""Whether a study can be continued: stored and new trials must be measured in the same way."""

from collections.abc import Sequence

from ...datasets import Prepared
from ..errors import StudyError
from ..stores import DATA_RECORD, SOURCE_RECORD, StoredFamily
from ..study import Family, Study
from ..training import network_code


def check_comparable(study: Study, data: Prepared, stored: Sequence[StoredFamily]) -> None:
    """Check that new trials of the study can be compared with the stored ones.

    Budget, sampler, pruner, seed and start configurations may change, and families may be added.

    Raises:
        StudyError: a difference makes results incomparable; the message names it.
    """
    families = {family.name: family for family in study.families}
    for old in stored:
        differences = _data_differences(study, data, old)
        if old.name in families:
            differences += _family_differences(families[old.name], old)
        if differences:
            raise StudyError(
                f"study {study.name!r} has stored trials that cannot be compared with new ones: {differences[0]} "
                "(rename the study, or give another --storage)"
            )


def _data_differences(study: Study, data: Prepared, old: StoredFamily) -> list[str]:
    before, now = old.study.data, study.data
    compared: dict[str, tuple[object, object]] = {
        "metric": (old.study.metric, study.metric),
        "data set": (before.name, now.name),
        **{
            name: (getattr(before, name), getattr(now, name))
            for name in ("image_size", "validation", "group_pattern", "split_seed")
        },
    }
    stored_data = old.kept.get(DATA_RECORD, {})
    for name, digest in (("digest", data.digest), ("split digest", data.split_digest)):
        compared[f"{name} of the images"] = (stored_data.get(name.replace(" ", "_"), digest), digest)
    return [f"{name} was {was!r} and is {value!r}" for name, (was, value) in compared.items() if was != value]


def _family_differences(family: Family, old: StoredFamily) -> list[str]:
    before = old.family
    pairs = {
        "architecture": (before.architecture, family.architecture),
        "options": (before.options, family.options),
        **{
            f"space of {name}": (before.space.get(name), family.space.get(name))
            for name in dict.fromkeys([*before.space, *family.space])
        },
        "source": _sources(family, old),
    }
    return [
        f"{name} in family {family.name!r} was {was} and is {now}" for name, (was, now) in pairs.items() if was != now
    ]


def _sources(family: Family, old: StoredFamily) -> tuple[str | None, str | None]:
    """Return the code of a user-defined network, then and now; it may be fixed while all of its trials have failed."""
    code = network_code(family)
    now = code and f"{code.file} with SHA-256 {code.digest[:12]}"
    recorded = old.kept.get(SOURCE_RECORD)
    if recorded is None or not old.is_begun:
        return now, now
    return f"{recorded['file']} with SHA-256 {recorded['sha256'][:12]}", now
