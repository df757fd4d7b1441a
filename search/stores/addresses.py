"""Addresses of both stores: check one without writing to it, show it without its password, find what lies beside it."""

import atexit
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import sqlalchemy
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from ...sources import chain_of, fit, masked_address
from ..errors import MlflowAwayError, StorageError, TrackingError, UnknownHostError
from ..waiting import waited_for

# How long an MLflow server may take to answer.
SERVER_SECONDS = 10.0

# How long a connection to a SQLite file waits while another one writes; a dashboard's read takes milliseconds.
BUSY_SECONDS = 60.0

# What SQLite says of a file that another process writes.
LOCKED = "locked"

COLUMNS = (
    "SELECT t.name || '.' || c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"
)

MOST_CHARACTERS = 500
"""Of what a library says."""

_SHORTEST_PART = 3  # of a password, that is masked on its own

SERVER_SCHEMES = {"http", "https", "databricks"}

TRACKING_DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}


def check_storage(url: str) -> None:
    """Check that Optuna's storage can be opened or created there; write nothing.

    Raises:
        StorageError: not a URL, a missing folder, a file that is not a database or not Optuna's, no driver, no server.
    """
    parsed = _parsed(url)
    if parsed is None:
        raise StorageError(
            "--storage must be a database URL such as sqlite:///optuna.db or postgresql://host/name, but got "
            f"{shown(url)!r}"
        )
    problem = _problem(url, parsed, "Optuna", {"studies.study_id", "trials.trial_id", "version_info.version_info_id"})
    if problem is not None:
        raise StorageError(f"storage {shown(url)}{problem}")


def check_tracking(uri: str, *, answers: bool = True) -> None:
    """Check that MLflow can keep its records there, and that a server answers unless it need not; write nothing.

    Raises:
        TrackingError: not a tracking URI, a missing folder, a file that is not a database or not MLflow's, no driver,
            no server, or the remains of MLflow's old file store.
    """
    waited_for(lambda: _check_tracking(uri, answers=answers), name=mlflow_at(uri))


def mlflow_at(uri: str) -> str:
    """Return what MLflow at an address is called in messages.

    >>> mlflow_at("http://me:secret@host")
    'MLflow at http://me:***@host'
    """
    return f"MLflow at {shown(uri)}"


def _check_tracking(uri: str, *, answers: bool) -> None:
    scheme = uri.split(":", 1)[0]
    if scheme == "databricks":
        return
    if scheme in SERVER_SCHEMES:
        if answers:
            _check_mlflow_server(uri)
        return
    parsed = _parsed(uri)
    if parsed is None:
        raise TrackingError(
            "--tracking-uri must be a database URL such as sqlite:///mlflow.db or an MLflow server's, but got "
            f"{shown(uri)!r}"
        )
    if parsed.get_backend_name() not in TRACKING_DATABASES:
        raise TrackingError(
            f"--tracking-uri must begin with sqlite, postgresql, mysql, mssql, http or https, but got {shown(uri)!r}"
        )
    if not answers and database_server(uri) is not None:
        return
    problem = _problem(uri, parsed, "MLflow", {"experiments.experiment_id", "runs.run_uuid"})
    if problem is not None:
        is_locked = sqlite_path(uri) is not None and LOCKED in problem
        raise (MlflowAwayError if is_locked else TrackingError)(f"tracking URI {shown(uri)}{problem}")
    path = sqlite_path(uri)
    if path is not None and any((path.parent / "mlruns").glob("*/meta.yaml")):
        raise TrackingError(
            f"{path.parent / 'mlruns'} holds an old MLflow file store, beside which MLflow refuses to work: "
            "move it away, or convert it with `mlflow migrate-filestore`"
        )


