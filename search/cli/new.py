"""`optrack new`: survey a folder of images, and write a study on it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import JsonOption
from .output import console, print_json
from .process import print_next
from .tables import print_table

if TYPE_CHECKING:
    from ..new_study import Findings, NewStudy, Target

CLASSES_SHOWN = 20


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write, such as my_study.py.")],
    *,
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="Images in DIR/CLASS/*, or in DIR/train/CLASS/* (and val/, test/).")
    ],
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Regular expression searched in CLASS/FILE; images with the same first group are not split up. "
            "Default: what the names suggest.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a folder of images, and write a study that fits it; nothing is overwritten.

    Where no images are set aside for tests, a fifth is: DIR/optrack-test.txt lists them, and no study will search with
    them.
    """
    say = console(stderr=True)
    with say.status("looking at the images"):
        from ..new_study import Target, check_target, look, plan_study, rough_duration, write_study

        target = Target(file=file, images=images)
        check_target(target)
        findings = look(images, groups)
    with say.status("measuring what a step costs"):
        planned = plan_study(findings, target)
    write_study(planned, findings, target)
    if as_json:
        print_json(_as_json(planned, findings, target))
    else:
        _print(planned, findings, target)
    for sentence in (*findings.doubts, *([planned.missing] if planned.missing else [])):
        say.print(f"note: {sentence}", markup=False, soft_wrap=True)
    print_next([(target.run_command, f"search, about {rough_duration(planned.estimate.run_seconds)}")])


def _print(planned: "NewStudy", findings: "Findings", target: "Target") -> None:
    """Print what was found, and what was written."""
    survey, parts = findings.survey, findings.parts
    rows = [[name, *(f"{counts[name]:,}" for counts in parts.values())] for name in survey.classes[:CLASSES_SHOWN]]
    if len(survey.classes) > CLASSES_SHOWN:
        rows.append([f"and {len(survey.classes) - CLASSES_SHOWN} more", *("" for _ in parts)])
    rows.append(["all classes", *(f"{findings.images(part):,}" for part in parts)])
    print_table(["class", *(f"{part}#" for part in parts)], rows, title=f"Found in {target.images}")
    print_table(["", ""], [[what, value] for what, value in _facts(findings, target).items()])
    rows = [
        [family.name, family.architecture, "ImageNet" if family.options.get("pretrained") else "from scratch"]
        for family in planned.study.families
    ]
    print_table(["family", "network", "weights"], rows, title=f"Written to {target.file}")
    print_table(["", ""], [[what, value] for what, value in _plan(planned).items()])


def _facts(findings: "Findings", target: "Target") -> dict[str, str]:
    from ...datasets.folders import TEST_LIST
    from ..new_study import size_range

    survey, groups = findings.survey, findings.survey.groups
    searched = survey.images("train", "validation")
    total = survey.images() if findings.to_list is not None else searched
    looked_at = "" if survey.looked_at == total else f" (of {survey.looked_at:,} that were looked at, of {total:,})"
    suggested = groups is not None and findings.group_pattern == groups.pattern
    reason = f": {groups.groups:,}, as the names suggest ({groups.reason})" if groups and suggested else ""
    where = str(target.images / ("test" if survey.sealed == "folder" else TEST_LIST))
    kept = "found in" if findings.to_list is None else "now listed in"
    return {
        "pixels (W x H)": size_range(survey) + looked_at,
        "colour": "grey" if survey.grey else "coloured",
        "groups": f"{findings.group_pattern}{reason}" if findings.group_pattern else "none",
        "test images": f"{survey.images('test'):,}, {kept} {where}",
    }


def _plan(planned: "NewStudy") -> dict[str, str]:
    from ..new_study import rough_duration

    estimate, budget, side = planned.estimate, planned.study.budget, planned.study.data.image_size
    trials = f"{budget.trials} trials of each family, of {budget.epochs} epochs at most, {estimate.workers} at a time"
    return {
        "image size": f"{side} x {side}",
        "search": f"{trials}: about {rough_duration(estimate.run_seconds)} here",
        "retraining": f"at most {rough_duration(estimate.retrain_seconds)} more",
    }


def _as_json(planned: "NewStudy", findings: "Findings", target: "Target") -> dict[str, Any]:
    from ...datasets.folders import TEST_LIST

    survey, study = findings.survey, planned.study
    return {
        "study": study.name,
        "file": str(target.file),
        "images": {
            "folder": str(target.images),
            "classes": list(survey.classes),
            "parts": {
                part: {"images": findings.images(part), "per_class": dict(counts)}
                for part, counts in findings.parts.items()
            },
            "sizes": {"smallest": survey.smallest, "median": survey.median, "largest": survey.largest},
            "grey": survey.grey,
            "looked_at": survey.looked_at,
        },
        "groups": None
        if findings.group_pattern is None
        else {"pattern": findings.group_pattern, "suggested": asdict(survey.groups) if survey.groups else None},
        "test_list": str(target.images / TEST_LIST) if survey.sealed == "list" else None,
        "test_list_written": findings.to_list is not None,
        "families": [
            {
                "family": family.name,
                "architecture": family.architecture,
                "pretrained": bool(family.options.get("pretrained")),
            }
            for family in study.families
        ],
        "missing_weights": planned.missing,
        "image_size": study.data.image_size,
        "estimate": asdict(planned.estimate),
        "notes": list(findings.doubts),
    }
