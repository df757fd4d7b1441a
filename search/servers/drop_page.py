"""The page of `optrack serve`: drop an image on it, and each family's champion classifies it."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ...datasets.store import open_image, pillow_warnings_settled, why_unreadable
from ..champions import Champion, ranking_of
from ..errors import StudyError
from ..pages import render
from ..study import Reference

RANKS = 5
MIB = 2**20
MOST_BYTES = 32 * MIB
"""The largest image file; a photograph of 50 million pixels has half of that."""

# A page of others can have its own host name resolve to this machine, and send requests under that name.
HOSTS = ("127.0.0.1", "localhost")

Part = Literal["validation", "test"]
Ranking = tuple[tuple[str, float], ...]
"""The most probable classes with their probabilities in [0, 1], the best first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """A champion, and what is known about it.

    Args:
        champion: of a family.
        best: whether it is the study's winner.
        test: accuracy on the test images, in [0, 1]; None before the test.
        reference: results that others reported for the family.
    """

    champion: Champion
    best: bool = False
    test: float | None = None
    reference: Reference | None = None

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.champion.family

    @property
    def accuracy(self) -> tuple[Part, float] | None:
        """Accuracy on the test images, or else on the validation images of the search; None if not known."""
        if self.test is not None:
            return "test", self.test
        recipe = self.champion.recipe
        if recipe.metric == "val_accuracy" and recipe.value is not None:
            return "validation", recipe.value
        return None

    @property
    def reported(self) -> tuple[Part, float] | None:
        """The reported accuracy, on the same images as `accuracy` where possible; None if nothing was reported."""
        if self.reference is None:
            return None
        reported: list[tuple[Part, float | None]]
        reported = [("test", self.reference.test), ("validation", self.reference.validation)]
        if self.accuracy is not None and self.accuracy[0] == "validation":
            reported.reverse()
        return next(((part, value) for part, value in reported if value is not None), None)


def answers(served: Sequence[Served], content: bytes) -> dict[str, Ranking]:
    """Classify an image file with each family's champion, bit for bit as `optrack predict` does.

    Raises:
        StudyError: it cannot be read as an image.
    """
    prepared: dict[object, NDArray[np.uint8]] = {}
    found: dict[str, Ranking] = {}
    for each in served:
        champion = each.champion
        # Decoding a photograph takes longer than classifying it, and most champions of a study need the same pixels.
        form = (champion.input_shape, champion.recipe.data.image_size)
        if form not in prepared:
            prepared[form] = _prepared(champion, content)
        [probabilities] = champion.probabilities(prepared[form])
        found[each.family] = ranking_of(champion.classes, probabilities, RANKS)
    return found


def _prepared(champion: Champion, content: bytes) -> NDArray[np.uint8]:
    """Return an image file as a champion takes it, uint8 [1, C, H, W]."""
    try:
        with pillow_warnings_settled(), open_image(BytesIO(content)) as image:
            return champion.prepare_images([image])
    except StudyError as error:
        reason = str(error).rpartition("cannot be read: ")[2]  # the rest names the image by its number
    except Exception as error:  # noqa: BLE001 - broken bytes make Pillow's readers raise anything
        reason = why_unreadable(error)
    raise StudyError(f"This file cannot be read as an image: {reason}.")


def agreement(found: Mapping[str, Ranking]) -> list[tuple[str, list[str]]]:
    """Group families by their most probable class, the most frequent one first; ties stay in order of appearance.

    >>> agreement({"a": (("cat", 0.9),), "b": (("dog", 0.7),), "c": (("dog", 0.9),)})
    [('dog', ['b', 'c']), ('cat', ['a'])]
    """
    groups: dict[str, list[str]] = {}
    for family, ranking in found.items():
        groups.setdefault(ranking[0][0], []).append(family)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def page_app(
    study: str, served: Sequence[Served], *, missing: Sequence[str] = (), most_bytes: int = MOST_BYTES
) -> Starlette:
    """Return the page and its predictions as an ASGI application.

    `GET /` is the page. `POST /predict` takes the bytes of one image file, and answers in JSON with `families`, the
    most probable classes of each, and `groups`, the families by label; or with `error`, a sentence.

    Args:
        study: its name.
        served: its champions, at least one, in the order in which they are shown.
        missing: names of families that have no champion yet.
        most_bytes: largest image file that is accepted.
    """
    page = _Page(study=study, served=served, missing=missing, most_bytes=most_bytes)
    return Starlette(
        routes=[Route("/", page.show), Route("/predict", page.predict, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The handlers of `page_app`, with the same arguments."""

    study: str
    served: Sequence[Served]
    missing: Sequence[str]
    most_bytes: int
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)  # torch uses all cores, Pillow warns globally

    async def show(self, _request: Request) -> Response:
        """Answer with the page, under a policy that allows only scripts and styles with its nonce."""
        nonce = secrets.token_urlsafe(16)
        page = render(
            Path(__file__).with_name("serve.html"),
            figures=False,
            nonce=nonce,
            study=self.study,
            served=self.served,
            inputs={each.champion.input_shape for each in self.served},
            sources=_sources(self.served),
            missing=self.missing,
            most_bytes=self.most_bytes,
        )
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src blob: data:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(page, headers={"Content-Security-Policy": policy, **_HEADERS})

    async def predict(self, request: Request) -> Response:
        """Answer with the predictions for the image in the body, or with a sentence that says why not."""
        # Browsers send the origin of the page, so pages of others are refused; programs send none.
        if request.headers.get("origin") not in (None, f"http://{request.headers['host']}"):
            return _refused(HTTPStatus.FORBIDDEN, "Only the page itself may ask.")
        try:
            content = await self._content(request)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        if content is None:
            sentence = f"This file has more than {self.most_bytes / MIB:g} MiB, which is the limit."
            return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        async with self.one_at_a_time:
            if await request.is_disconnected():  # another image was dropped while this one waited
                return Response(status_code=HTTPStatus.BAD_REQUEST)
            try:
                found = await run_in_threadpool(answers, self.served, content)
            except StudyError as error:
                return _refused(HTTPStatus.BAD_REQUEST, str(error))
        groups = [{"label": label, "families": families} for label, families in agreement(found)]
        families = [_as_json(family, ranking) for family, ranking in found.items()]
        return JSONResponse({"families": families, "groups": groups}, headers=_HEADERS)

    async def _content(self, request: Request) -> bytes | None:
        """Return the body; None as soon as it is too large."""
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > self.most_bytes:
                return None
        return bytes(content)


_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def _refused(status: HTTPStatus, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status, headers=_HEADERS)


def _as_json(family: str, ranking: Ranking) -> dict[str, object]:
    entries = [{"label": label, "confidence": confidence} for label, confidence in ranking]
    return {"family": family, **entries[0], "ranking": entries}


def _sources(served: Sequence[Served]) -> dict[str, list[str]]:
    """Return the sources of reported results, with the families they are about."""
    sources: dict[str, list[str]] = {}
    for each in served:
        if each.reference is not None and each.reported is not None:
            sources.setdefault(each.reference.source, []).append(each.family)
    return sources