def has_records(url: str) -> bool:
    """Return whether there can be something to read: not in a SQLite file that is missing or empty."""
    path = sqlite_path(url)
    return path is None or (path.exists() and path.stat().st_size > 0)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite URL, absolute; None for other databases and servers."""
    parsed = _parsed(url)
    if parsed is None or parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(parsed.database).absolute()


def is_read_only(url: str) -> bool:
    """Return whether an address is that of a SQLite file that may only be read: it, its folder or its file system."""
    path = sqlite_path(url)
    places = [] if path is None else [path.resolve(), path.resolve().parent]
    return not all(os.access(place, os.W_OK) for place in places if place.exists())


def check_writable(url: str) -> None:
    """Check that nothing forbids to write to a SQLite file, or to create it.

    Raises:
        StorageError: it may only be read.
    """
    if is_read_only(url):
        raise StorageError(
            f"{shown(url)} may only be read here, and this command writes to it: status, best, importance, report, "
            "predict, serve and export do not"
        )


def readable(url: str) -> str:
    """Return the address to read from: of a copy that ends with this process, where a SQLite file may only be read.

    A database with a write-ahead log cannot be opened in a folder that SQLite cannot write to, as it keeps an index
    there; `immutable=1` opens it without what still stands in the log.

    Raises:
        StorageError: there is no room for the copy.
    """
    path = sqlite_path(url)
    if path is None or not path.exists() or not is_read_only(url):
        return url
    return sqlalchemy.make_url(url).set(database=str(_copy(path))).render_as_string(hide_password=False)


@cache
def _copy(path: Path) -> Path:
    """Copy a SQLite file with what was written to it and is not in it yet."""
    folder, real = Path(tempfile.mkdtemp(prefix="optrack-")), path.resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        for suffix in ("", "-wal", "-journal"):
            source = real.with_name(f"{real.name}{suffix}")
            if source.exists():
                shutil.copyfile(source, folder / source.name)
    except OSError as error:
        raise StorageError(
            f"{path} may only be read here, and cannot be copied to {folder}: {error.strerror}"
        ) from None
    return folder / real.name


def database_server(url: str) -> str | None:
    """Return the kind of a database server, such as "postgresql"; None for a SQLite file and for what is no database.

    >>> database_server("mysql+pymysql://host/name")
    'mysql'
    """
    parsed = _parsed(url)
    kind = "sqlite" if parsed is None else parsed.get_backend_name()
    return None if kind == "sqlite" else kind.replace("mariadb", "mysql")


def shown(url: str) -> str:
    """Return an address without passwords and tokens, for messages.

    >>> shown("postgresql://me:a/b@host/name?sslmode=require&sslpassword=c"), shown("https://host?token=d")
    ('postgresql://me:***@host/name?sslmode=require&sslpassword=***', 'https://host?token=***')
    """
    return masked_address(url, lambda _: "***")


def make_state_folder(url: str) -> Path:
    """Make the folder for locks and unfinished weights: `.optrack/` beside a SQLite file or in the current folder.

    It lies beside the file itself, where the address leads to it through a link.

    Raises:
        StorageError: nothing can be written there.
    """
    path = sqlite_path(url)
    folder = (path.resolve().parent if path else Path.cwd()) / ".optrack"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise StorageError(f"the folder {folder} may only be read, and this command writes to it")
    return folder


def first_line(error: object, *urls: str) -> str:
    """Return what an exception says, without what its library adds below and without secrets of addresses.

    Libraries repeat an address as a whole, or what they have taken out of it, decoded or cut at a special character.
    """
    line = str(error).strip().split("\n")[0]
    for secret in sorted({secret for url in urls for secret in _secrets(url)}, key=len, reverse=True):
        line = line.replace(secret, "***")
    return fit(line, MOST_CHARACTERS)


def _secrets(url: str) -> Iterator[str]:
    """Yield the passwords and tokens of an address in all forms but those that stand in what is shown anyway."""
    raw: list[str] = []

    def collected(secret: str) -> str:
        raw.append(secret)
        return ""

    public = masked_address(url, collected)
    for secret in raw:
        plain = {secret, unquote(secret), unquote_plus(secret)}
        forms = plain | {
            encode(each, safe=safe) for each in plain for encode in (quote, quote_plus) for safe in ("", "/")
        }
        parts = {part for form in forms for part in re.split(r"[/?#@:&;\s]", form) if len(part) >= _SHORTEST_PART}
        for form in forms | parts:
            yield from (each for each in (form, repr(form)[1:-1]) if each and each not in public)


def _parsed(url: str) -> sqlalchemy.URL | None:
    try:
        return sqlalchemy.make_url(url)
    except (SQLAlchemyError, ValueError):  # a port that is not a number is a ValueError
        return None


def _server_problem(url: str, parsed: sqlalchemy.URL) -> str | None:
    """Return why a database server does not let us in, to be read after its address; None where it does."""
    try:
        engine = sqlalchemy.create_engine(parsed)
        with engine.connect():
            pass
        engine.dispose()
    except ImportError as error:
        return f" cannot be opened: its driver is not installed ({error})"
    except (SQLAlchemyError, ValueError) as error:
        return f" cannot be opened: {first_line(error, url)}"
    return None


def _problem(url: str, parsed: sqlalchemy.URL, library: str, known: set[str]) -> str | None:
    """Return what is wrong with a library's database, to be read after its address; None where it can be used.

    The known columns tell it from another one; one of them is there even in a database that is half created.
    """
    if parsed.get_backend_name() != "sqlite":
        return _server_problem(url, parsed)
    path = sqlite_path(url)
    if path is None:
        return " must name a file: a database in memory keeps nothing"
    if path.is_dir():
        return f": {path} is a folder"
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    columns: set[str] = set()
    try:
        if has_records(url):
            # Not read-only: what a killed process left in the middle of a write must be rolled back first.
            file = sqlite_path(readable(url)) or path
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
                columns = {row[0] for row in connection.execute(COLUMNS)}
    except sqlite3.Error as error:
        return f" cannot be opened: {error}"
    is_another = columns and not columns & known
    return f": {path.name} is a database, but not one of {library}'s" if is_another else None


def _check_mlflow_server(uri: str) -> None:
    """Ask the server for its health, as MLflow's client would: that one tries for minutes before it gives up."""
    import requests

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"true", "1"}
    verify = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not insecure
    try:
        with warnings.catch_warnings(), requests.Session() as session:
            warnings.simplefilter("ignore")  # that a certificate is not verified, as its user wants it
            session.cert = os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH")
            # Whatever it answers, it is there; whether it lets us in, the client will say.
            session.get(f"{uri.rstrip('/')}/health", timeout=SERVER_SECONDS, verify=verify, stream=True).close()
    except (OSError, ValueError) as error:
        raise away_error(uri, error)(f"{mlflow_at(uri)} does not answer: {reason_of(error, uri)}") from None


