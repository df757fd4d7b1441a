"""What was searched, and where the figures come from."""

from ..results import StudyResults
from ..study import Budget, Data, Pruner, Sampler
from ..text import METRIC_NAMES, count, duration, listing, plural, setting_texts

Fact = tuple[str, str]
"""A name and what is to be said."""

STRATEGIES = {
    "tpe": "tree-structured Parzen estimator",
    "gp": "Gaussian process",
    "cmaes": "CMA evolution strategy",
    "qmc": "scrambled Sobol sequence",
    "random": "random search",
    "grid": "every configuration once",
    "asha": "successive halving",
    "successive_halving": "successive halving",
    "hyperband": "Hyperband",
    "median": "stops a trial below the median of the others",
    "wilcoxon": "Wilcoxon signed-rank test against the best trial",
    "none": "no trial is stopped early",
}
"""What the names of samplers and pruners stand for."""


def facts(results: StudyResults) -> list[Fact]:
    """Return what was searched: data, budget and families."""
    study = results.study
    tests = [test for family in results.families for test in family.tests]
    best = "highest" if study.objective.maximize else "lowest"
    return [
        ("Data set", study.data.name),
        *([("Classes", _classes(tests[0].classes))] if tests else []),
        ("Images", _images(study.data)),
        ("Validation", _validation(study.data)),
        *([("Test", f"{plural(len(tests[0].labels), 'image')}, sealed until the test")] if tests else []),
        ("Metric", f"{METRIC_NAMES[study.metric]} in a trial's best epoch; the {best} wins"),
        ("Budget", _budget(study.budget)),
        *_apart(results),
        ("Sampler", _strategy(study.sampler)),
        ("Pruner", _strategy(study.pruner)),
        ("Families", _families(results)),
    ]


def provenance(results: StudyResults) -> list[Fact]:
    """Return where the figures come from, so that they can be reproduced."""
    seeds = [
        f"{family.name}: {', '.join(str(model.run.seed) for model in family.models)}"
        for family in results.families
        if family.models
    ]
    test_digests = sorted({test.digest for family in results.families for test in family.tests})
    return [
        ("Digest of the images", results.data.get("digest", "not known yet")),
        ("Digest of the split", results.data.get("split_digest", "not known yet")),
        *([("Digest of the test part", listing(test_digests))] if test_digests else []),
        ("Layout of the files", results.data.get("layout", "not known yet")),
        ("Seed of the study", str(results.study.seed)),
        ("Seed of the split", str(results.study.data.split_seed)),
        ("Seeds of the retrained models", "; ".join(seeds) or "none yet"),
        ("Git commit", results.git_commit or "none: the study was not run in a git repository"),
        ("Optuna's storage", results.storage),
        ("MLflow's records", results.tracking_uri),
    ]


def days(results: StudyResults) -> str:
    """Return when the search was, in words; empty where no trial has begun."""
    trials = [trial for family in results.families for trial in family.stored.trials]
    times = [time for trial in trials for time in (trial.started, trial.ended) if time is not None]
    if not times:
        return ""
    first, last = f"{min(times):%Y-%m-%d}", f"{max(times):%Y-%m-%d}"
    return f"on {first}" if first == last else f"from {first} to {last}"


def _classes(names: tuple[str, ...]) -> str:
    shown = 12
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{count(len(names))}: {', '.join(names[:shown])}{more}"


def _images(data: Data) -> str:
    if data.image_size is None:
        return "at the data set's own size"
    return f"resized to {data.image_size} x {data.image_size} pixels"


def _validation(data: Data) -> str:
    groups = (
        f"; files for which {data.group_pattern!r} finds the same are kept on one side" if data.group_pattern else ""
    )
    return (
        f"{100 * data.validation:g} % of the training part, held out by class with seed {data.split_seed}{groups}; "
        "a validation part that the data set brings along takes its place"
    )


def _budget(budget: Budget) -> str:
    limits = [
        f"{plural(budget.trials, 'trial')} per family",
        f"up to {plural(budget.epochs, 'epoch')} each",
        *([f"{plural(budget.total_epochs, 'epoch')} per family in all"] if budget.total_epochs else []),
        *([f"a trial ends after {plural(budget.patience, 'epoch')} without improvement"] if budget.patience else []),
        *([f"{duration(budget.timeout_seconds)} for one run"] if budget.timeout_seconds else []),
    ]
    return ", ".join(limits)


def _apart(results: StudyResults) -> list[Fact]:
    """Say which trials the page leaves out; nothing where it has all."""
    texts = [f"{family.name}: {family.stored.apart_text}" for family in results.families if family.stored.apart]
    why = "not on this page, as a schedule of another length makes another curve"
    return [("Kept apart", f"{'; '.join(texts)}; {why}")] if texts else []


def _strategy(chosen: Sampler | Pruner) -> str:
    options = ", ".join(setting_texts(chosen.options))
    words = f": {STRATEGIES[chosen.name]}" if chosen.name in STRATEGIES else ""
    return f"{chosen.name}{words}{f' ({options})' if options else ''}"


def _families(results: StudyResults) -> str:
    stored = {family.name for family in results.families}
    architectures = {family.name: family.architecture for family in results.study.families}
    texts = [
        f"{name} ({architecture}){'' if name in stored else ', not begun yet'}"
        for name, architecture in architectures.items()
    ]
    older = [f"{family.name} (not in the last run)" for family in results.families if family.name not in architectures]
    return ", ".join([*texts, *older])
