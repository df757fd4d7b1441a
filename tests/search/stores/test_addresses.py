import json
import re
import shutil
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from optrack.search import StorageError, TrackingError
from optrack.search.stores.addresses import (
    check_storage,
    check_tracking,
    check_writable,
    first_line,
    has_records,
    make_state_folder,
    readable,
    shown,
    sqlite_path,
)
from optrack.search.stores.mlflow_store import client
from optrack.search.stores.optuna_store import open_storage, read_storage

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def uri(tmp_path: Path, empty_mlflow: Path) -> str:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ("missing/optuna.db", "there is no folder"),
        ("folder", "is a folder"),
        ("text.db", "file is not a database"),
        ("foreign.db", "foreign.db is a database, but not one of Optuna's"),
    ],
)
def test_a_sqlite_file_that_cannot_be_used_is_refused_and_nothing_is_written(
    database: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("no database, but long enough to have a header of sixteen bytes\n" * 9)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.execute("INSERT INTO songs VALUES ('Yesterday')")
        connection.commit()
    before = contents(tmp_path)
    address = f"sqlite:///{tmp_path / database}"
    for use in (check_storage, open_storage, read_storage):
        with pytest.raises(StorageError) as raised:
            use(address)
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("optuna.db", "--storage must be a database URL such as sqlite:///optuna.db"),
        ("sqlite://", "must name a file: a database in memory"),
        ("sqlite:///:memory:", "must name a file: a database in memory"),
        ("", "--storage must be a database URL"),
        ("postgresql://user:SECRET@host:port/name", "--storage must be a database URL"),
        ("postgres//user:SECRET@host/name", "--storage must be a database URL"),
        ("postgres//user:SE:C/R@ECRET@host/name", "--storage must be a database URL"),
        ("nosuch://user:SECRET@host/name", "cannot be opened"),
        ("postgresql+nosuch://user:SECRET@host/name", "cannot be opened"),
        ("oracle://user:SECRET@host/name", "its driver is not installed"),
    ],
)
def test_an_address_of_no_database_is_refused_without_its_password(
    address: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError) as raised:
        check_storage(address)
    assert message in str(raised.value)
    assert "SECRET" not in str(raised.value)
    assert "ECRET" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("postgresql://user:SECRET@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:SECRET@host:port/name", "postgresql://user:***@host:port/name"),
        ("https://user:SECRET@host/mlflow", "https://user:***@host/mlflow"),
        ("sqlite:///optuna.db", "sqlite:///optuna.db"),
        ("databricks", "databricks"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, text: str) -> None:
    assert shown(address) == text


SAID = (
    "nonnumeric port: {!r}",
    "Could not connect to {}: refused",
    "URL can't contain control characters. {!r} (found at least ' ')",
)


@pytest.mark.parametrize("form", ["http://me:{}@host:5000", "postgresql://me:{}@host/name", "http://host?token={}"])
@given(secret=st.text("@:/?#;%+ '\"\\aB0ü\t", max_size=12).map(lambda middle: f"Qqq{middle}Zzz"))
def test_what_a_library_says_about_an_address_never_shows_its_password(form: str, secret: str) -> None:
    for typed in (secret, quote(secret, safe=""), quote_plus(secret)):
        address = form.format(typed)
        told = {address, unquote(address), secret, typed, quote(secret), re.split("[/?#]", address.split("//")[1])[0]}
        for text in (said.format(each) for said in SAID for each in told):
            line = first_line(text, address)
            assert "Qqq" not in line
            assert "Zzz" not in line


def test_a_password_that_is_the_name_of_something_leaves_messages_readable() -> None:
    url = "postgresql://postgres:postgres@host/name"
    assert first_line('no user "postgres"', url) == 'no user "postgres"'


@pytest.mark.parametrize("password", ["SEC/RET", "SECRET", "S ECRET", "SEC#RET", "S%2FECRET", "SE?CRET"])
def test_a_server_that_does_not_answer_is_named_without_its_password(password: str) -> None:
    with pytest.raises(TrackingError) as raised:
        check_tracking(f"http://me:{password}@127.0.0.1:1")
    assert "http://me:***@127.0.0.1:1 does not answer" in str(raised.value)
    assert not re.search("SEC|CRET|RET", str(raised.value))


