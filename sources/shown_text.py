"""Text that comes from outside (names, addresses, what libraries say), made fit to be shown: without passwords."""

import re
from collections.abc import Callable
from urllib.parse import unquote

_URL = re.compile(r"[A-Za-z][\w+.-]*://\S+")
_PARAMETER = re.compile(r"([?&;#])([^=&;?#]*)=([^&]*)")
_SECRET_NAME = re.compile(r"pass|pwd|token|secret|key|credential|auth|signature", re.IGNORECASE)
_SECRET_WITHIN = re.compile(r"(pass|pwd|token|secret)[^=]*=", re.IGNORECASE)  # as in ODBC's connection strings
_STARS = "***"


def without_passwords(text: str) -> str:
    """Return a text with the passwords and tokens of all addresses in it masked.

    >>> without_passwords("no answer from http://me:a@b/c@host:5000/x?token=d&page=2, gave up")
    'no answer from http://me:***@host:5000/x?token=***&page=2, gave up'
    """
    return _URL.sub(lambda match: masked_address(match[0], lambda _: _STARS), text)


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
