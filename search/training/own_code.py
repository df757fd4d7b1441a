"""The code of people's own networks and data sets, as it is recorded beside what came out of it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ...architectures import is_own_architecture
from ...datasets import is_own_dataset
from ...sources import read_source
from ..study.study import Family, Study

SOURCE_FOLDER = "source"
"""Where code lies among artifacts, and in a champion's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCode:
    """A file of somebody's own code.

    Args:
        reference: how the study names what is in it, e.g. `my_net.py:MyNet`.
        file: its name.
        content: all of it.
    """

    reference: str
    file: str
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        return sha256(self.content).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """What is recorded of it."""
        return {"file": self.file, "sha256": self.digest}


def network_code(family: Family) -> OwnCode | None:
    """The code of a family's own network; None for a registered architecture.

    Raises:
        SourceError: its file is not there.
    """
    return _code(family.architecture) if is_own_architecture(family.architecture) else None


def data_code(study: Study) -> OwnCode | None:
    """The code of a study's own data set; None for one that optrack knows.

    Raises:
        SourceError: its file is not there.
    """
    return _code(study.data.name) if is_own_dataset(study.data.name) else None


def _code(reference: str) -> OwnCode:
    file, content = read_source(reference)
    return OwnCode(reference=reference, file=file.name, content=content)