def test_the_file_of_a_sqlite_address_is_absolute_and_other_databases_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path("sqlite:///optuna.db") == tmp_path / "optuna.db"
    assert sqlite_path(f"sqlite:///{tmp_path}/a b/ö.db") == tmp_path / "a b" / "ö.db"
    assert sqlite_path("postgresql://host/name") is None


def test_a_good_address_of_a_storage_is_checked_without_writing(tmp_path: Path) -> None:
    check_storage(f"sqlite:///{tmp_path / 'new.db'}")
    assert contents(tmp_path) == {}
    (tmp_path / "empty.db").touch()
    check_storage(f"sqlite:///{tmp_path / 'empty.db'}")
    assert contents(tmp_path) == {str(tmp_path / "empty.db"): b""}


def test_while_another_process_creates_a_storage_one_of_its_tables_is_enough(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER)")
        connection.commit()
    check_storage(f"sqlite:///{tmp_path}/optuna.db")


def test_a_database_that_was_looked_at_is_closed_again(uri: str, tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/optuna.db").engine.dispose()
    for check, address in ((check_tracking, uri), (check_storage, f"sqlite:///{tmp_path}/optuna.db")):
        check(address)
    assert not {path.resolve() for path in Path("/proc/self/fd").glob("*")} & set(tmp_path.glob("*.db"))


def test_a_missing_or_empty_file_has_no_records_and_a_server_may_have_some(uri: str, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    found = [has_records(f"sqlite:///{tmp_path}/{name}") for name in ("missing.db", "empty.db", "mlflow.db")]
    assert found == [False, False, True]
    assert has_records("postgresql://host/name")
    assert not (tmp_path / "missing.db").exists()


def test_what_may_only_be_read_is_read_from_a_copy_with_all_that_stands_in_its_log(
    tmp_path: Path, only_read: Callable[[Path], None]
) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "mounted/optuna.db")
    (tmp_path / "mounted").mkdir()
    with closing(sqlite3.connect(tmp_path / "mounted/optuna.db")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE studies (study_id)")
        writer.commit()
        addresses = [f"sqlite:///{path}" for path in (tmp_path / "mounted/optuna.db", link)]
        assert [readable(url) for url in addresses] == addresses
        only_read(tmp_path / "mounted")
        before = contents(tmp_path / "mounted")
        for url in addresses:
            copy = sqlite_path(readable(url))
            assert copy is not None
            assert not copy.is_relative_to(tmp_path)
            assert readable(url) == f"sqlite:///{copy}"
            with closing(sqlite3.connect(copy)) as reader:
                assert reader.execute("SELECT name FROM sqlite_master").fetchall() == [("studies",)]
            check_storage(url)
        assert contents(tmp_path / "mounted") == before


def test_what_may_only_be_read_is_not_written(tmp_path: Path, only_read: Callable[[Path], None]) -> None:
    only_read(tmp_path)
    for url in (f"sqlite:///{tmp_path}/new.db", f"sqlite:///{tmp_path}/mlflow.db"):
        with pytest.raises(StorageError, match=r"new.db may only be read here|mlflow.db may only be read here"):
            check_writable(url)
    check_writable("postgresql://host/name")


def test_a_folder_for_locks_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_read: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".optrack").touch()
    with pytest.raises(StorageError, match=r"the folder .*/\.optrack cannot be made: File exists"):
        make_state_folder("postgresql://host/name")
    (tmp_path / ".optrack").unlink()
    only_read(tmp_path)
    with pytest.raises(StorageError, match=r"the folder .*/\.optrack may only be read"):
        make_state_folder("postgresql://host/name")


def test_locks_and_weights_lie_beside_a_sqlite_file_or_else_in_the_current_folder(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_state_folder(url) == tmp_path / ".optrack"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert make_state_folder("postgresql://host/name") == elsewhere / ".optrack"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mlflow.db", "--tracking-uri must be a database URL such as sqlite:///mlflow.db"),
        ("", "--tracking-uri must be a database URL"),
        ("file:./mlruns", "--tracking-uri must be a database URL"),
        ("postgresql://me:SECRET@host:port/name", "--tracking-uri must be a database URL"),
        ("file:///mlruns", "--tracking-uri must begin with sqlite, postgresql"),
        ("oracle://me:SECRET@host/name", "--tracking-uri must begin with sqlite, postgresql"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///FOLDER/missing/mlflow.db", "there is no folder FOLDER/missing"),
        ("sqlite:///FOLDER/empty", "FOLDER/empty is a folder"),
        ("sqlite:///FOLDER/text.db", "file is not a database"),
        ("sqlite:///FOLDER/foreign.db", "foreign.db is a database, but not one of MLflow's"),
        ("sqlite:///FOLDER/old/mlflow.db", "FOLDER/old/mlruns holds an old MLflow file store"),
        ("mysql+nosuch://me:SECRET@host/name", "cannot be opened"),
    ],
)
def test_a_tracking_uri_that_cannot_be_used_is_refused_and_nothing_is_written(
    address: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.db").write_text("no database, though it is longer than the header of one\n" * 3)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.execute("CREATE TABLE experiments (title TEXT)")
        connection.commit()
    (tmp_path / "old/mlruns/0").mkdir(parents=True)
    (tmp_path / "old/mlruns/0/meta.yaml").write_text("name: Default\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TrackingError) as caught:
        check_tracking(address.replace("FOLDER", str(tmp_path)))
    assert message.replace("FOLDER", str(tmp_path)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_tracking_uris_that_can_be_used_are_accepted_and_nothing_is_written(uri: str, tmp_path: Path) -> None:
    before = (tmp_path / "mlflow.db").read_bytes()
    check_tracking(uri)
    check_tracking(f"sqlite:///{tmp_path}/new.db")
    (tmp_path / "void.db").touch()
    check_tracking(f"sqlite:///{tmp_path}/void.db")
    check_tracking("databricks")
    assert (tmp_path / "mlflow.db").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "void.db"}


class Guarded(BaseHTTPRequestHandler):
    """A server that lets in who knows the password, and knows no experiment."""

    def do_GET(self) -> None:
        authorized = self.headers["Authorization"] in {"Basic bWU6cGFzcw==", "Bearer token"}  # me:pass
        self.send_response(404 if authorized else 401)
        self.end_headers()
        code = "RESOURCE_DOES_NOT_EXIST" if authorized else "UNAUTHENTICATED"
        self.wfile.write(json.dumps({"error_code": code, "message": "no"}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@contextmanager
def served(context: ssl.SSLContext | None = None) -> Generator[str]:
    """Run the server; host and port."""
    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine that nobody has signed, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


LOGINS: dict[str, tuple[str, dict[str, str]]] = {
    "in the address": ("me:pass@", {}),
    "in variables": ("", {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pass"}),
    "a token": ("", {"MLFLOW_TRACKING_TOKEN": "token"}),
}


@pytest.mark.parametrize(("login", "variables"), LOGINS.values(), ids=LOGINS)
def test_a_server_that_mlflows_client_reaches_is_accepted(
    login: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with served() as host:
        check_tracking(f"http://{login}{host}")
        assert client(f"http://{login}{host}").get_experiment_by_name("tiny") is None


def test_a_server_with_a_certificate_of_its_own_is_accepted_as_mlflows_client_accepts_it(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with served(context) as host:
        address = f"https://me:pass@{host}"
        with pytest.raises(TrackingError, match=r"does not answer: .*certificate verify failed") as raised:
            check_tracking(address)
        assert "pass@" not in str(raised.value)
        with monkeypatch.context() as patched:
            patched.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
            check_tracking(address)
            assert client(address).get_experiment_by_name("tiny") is None
        monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
        check_tracking(address)


def test_a_server_that_lets_us_in_later_is_accepted() -> None:
    with served() as host:
        check_tracking(f"http://{host}")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_answer_is_refused(scheme: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(TrackingError) as raised:
        check_tracking(f"{scheme}://me:pass@{address}")
    shown_address = f"{scheme}://me:***@{address}"
    assert str(raised.value) == f"MLflow at {shown_address} does not answer: [Errno 111] Connection refused"
