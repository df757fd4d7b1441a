from unicodedata import bidirectional, category
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.sources import MOST_CHARACTERS, OptrackError, csv_text, printable, without_passwords
from optrack.sources.shown_text import masked_address

# What makes parsers of addresses differ, and a few harmless characters; the ends are found nowhere else.
SECRETS = st.text("@:/?#&;=%+ '\"\\*[]aB0ü\t", max_size=12).map(lambda middle: f"Q{middle}Z")
LOGIN = (
    "postgresql://me:{}@host/name",
    "postgresql+psycopg2://me:{}@host:5432/name?sslmode=require",
    "http://me:{}@host",
)
TOKEN = ("https://{}@host/mlflow",)
PARAMETER = (
    "http://host:5000/?token={}",
    "http://host/mlflow?page=2&access_token={}&size=3",
    "postgresql://me@host/name?password={}",
    "postgresql://host/name?sslmode=require&sslpassword={}#part",
    "mysql+pymysql://host/name?ssl_key={}",
    "mssql+pyodbc://host/name?odbc_connect=DRIVER%3Da%3BPWD%3D{}",
    "http://me:Qother@host?pass%77ord={}",
)


def shown(address: str) -> str:
    return masked_address(address, lambda _: "***")


def leaks(text: str, secret: str) -> bool:
    """Whether a secret stands in a text, or one of its ends."""
    return secret in text or "Q" in text or "Z" in text


@pytest.mark.parametrize("form", LOGIN)
@given(secret=SECRETS)
def test_a_password_before_the_host_never_shows_whatever_is_in_it(form: str, secret: str) -> None:
    for typed in (secret, quote(secret), quote_plus(secret)):
        assert not leaks(shown(form.format(typed)), secret)
        assert shown(form.format(typed)).startswith(form.split("{", maxsplit=1)[0])


@pytest.mark.parametrize("form", [*PARAMETER, *TOKEN])
@given(secret=SECRETS)
def test_a_password_or_token_elsewhere_never_shows(form: str, secret: str) -> None:
    raw = [] if "&" in secret or form in TOKEN else [secret]  # an & ends a value for every parser
    for typed in (*raw, quote(secret, safe=""), quote_plus(secret)):
        assert not leaks(shown(form.format(typed)), secret)


@pytest.mark.parametrize("form", [*LOGIN, *PARAMETER, *TOKEN])
@given(secret=SECRETS)
def test_an_address_in_a_sentence_never_shows_its_password(form: str, secret: str) -> None:
    address = form.format(quote(secret, safe=""))
    for sentence in (f"no answer from {address}, gave up", f"({address!r})"):
        assert not leaks(without_passwords(sentence), secret)
        assert not leaks(str(OptrackError(sentence)), secret)


@pytest.mark.parametrize(
    "address",
    [
        *("sqlite:///optuna.db", "sqlite:////home/a:b@c/optuna.db", "postgresql://me@host/name?sslmode=require"),
        *("https://host:5000/#/experiments/1", "databricks", "mlflow-artifacts:/1/2", ""),
        *("https://host/@me", "photos/a=b&c"),
    ],
)
def test_an_address_without_a_secret_is_shown_as_it_is(address: str) -> None:
    assert shown(address) == without_passwords(address) == address


def test_what_is_masked_stays_as_it_is_when_it_is_masked_again() -> None:
    for form in (*LOGIN, *PARAMETER, *TOKEN):
        once = shown(form.format("SECRET"))
        assert shown(once) == once


@given(
    text=st.text(
        st.characters() | st.sampled_from("\x00\t\n\r\x1b\x7f\x85\x9b\u200b\u200e\u202e\u2066\u2028\ufeff\udcff")
    )
)
def test_an_error_of_ours_is_one_line_that_steers_no_terminal_whatever_it_says(text: str) -> None:
    for shown in (printable(text), str(OptrackError(text))):
        shown.encode()  # without surrogates
        assert not [letter for letter in shown if category(letter) in {"Cc", "Cs", "Zl", "Zp"}]
        assert not [letter for letter in shown if bidirectional(letter) in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI"}]


@given(text=st.text("=+-@\t\r\n\x1bab ", max_size=6))
def test_no_cell_of_a_csv_file_is_a_formula(text: str) -> None:
    assert not csv_text(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_what_a_library_says_is_cut_to_what_can_be_read() -> None:
    shown = str(OptrackError(f"first {'x' * 10**6} last"))
    assert len(shown) <= MOST_CHARACTERS
    assert shown.startswith("first x")
    assert shown.endswith("x last")
