"""MLflow's registry: each family's champion under `STUDY.FAMILY`, the study's winner under `STUDY`."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode

from ..errors import NothingStoredError, TrackingError, unknown
from ..stores.addresses import check_tracking, has_records, shown
from ..stores.mlflow_address import answers_of
from .mlflow_model import USAGE, quiet_mlflow
from .recipe import CONFIGURATION_FILE, Recipe, read_recipe

if TYPE_CHECKING:
    from .champion import Champion

ARTIFACT_FOLDER = "model"
"""Where a retrained model lies among the artifacts of its run."""

CHAMPION_ALIAS = "champion"
BEST_ALIAS = "best"

STUDY_TAG = "optrack.study"
FAMILY_TAG = "optrack.family"

NOT_THERE = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
TAKEN = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredChampion:
    """A family's champion as it stands in the registry.

    Args:
        name: of the registered model.
        version: of it, counted by MLflow.
        run_id: of the MLflow run that trained it.
        study: name of the study.
        family: name of the family.
        best: whether it is the study's winner.
        figures: of the test, by name; empty before it.
        tags: all that is noted with it, as text.
    """

    name: str
    version: str
    run_id: str
    study: str
    family: str
    best: bool
    figures: Mapping[str, float]
    tags: Mapping[str, str]


def model_name(study: str, family: str | None = None) -> str:
    """What a family's champion, or without family a study's winner, is called in the registry.

    >>> model_name("gtsrb", "lenet"), model_name("gtsrb")
    ('gtsrb.lenet', 'gtsrb')
    """
    return study if family is None else f"{study}.{family}"


def register(
    uri: str, study: str, family: str, run_id: str, *, figures: Mapping[str, float] | None = None, best: bool = False
) -> str:
    """Make a run's model the champion of its family; the same run again gives the same version.

    Args:
        uri: MLflow's tracking URI.
        study: name of the study.
        family: name of the family.
        run_id: of the retrained model, with the folder `model/` among its artifacts.
        figures: of the test by name, e.g. "test_accuracy".
        best: whether it is the study's winner too.

    Returns:
        The version in the registry.

    Raises:
        NothingStoredError: the run is not there, or has no model.
        TrackingError: MLflow does not answer, or the name in the registry belongs to somebody else.
    """
    client = _client(uri)
    with answers_of(uri):
        source, recipe = _model_of(client, uri, run_id)
        tags = {
            STUDY_TAG: study,
            FAMILY_TAG: family,
            "optrack.trial": "" if recipe.trial is None else str(recipe.trial),
            "optrack.seed": "" if recipe.seed is None else str(recipe.seed),
            "optrack.data_digest": recipe.data.digest or "",
            **_as_tags(figures or {}),
        }
        name = _opened_model(client, study, family)
        found = _version(client, name, source, run_id, tags)
        client.set_registered_model_alias(name, CHAMPION_ALIAS, found)
    if best:
        set_best(uri, study, family)
    return found


def set_best(uri: str, study: str, family: str) -> str:
    """Make a family's champion the study's winner: a version of the model `STUDY` with the same artifacts.

    Returns:
        The version of that model.

    Raises:
        NothingStoredError: the family has no champion.
        TrackingError: as `register`.
    """
    client = _client(uri)
    with answers_of(uri):
        champion = _aliased(client, uri, study, family)
        name = _opened_model(client, study, None)
        found = _version(client, name, str(champion.source), str(champion.run_id), _tags_of(champion))
        client.set_registered_model_alias(name, BEST_ALIAS, found)
    return found


def update_figures(uri: str, study: str, family: str, figures: Mapping[str, float]) -> None:
    """Note a champion's figures, once it has been tested, also where it stands as the study's winner.

    Args:
        uri: MLflow's tracking URI.
        study: name of the study.
        family: name of the family.
        figures: by name, e.g. "test_accuracy".

    Raises:
        NothingStoredError: the family has no champion.
        TrackingError: MLflow does not answer.
    """
    client = _client(uri)
    with answers_of(uri):
        champion = _aliased(client, uri, study, family)
        for name in (champion.name, study):
            known = _version_of_run(client, name, str(champion.run_id))
            if known is not None:
                _set_tags(client, name, known, _as_tags(figures))


def registered(uri: str, study: str) -> dict[str, RegisteredChampion]:
    """The champions of a study by family; families that have none are not among them.

    Raises:
        TrackingError: MLflow does not answer.
    """
    check_tracking(uri)
    if not has_records(uri):
        return {}
    client = _client(uri)
    with answers_of(uri):
        models = {family: model for (owner, family), model in _models(client).items() if owner == study}
        winner = _behind(client, models[None], BEST_ALIAS) if None in models else None
        champions: dict[str, RegisteredChampion] = {}
        for family, model in models.items():
            found = _behind(client, model, CHAMPION_ALIAS)
            if family is not None and found is not None:
                best = winner is not None and winner.run_id == found.run_id
                champions[family] = _as_value(found, study, family, best=best)
    return champions


def load_champion(
    study: str,
    family: str | None = None,
    *,
    tracking_uri: str = "sqlite:///mlflow.db",
    run_source: str | None = None,
) -> "Champion":
    """A champion out of the registry, which alone is needed: neither the study nor its data.

    Args:
        study: name of the study.
        family: name of the family; without it the study's winner.
        tracking_uri: where MLflow's records are.
        run_source: the name of the recorded file with somebody's own network, e.g. "my_net.py", which is then run. It
            is not needed where that file is in its place, as it was recorded.

    Raises:
        NothingStoredError: no such champion is registered, or its files are gone.
        OwnSourceError: somebody's own network, whose code is not at hand and was not asked for.
        StudyError: its files are broken.
        TrackingError: MLflow does not answer.
    """
    from ..training.own_code import SOURCE_FOLDER
    from .champion import WEIGHTS_FILE, load_folder

    check_tracking(tracking_uri)
    if not has_records(tracking_uri):
        raise NothingStoredError(
            f"nothing is recorded in {shown(tracking_uri)} yet: `optrack retrain {study}` makes champions"
        )
    client = _client(tracking_uri)
    with answers_of(tracking_uri):
        found = _aliased(client, tracking_uri, study, family)
        uri = client.get_model_version_download_uri(found.name, str(found.version))
    what = f"the model {found.name} version {found.version}"
    code = [] if run_source is None else [f"{SOURCE_FOLDER}/{run_source}"]
    with _fetched(what, uri, tracking_uri, (CONFIGURATION_FILE, WEIGHTS_FILE), perhaps=code) as folder:
        return load_folder(folder, run_source=run_source)


@contextmanager
def _fetched(
    what: str, uri: str, tracking_uri: str, names: Iterable[str], *, perhaps: Iterable[str] = ()
) -> Generator[Path]:
    """A folder with some files of a model until the block ends; they are downloaded where they lie elsewhere.

    Those of `perhaps` need not be there.

    Raises:
        NothingStoredError: one is not there.
    """
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
            try:
                download_artifacts(artifact_uri=f"{uri}/{name}", dst_path=str(target), tracking_uri=tracking_uri)
            except (MlflowException, OSError) as error:
                if name in perhaps:
                    continue
                reason = str(error).strip().splitlines()[0]
                raise NothingStoredError(f"{what} is gone: {name} cannot be had from {uri} ({reason})") from None
        yield Path(scratch)


def _client(uri: str) -> MlflowClient:
    check_tracking(uri)
    quiet_mlflow()
    with answers_of(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _model_of(client: MlflowClient, uri: str, run_id: str) -> tuple[str, Recipe]:
    """Return where a run's model lies, and its recipe."""
    from .champion import WEIGHTS_FILE

    try:
        artifacts = str(client.get_run(run_id).info.artifact_uri)
    except MlflowException as error:
        if error.error_code == NOT_THERE:
            raise NothingStoredError(f"MLflow at {shown(uri)} has no run {run_id}") from None
        raise
    source = f"{artifacts.rstrip('/')}/{ARTIFACT_FOLDER}"
    with _fetched(f"the model of run {run_id}", source, uri, (CONFIGURATION_FILE, WEIGHTS_FILE)) as folder:
        return source, read_recipe(folder)


