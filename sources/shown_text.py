"""Text from outside, made fit to be shown: names without control characters, addresses without passwords."""

import re
from collections.abc import Callable
from urllib.parse import unquote

# C0 and C1; marks that turn the direction of writing or cannot be seen; line separators; bytes that were no UTF-8.
# Joiners are let through, as emoji and several scripts need them.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_FORMULA = tuple("=+-@\t\r")
_URL = re.compile(r"[\w+.-]{1,30}://\S+")  # bounded, as an open end takes the square of a long word's time
_PARAMETER = re.compile(r"([?&;#])([^=&;?#]*)=([^&]*)")
_SECRET_NAME = re.compile(r"pass|pwd|token|secret|key|credential|auth|signature", re.IGNORECASE)
_SECRET_WITHIN = re.compile(r"(pass|pwd|token|secret)[^=]{0,30}=", re.IGNORECASE)  # as in ODBC's connection strings
_STARS = "***"


def printable(text: str) -> str:
    r"""Return a text with its control characters as escapes, so that it can neither steer a terminal nor fake a line.

    >>> printable("bees\x1b[2J\n\u202egnp.exe")
    'bees\\x1b[2J\\n\\u202egnp.exe'
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def csv_text(text: str) -> str:
    """Return a text for a cell of a CSV file, which spreadsheets take for a formula after certain characters.

    >>> csv_text("=1+1"), csv_text("bees")
    ("'=1+1", 'bees')
    """
    return printable(f"'{text}" if text.startswith(_FORMULA) else text)


def without_passwords(text: str) -> str:
    """Return a text with the passwords and tokens of all addresses in it masked.

    >>> without_passwords("no answer from http://me:a@b/c@host:5000/x?token=d&page=2, gave up")
    'no answer from http://me:***@host:5000/x?token=***&page=2, gave up'
    """
    return _URL.sub(lambda match: masked_address(match[0], lambda _: _STARS), text)


def fit(text: str, most: int) -> str:
    r"""Return a text of any origin in at most so many characters (its end is kept, too), without passwords.

    Its lines stay, but for control characters other than their ends.

    >>> fit("what a library\x07 says about a long list", 28)
    'what a library\\x07 s…ng list'
    """
    lines = without_passwords(text).split("\n")
    whole = "\n".join(map(printable, lines))
    return whole if len(whole) <= most else f"{whole[: most - most // 4 - 1]}…{whole[-(most // 4) :]}"


def masked_address(address: str, mask: Callable[[str], str]) -> str:
    """Return an address with each password or token in it replaced by what `mask` makes of it.

    What may stand in a password decides: in doubt more is masked, as in `http://host/a:b@c`.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:  # "me:PASSWORD@host", a scheme forgotten
        login, at, place = address.rpartition("@")
        user, colon, password = login.partition(":")
        return f"{user}:{mask(password)}@{place}" if at and colon else address

    def parameter(match: re.Match[str]) -> str:
        delimiter, name, value = match.groups()
        return f"{delimiter}{name}={mask(value)}" if _is_secret(match) else match[0]

    start = next((match.start() for match in _PARAMETER.finditer(rest) if _is_secret(match)), len(rest))
    place, parameters = rest[:start], _PARAMETER.sub(parameter, rest[start:])
    login, at, host = place.rpartition("@")
    if at and not login.startswith("/"):  # a file's path is no login
        user, colon, password = login.partition(":")
        if colon:
            login = f"{user}:{mask(password)}"
        elif scheme.startswith("http") and "/" not in login:  # a token in place of a name
            login = mask(login)
    return f"{scheme}://{login}{at}{host}{parameters}"


def _is_secret(parameter: re.Match[str]) -> bool:
    return bool(_SECRET_NAME.search(unquote(parameter[2])) or _SECRET_WITHIN.search(unquote(parameter[3])))
