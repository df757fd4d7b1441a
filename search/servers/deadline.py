"""HTTP connections that are ended unless a whole request arrives in time; uvicorn itself would wait for ever."""

import asyncio

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30.0
"""From the first byte of a request, or the beginning of its connection, to the last byte: 32 MiB take far less here."""


class DeadlineProtocol(H11Protocol):
    """Closes a connection on which a client is silent, sends half a request, or drips it byte by byte."""

    _deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._begin()

    @override
    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._begin()
        super().data_received(data)
        # In h11's other states the request is there as a whole, or is none.
        if str(self.conn.their_state) not in ("IDLE", "SEND_BODY"):
            self._end()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
