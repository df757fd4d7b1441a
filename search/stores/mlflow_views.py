"""What MLflow's UI shows about a study besides its runs: descriptions, and tables with the columns that matter.

By default its table of runs shows neither metrics nor parameters.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..study import Family, Study
from . import mlflow_names as names
from .mlflow_names import tagged

# MLflow rejects longer values of an experiment's tags, and nobody reads a wider table.
NOTE_LIMIT = 20_000
COLUMN_LIMIT = 40

TRIALS_VIEW = "trials"
FAMILIES_VIEW = "families"
MODELS_VIEW = "models"


def experiment_tags(study: Study, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that describe a study's experiment to MLflow's UI; the images are as `data_record` has them."""
    note = _study_note(study, data)[:NOTE_LIMIT]
    return {
        names.KIND_TAG: "custom_model_development",
        names.NOTE_TAG: note,
        names.OWN_NOTE_TAG: note_digest(note),
        names.STUDY_TAG: study.name,
        **_views(study),
    }


def note_digest(note: str) -> str:
    """Return a digest by which a note of ours is told from one that people have changed."""
    return hashlib.sha256(note.encode()).hexdigest()[:16]


def _views(study: Study) -> dict[str, str]:
    """Return MLflow's shared views: tables of runs with the columns that matter, the best run first."""
    hyperparameters = dict.fromkeys(name for family in study.families for name in family.space)
    best = f"metrics.`{names.BEST}/{study.metric}`"
    trial_columns = [
        "attributes.`Duration`",
        best,
        f"metrics.`{names.BEST}/epoch`",
        *(f"params.`{name}`" for name in list(hyperparameters)[:COLUMN_LIMIT]),
        f"tags.`{names.STATE_TAG}`",
        f"tags.`{names.APART_TAG}`",
    ]
    common: dict[str, object] = {
        "orderByKey": best,
        "orderByAsc": not study.objective.maximize,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
    }
    family_columns = ["attributes.`Duration`", best, "params.`architecture`", f"tags.`{names.STATE_TAG}`"]
    model_columns = [
        "attributes.`Duration`",
        *(f"metrics.`{names.TEST}/{name}`" for name in ("accuracy", "loss", "calibration_error", "latency_ms")),
        *(f"tags.`optrack.{name}`" for name in ("family", "trial", "number", "state", "test_openings")),
    ]
    views: dict[str, dict[str, object]] = {
        TRIALS_VIEW: {"selectedColumns": trial_columns, "searchFilter": tagged(names.STAGE_TAG, names.SEARCH_STAGE)},
        FAMILIES_VIEW: {"selectedColumns": family_columns, "searchFilter": tagged(names.STAGE_TAG, names.FAMILY_STAGE)},
        MODELS_VIEW: {
            "selectedColumns": model_columns,
            "searchFilter": tagged(names.STAGE_TAG, names.RETRAIN_STAGE),
            "orderByKey": f"metrics.`{names.TEST}/accuracy`",
            "orderByAsc": False,
        },
    }
    return {f"{names.VIEW_TAG_PREFIX}{key}": json.dumps({**common, **view}) for key, view in views.items()}


def _study_note(study: Study, data: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, data.get("input_shape", ())))
    images = f" ({shape}, {len(data['classes'])} classes, digest `{data['digest'][:12]}`)" if shape else ""
    families = "\n".join(
        f"- **{family.name}**: `{family.architecture}`, {_searched(family)}" for family in study.families
    )
    return (
        f"# {study.name}\n\n"
        f"Search on **{data.get('name', study.data.name)}**{images}, by best `{study.metric}` on the "
        f"validation images.\n\n{families}\n\n"
        "One run per family, its trials nested in it. The tag `optrack.state` tells finished, pruned, failed and "
        "interrupted trials apart, which wait to go on; `optrack.apart` says why a trial is not compared with the "
        "others; a family's best weights and configuration are artifacts of its run. Models that were retrained on all "
        "images have the tag `optrack.stage` = `retrain`, and what the test said of them; the study's report is an "
        "artifact of the run `report`.\n"
    )


def family_note(study: Study, family: Family) -> str:
    """Return the description of a family's run."""
    fixed = ", ".join(f"{name} = {value}" for name, value in family.options.items()) or "nothing"
    return (
        f"Family **{family.name}** of study **{study.name}**: architecture `{family.architecture}`, "
        f"{_searched(family)}. Fixed: {fixed}."
    )


def _searched(family: Family) -> str:
    return "searched in " + (", ".join(f"`{name}`" for name in family.space) or "nothing")