def _opened_model(client: MlflowClient, study: str, family: str | None) -> str:
    """The name of a registered model, made when it is not there.

    Raises:
        TrackingError: it is somebody else's; family `c` of study `a.b` has the same name as family `b.c` of `a`.
    """
    name, what = model_name(study, family), "study's winner" if family is None else "family's champion"
    tags = {STUDY_TAG: study} if family is None else {STUDY_TAG: study, FAMILY_TAG: family}
    try:
        client.create_registered_model(name, tags, f"The {what}. {USAGE}")
    except MlflowException as error:
        if error.error_code != TAKEN:
            raise
    found = client.get_registered_model(name)
    if _owner(found) != (study, family):
        raise TrackingError(
            f"MLflow's registered model {name!r} belongs to {_whose(*_owner(found))}, "
            f"and cannot belong to {_whose(study, family)} too: rename one of them"
        )
    return name


def _whose(study: str | None, family: str | None) -> str:
    if study is None:
        return "somebody else"
    return f"study {study!r}" if family is None else f"family {family!r} of study {study!r}"


def _owner(model: RegisteredModel) -> tuple[str | None, str | None]:
    """Study and family that a registered model was made for; None where it was not made by us."""
    tags = cast("dict[str, str]", model.tags)
    return tags.get(STUDY_TAG), tags.get(FAMILY_TAG)