def away_error(uri: str, error: BaseException) -> type[TrackingError]:
    """Return our error for one that came from MLflow or on the way to it: whether what failed may work later."""
    from requests import exceptions

    chain = chain_of(error)
    if sqlite_path(uri) is not None:
        is_away = any(isinstance(each, sqlite3.OperationalError) and LOCKED in str(each) for each in chain)
    elif uri.split(":", 1)[0] not in SERVER_SCHEMES:
        is_away = any(is_connection_lost(each) for each in chain)
    elif any(isinstance(each, socket.gaierror) for each in chain):
        return UnknownHostError
    else:
        wrong = (exceptions.SSLError, exceptions.InvalidURL)
        # The last two come where an answer breaks off, and where a server says that it cannot answer now.
        away = (ConnectionError, TimeoutError, exceptions.ConnectionError, exceptions.Timeout)
        away += (exceptions.ChunkedEncodingError, exceptions.RetryError)
        is_away = any(isinstance(each, away) for each in chain) and not any(isinstance(each, wrong) for each in chain)
    return MlflowAwayError if is_away else TrackingError


def reason_of(error: BaseException, uri: str) -> str:
    """Return in a line why MLflow does not answer: what the network said, below three layers of libraries."""
    return first_line(chain_of(error)[-1], uri)


def is_connection_lost(error: BaseException) -> bool:
    """Whether an error says that a database server is away, and not that something is wrong with a statement."""
    is_invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    return is_invalidated or isinstance(error, OperationalError | InterfaceError)
