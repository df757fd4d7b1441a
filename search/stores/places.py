"""Where things lie: both stores, the data sets and the cache of decoded images."""

from dataclasses import dataclass, replace
from pathlib import Path

from ...architectures import is_own_architecture
from ...datasets import DataRequest, Prepared, Progress, locate, prepare
from ...sources import SourceError, read_source
from ..errors import StorageError
from ..study import Family, Study
from .addresses import check_storage, check_tracking, check_writable, shown, sqlite_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things lie.

    Args:
        storage: URL of Optuna's storage.
        tracking_uri: of MLflow.
        data_dir: where to look for data sets that are not built in.
        cache_dir: where decoded images are kept.
    """

    storage: str
    tracking_uri: str
    data_dir: Path
    cache_dir: Path


def check_places(places: Places, *, mlflow_answers: bool = True) -> None:
    """Check that both stores can be opened or created; write nothing. A search need not wait for MLflow to answer.

    Raises:
        StorageError: something is wrong with the storage, one of them may only be read here, or both are one: their
            versions of tables have one name.
        TrackingError: something is wrong with the tracking URI.
    """
    check_storage(places.storage)
    check_tracking(places.tracking_uri, answers=mlflow_answers)
    for address in (places.storage, places.tracking_uri):
        check_writable(address)
    same = places.storage == places.tracking_uri
    if places.tracking_uri.startswith("sqlite"):
        same = sqlite_path(places.storage) == sqlite_path(places.tracking_uri)
    if same:
        raise StorageError(f"--storage and --tracking-uri must be two databases, but both are {shown(places.storage)}")


def relocated(study: Study, file: Study | None, places: Places) -> Study:
    """Return a stored study with what is not in its place any more where the study's file looks for it.

    That concerns images and user-defined networks; whether they are the same, their digests tell.

    Args:
        study: as it is stored.
        file: as its file is by now; None where there is none.
        places: where data sets lie.
    """
    if file is None:
        return study
    if file.data.name != study.data.name and locate(study.data.name, places.data_dir) is None:
        study = replace(study, data=replace(study.data, name=file.data.name))
    networks = {family.name: family.architecture for family in file.families}
    families = [
        replace(family, architecture=networks.get(family.name, family.architecture)) if _has_left(family) else family
        for family in study.families
    ]
    return replace(study, families=families)


def _has_left(family: Family) -> bool:
    """Whether a user-defined network is not where it was."""
    if not is_own_architecture(family.architecture):
        return False
    try:
        read_source(family.architecture)
    except SourceError:
        return True
    return False


def prepared_data(study: Study, places: Places, progress: Progress | None) -> Prepared:
    """Return the images of a study, decoded into the cache unless they are there.

    Raises:
        DataError: the data set cannot be prepared.
        SourceError: the code of a user-defined data set is missing, or does not run.
    """
    return prepare(data_request(study, places), progress)


def data_request(study: Study, places: Places) -> DataRequest:
    """Return what a study wants of its data set."""
    data = study.data
    return DataRequest(
        data.name,
        data_dir=places.data_dir,
        cache_dir=places.cache_dir,
        image_size=data.image_size,
        validation=data.validation,
        split_seed=data.split_seed,
        group_pattern=data.group_pattern,
    )
