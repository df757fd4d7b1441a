"""MLflow's registry: each family's champion under `STUDY.FAMILY`, the study's winner under `STUDY`."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from ..defaults import TRACKING_URI
from ..errors import NothingStoredError, TrackingError, did_you_mean, unknown
from ..stores import all_pages, answers_of, check_tracking, client, fetch, has_records, shown, tagged
from ..stores import mlflow_names as names
from .mlflow_model import USAGE
from .recipe import CONFIGURATION_FILE, Recipe, read_recipe

if TYPE_CHECKING:
    from .champion import Champion

CHAMPION_ALIAS = "champion"
BEST_ALIAS = "best"

# MLflow's codes of errors.
NOT_THERE = "RESOURCE_DOES_NOT_EXIST"
TAKEN = "RESOURCE_ALREADY_EXISTS"
NO_NAME = "INVALID_PARAMETER_VALUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredChampion:
    """A family's champion as it stands in the registry.

    Args:
        version: of the registered model, counted by MLflow.
        run_id: of the MLflow run that trained it.
        best: whether it is the study's winner.
        figures: of the test by name, e.g. "test_accuracy"; empty before it.
    """

    version: str
    run_id: str
    best: bool
    figures: Mapping[str, float]


def model_name(study: str, family: str | None = None) -> str:
    """Return the registered name of a family's champion, or without family of a study's winner.

    >>> model_name("gtsrb", "lenet"), model_name("gtsrb")
    ('gtsrb.lenet', 'gtsrb')
    """
    return study if family is None else f"{study}.{family}"


def register(uri: str, study: str, family: str, run_id: str, *, figures: Mapping[str, float] | None = None) -> str:
    """Make a run's model, its artifact `model/`, the champion of its family; the same run gives the same version.

    The figures are the metrics of its test, e.g. "test/accuracy".

    Raises:
        NothingStoredError: the run is not there, or has no model.
        TrackingError: MLflow does not answer, or the name in the registry belongs to someone else.
    """
    calls = client(uri)
    with answers_of(uri):
        source, recipe = _model_of(calls, uri, run_id)
        tags = {
            names.STUDY_TAG: study,
            names.FAMILY_TAG: family,
            names.TRIAL_TAG: "" if recipe.trial is None else str(recipe.trial),
            names.SEED_TAG: "" if recipe.seed is None else str(recipe.seed),
            names.DATA_DIGEST_TAG: recipe.data.digest or "",
            **_figure_tags(figures or {}),
        }
        name = _opened_model(calls, study, family)
        return _version(calls, name, source, run_id, tags, CHAMPION_ALIAS)


def set_best(uri: str, study: str, family: str) -> str:
    """Make a family's champion the study's winner: return the version of the model `STUDY` with the same artifacts.

    Raises:
        NothingStoredError: the family has no champion.
        TrackingError: as `register`.
    """
    calls = client(uri)
    with answers_of(uri):
        champion = _aliased(calls, uri, study, family)
        name = _opened_model(calls, study, None)
        return _version(calls, name, str(champion.source), str(champion.run_id), dict(champion.tags), BEST_ALIAS)


def update_figures(uri: str, study: str, family: str, run_id: str, figures: Mapping[str, float]) -> None:
    """Note the metrics of a model's test, e.g. "test/accuracy", where it is registered: as champion and as winner.

    Raises:
        TrackingError: MLflow does not answer.
    """
    calls = client(uri)
    with answers_of(uri):
        for name in (model_name(study, family), study):
            _tagged_version(calls, name, run_id, _figure_tags(figures))


def registered(uri: str, study: str) -> dict[str, RegisteredChampion]:
    """Return the champions of a study by family; families that have none are not among them.

    Raises:
        TrackingError: MLflow does not answer.
    """
    check_tracking(uri)
    if not has_records(uri):
        return {}
    calls = client(uri)
    champions: dict[str, RegisteredChampion] = {}
    with answers_of(uri):
        models = {family: model for (owner, family), model in _models(calls, study).items() if owner == study}
        winner = _behind(calls, models.pop(None), BEST_ALIAS) if None in models else None
        for family, model in models.items():
            found = _behind(calls, model, CHAMPION_ALIAS)
            if family is not None and found is not None:
                tags = found.tags.items()
                champions[family] = RegisteredChampion(
                    version=str(found.version),
                    run_id=str(found.run_id),
                    best=winner is not None and winner.run_id == found.run_id,
                    figures={name: float(value) for name, value in tags if name.startswith(f"{names.TEST}_")},
                )
    return champions


def load_champion(
    study: str,
    family: str | None = None,
    *,
    tracking_uri: str = TRACKING_URI,
    run_source: str | None = None,
) -> "Champion":
    """Load a champion from the registry, which alone is needed: neither the study nor its data.

    Args:
        study: name of the study.
        family: name of the family; without it the study's winner.
        tracking_uri: where MLflow's records are.
        run_source: name of the recorded file with a user-defined network, e.g. "my_net.py", which is then run; not
            needed where that file lies in its place, as it was recorded.

    Raises:
        NothingStoredError: no such champion is registered, or its files are gone.
        OwnSourceError: a user-defined network whose code is not at hand and was not asked for.
        StudyError: its files are broken.
        TrackingError: MLflow does not answer.
    """
    from ..training import SOURCE_FOLDER
    from .champion import WEIGHTS_FILE, load_folder

    check_tracking(tracking_uri)
    if not has_records(tracking_uri):
        raise NothingStoredError(
            f"nothing is recorded in {shown(tracking_uri)} yet: `optrack retrain {study}` makes champions"
        )
    calls = client(tracking_uri)
    with answers_of(tracking_uri):
        found = _aliased(calls, tracking_uri, study, family)
        uri = calls.get_model_version_download_uri(found.name, str(found.version))
    what = f"the model {found.name} version {found.version}"
    code = [] if run_source is None else [f"{SOURCE_FOLDER}/{run_source}"]
    with _fetched(what, uri, tracking_uri, (CONFIGURATION_FILE, WEIGHTS_FILE), perhaps=code) as folder:
        return load_folder(folder, run_source=run_source)


@contextmanager
def _fetched(
    what: str, uri: str, tracking_uri: str, names: Iterable[str], *, perhaps: Iterable[str] = ()
) -> Generator[Path]:
    """Have a folder with some files of a model until the block ends; those in `perhaps` need not be there."""
    place = uri.removeprefix("file://")
    if ":/" not in place:
        missing = [name for name in names if not (Path(place) / name).is_file()]
        if missing:
            raise NothingStoredError(f"{what} is gone: there is no {Path(place) / missing[0]}")
        yield Path(place)
        return
    with TemporaryDirectory(prefix="optrack-") as scratch:
        for name in (*names, *perhaps):
            target = Path(scratch) / Path(name).parent
            target.mkdir(parents=True, exist_ok=True)
            if fetch(tracking_uri, uri, name, target) is None and name not in perhaps:
                raise NothingStoredError(f"{what} is gone: there is no {name} in {uri}")
        yield Path(scratch)


def _model_of(calls: MlflowClient, uri: str, run_id: str) -> tuple[str, Recipe]:
    """Return where a run's model lies, and its recipe."""
    from .champion import WEIGHTS_FILE

    try:
        artifacts = str(calls.get_run(run_id).info.artifact_uri)
    except MlflowException as error:
        if error.error_code == NOT_THERE:
            raise NothingStoredError(f"MLflow at {shown(uri)} has no run {run_id}") from None
        raise
    source = f"{artifacts.rstrip('/')}/{names.MODEL_FOLDER}"
    with _fetched(f"the model of run {run_id}", source, uri, (CONFIGURATION_FILE, WEIGHTS_FILE)) as folder:
        return source, read_recipe(folder)


