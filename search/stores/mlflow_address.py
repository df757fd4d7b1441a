"""Where MLflow keeps its records: whether an address can be used, how it is shown, and MLflow's errors as ours."""

import http.client
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ..errors import TrackingError
from .databases import connection_problem, first_line

# How long an MLflow server may take to say that it is there.
SERVER_SECONDS = 10.0


def check_address(uri: str) -> None:
    """Whether MLflow can keep its records there; writes nothing.

    Raises:
        TrackingError: no tracking URI, a folder that is missing, a file that is no database or somebody else's, no
            driver, no server, or the remains of MLflow's old file store.
    """
    scheme = uri.split(":", 1)[0]
    if scheme == "databricks":
        return
    if scheme in {"http", "https"}:
        _check_mlflow_server(uri)
        return
    try:
        parsed = sqlalchemy.make_url(uri)
    except SQLAlchemyError:
        raise TrackingError(
            f"--tracking-uri must be a database URL such as sqlite:///mlflow.db or an MLflow server's, but got {uri!r}"
        ) from None
    if parsed.get_backend_name() not in {"sqlite", "postgresql", "mysql", "mssql"}:
        raise TrackingError(
            f"--tracking-uri must begin with sqlite, postgresql, mysql, mssql, http or https, but got {shown(uri)!r}"
        )
    if parsed.get_backend_name() != "sqlite":
        problem = connection_problem(uri)
        if problem is not None:
            raise TrackingError(f"tracking URI {shown(uri)} cannot be opened: {problem}")
    elif parsed.database in (None, "", ":memory:"):
        raise TrackingError(f"tracking URI {uri} must name a file: a database in memory keeps nothing")
    else:
        _check_sqlite(uri, Path(parsed.database).absolute())


def is_there(uri: str) -> bool:
    """Whether there can be something to read; MLflow would make a database where there is none.

    Raises:
        TrackingError: as `check_address`.
    """
    check_address(uri)
    if not uri.startswith("sqlite"):
        return True
    path = Path(sqlalchemy.make_url(uri).database or "")
    return path.exists() and path.stat().st_size > 0


def shown(uri: str) -> str:
    """A tracking URI without its password, for messages."""
    try:
        return sqlalchemy.make_url(uri).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return uri


def _check_mlflow_server(uri: str) -> None:
    """MLflow's client would try for minutes before it says that nobody is there."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SERVER_SECONDS):  # noqa: S310 - http or https
            pass
    except urllib.error.HTTPError:
        return  # somebody answers; whether it lets us in, the client will say
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(f"MLflow at {shown(uri)} does not answer: {reason}") from None


def _check_sqlite(uri: str, path: Path) -> None:
    if path.is_dir():
        raise TrackingError(f"tracking URI {uri}: {path} is a folder")
    if not path.parent.is_dir():
        raise TrackingError(f"tracking URI {uri}: there is no folder {path.parent}")
    if path.exists() and path.stat().st_size:
        _check_tables(uri, path)
    if any((path.parent / "mlruns").glob("*/meta.yaml")):
        raise TrackingError(
            f"{path.parent / 'mlruns'} holds an old MLflow file store, beside which MLflow refuses to work: "
            "move it away, or convert it with `mlflow migrate-filestore`"
        )


def _check_tables(uri: str, path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise TrackingError(f"tracking URI {uri} cannot be opened: {error}") from None
    if tables and not {"experiments", "runs"} <= tables:
        raise TrackingError(f"tracking URI {uri}: {path.name} is a database, but not one of MLflow's")


@contextmanager
def answers_of(uri: str) -> Generator[None]:
    """Inside, MLflow's errors are ours."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"MLflow at {shown(uri)} does not answer: {first_line(error)}") from error
