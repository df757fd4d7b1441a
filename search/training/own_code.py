"""The code of user-defined networks and data sets, which is recorded beside its results."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ...architectures import is_own_architecture
from ...datasets import is_own_dataset
from ...sources import read_source
from ..study import Family, Study

SOURCE_FOLDER = "source"
"""Folder for code among artifacts and in a champion's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCode:
    """A file of user-defined code: its name and all of its bytes."""

    file: str
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        return sha256(self.content).hexdigest()

    @property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 stand as lone surrogates, from which they are made again."""
        return self.content.decode(errors="surrogateescape")

    def as_json(self) -> dict[str, Any]:
        """Return what is recorded of it."""
        return {"file": self.file, "sha256": self.digest}


def network_code(family: Family) -> OwnCode | None:
    """Return the code of a family's user-defined network; None for a registered architecture.

    Raises:
        SourceError: its file is not there.
    """
    return _code(family.architecture) if is_own_architecture(family.architecture) else None


def data_code(study: Study) -> OwnCode | None:
    """Return the code of a study's user-defined data set, as `network_code` does."""
    return _code(study.data.name) if is_own_dataset(study.data.name) else None


def _code(reference: str) -> OwnCode:
    file, content = read_source(reference)
    return OwnCode(file=file.name, content=content)