def _opened_model(calls: MlflowClient, study: str, family: str | None) -> str:
    """Return the name of a registered model, made where it is not there.

    It may be someone else's: family `c` of study `a.b` has the same name as family `b.c` of `a`.
    """
    name, what = model_name(study, family), "study's winner" if family is None else "family's champion"
    tags = {names.STUDY_TAG: study} if family is None else {names.STUDY_TAG: study, names.FAMILY_TAG: family}
    try:
        calls.create_registered_model(name, tags, f"The {what}. {USAGE}")
    except MlflowException as error:
        if error.error_code != TAKEN:
            raise
        owner = _owner(calls.get_registered_model(name))
        if owner != (study, family):
            raise TrackingError(
                f"MLflow's registered model {name!r} belongs to {_whose(*owner)}, "
                f"and cannot belong to {_whose(study, family)} too: rename one of them"
            ) from None
    return name


def _whose(study: str | None, family: str | None) -> str:
    if study is None:
        return "someone else"
    return f"study {study!r}" if family is None else f"family {family!r} of study {study!r}"


def _owner(model: RegisteredModel) -> tuple[str | None, str | None]:
    """Return study and family that a registered model was made for; None where it is not one of ours."""
    tags = cast("dict[str, str]", model.tags)
    return tags.get(names.STUDY_TAG), tags.get(names.FAMILY_TAG)