def _models(client: MlflowClient) -> dict[tuple[str, str | None], RegisteredModel]:
    """All registered models of ours by study and family, a study's winner under family None."""
    found: dict[tuple[str, str | None], RegisteredModel] = {}
    token: str | None = None
    while True:
        page: Any = client.search_registered_models(page_token=token)
        for model in page:
            study, family = _owner(model)
            if study is not None:
                found[study, family] = model
        token = page.token
        if not token:
            return found


def _aliased(client: MlflowClient, uri: str, study: str, family: str | None) -> ModelVersion:
    """The version behind a family's or a study's alias, or a message that says what is there instead."""
    models = _models(client)
    if (study, family) not in models:
        raise NothingStoredError(f"MLflow at {shown(uri)}: {_not_registered(study, family, list(models))}")
    alias = BEST_ALIAS if family is None else CHAMPION_ALIAS
    found = _behind(client, models[study, family], alias)
    if found is None:
        name = model_name(study, family)
        raise NothingStoredError(
            f"MLflow at {shown(uri)}: registered model {name!r} has no alias {alias!r}, which marks the version to take"
        )
    return found


def _not_registered(study: str, family: str | None, known: list[tuple[str, str | None]]) -> str:
    families = sorted(name for owner, name in known if owner == study and name is not None)
    if families and family is not None:
        return unknown("champion", family, families)
    if families:
        return f"study {study!r} has no best champion yet, only those of {', '.join(families)}"
    studies = sorted({owner for owner, _ in known})
    if studies and study not in studies:
        return f"no champion is registered: {unknown('study', study, studies)}"
    return f"study {study!r} has no registered champion yet: `optrack retrain {study}` makes them"


def _behind(client: MlflowClient, model: RegisteredModel, alias: str) -> ModelVersion | None:
    """The version that an alias points at; None without one."""
    aliases = cast("dict[str, str]", model.aliases)
    return client.get_model_version(f"{model.name}", aliases[alias]) if alias in aliases else None


def _version(client: MlflowClient, name: str, source: str, run_id: str, tags: Mapping[str, str]) -> str:
    """The version of a registered model that came from a run, made when there is none; its tags are these."""
    known = _version_of_run(client, name, run_id)
    if known is None:
        made = client.create_model_version(name, source, run_id, tags=dict(tags), description=USAGE)
        return str(made.version)
    _set_tags(client, name, known, tags)
    return known


def _version_of_run(client: MlflowClient, name: str, run_id: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return str(found[0].version) if found else None


def _set_tags(client: MlflowClient, name: str, number: str, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        client.set_model_version_tag(name, number, key, value)


def _as_tags(figures: Mapping[str, float]) -> dict[str, str]:
    return {name: repr(float(value)) for name, value in figures.items()}


def _tags_of(found: ModelVersion) -> dict[str, str]:
    return dict(found.tags)


def _as_value(found: ModelVersion, study: str, family: str, *, best: bool) -> RegisteredChampion:
    tags = _tags_of(found)
    return RegisteredChampion(
        name=found.name,
        version=str(found.version),
        run_id=str(found.run_id),
        study=study,
        family=family,
        best=best,
        figures={name: float(value) for name, value in tags.items() if name.startswith("test_")},
        tags=tags,
    )