def _models(calls: MlflowClient, study: str | None) -> dict[tuple[str, str | None], RegisteredModel]:
    """Return the models of a study, or of all, by study and family, a study's winner under family None."""
    query = None if study is None else tagged(names.STUDY_TAG, study)
    owned = [(*_owner(model), model) for model in all_pages(calls.search_registered_models, query)]
    return {(owner, family): model for owner, family, model in owned if owner is not None}


def _aliased(calls: MlflowClient, uri: str, study: str, family: str | None) -> ModelVersion:
    """Return the version behind a family's or a study's alias, or say what is there instead."""
    name = model_name(study, family)
    try:
        model = calls.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in {NOT_THERE, NO_NAME}:
            raise
        model = None
    if model is None or _owner(model) != (study, family):
        raise NothingStoredError(f"MLflow at {shown(uri)}: {_not_registered(study, family, _models(calls, None))}")
    alias = BEST_ALIAS if family is None else CHAMPION_ALIAS
    found = _behind(calls, model, alias)
    if found is None:
        raise NothingStoredError(
            f"MLflow at {shown(uri)}: registered model {name!r} has no alias {alias!r}, which marks the version to take"
        )
    return found


def _not_registered(study: str, family: str | None, known: Iterable[tuple[str, str | None]]) -> str:
    families = sorted(name for owner, name in known if owner == study and name is not None)
    if families and family is not None:
        return unknown("champion", family, families)
    if families:
        return f"study {study!r} has no best champion yet, only those of {', '.join(families)}"
    studies = sorted({owner for owner, _ in known})
    others = f"; there are those of {', '.join(studies)}" if studies else ""
    return (
        f"study {study!r} has no registered champion yet{did_you_mean(study, studies)}: `optrack retrain {study}` "
        f"makes them{others}"
    )


def _behind(calls: MlflowClient, model: RegisteredModel, alias: str) -> ModelVersion | None:
    """Return the version that an alias points at; None without one."""
    aliases = cast("dict[str, str]", model.aliases)
    return calls.get_model_version(f"{model.name}", aliases[alias]) if alias in aliases else None


def _version(calls: MlflowClient, name: str, source: str, run_id: str, tags: Mapping[str, str], alias: str) -> str:
    """Return the version of a registered model that came from a run, made where there is none, with tags and alias."""
    found = _tagged_version(calls, name, run_id, tags)
    if found is None:
        found = str(calls.create_model_version(name, source, run_id, tags=dict(tags), description=USAGE).version)
    calls.set_registered_model_alias(name, alias, found)
    return found


def _tagged_version(calls: MlflowClient, name: str, run_id: str, tags: Mapping[str, str]) -> str | None:
    """Set tags of the version of a registered model that came from a run, and return it; None where there is none."""
    for found in calls.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")[:1]:
        for key, value in tags.items():
            calls.set_model_version_tag(name, str(found.version), key, value)
        return str(found.version)
    return None


def _figure_tags(figures: Mapping[str, float]) -> dict[str, str]:
    return {name.replace("/", "_"): repr(float(value)) for name, value in figures.items()}
