"""File transfers in virtual time: what they bring, how long they take and how they fail is up to the test."""

from __future__ import annotations

import hashlib
import io
import tarfile
from itertools import pairwise
from typing import Any

import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.transfer import Fault, Received, TransferFailed


class FakeTransfers:
    """Takes the place of ``Transfers``.

    :param image: what every download brings.
    :param takes: seconds that every transfer takes.
    """

    def __init__(self, image: bytes = b"firmware", *, takes: float = 5.0) -> None:
        self.image = image
        self.takes = takes
        #: How many of the next transfers fail, and how; negative: all of them.
        self.failing = 0
        self.fault = Fault.FAILED
        #: The URL of every attempt, and when it began on trio's clock.
        self.attempts: list[tuple[float, str]] = []
        #: Transfers that were ended by a cancel.
        self.cancelled = 0
        #: What was uploaded: the URL, the file's name and its content.
        self.uploaded: list[tuple[str, str, bytes]] = []

    async def download(self, url: str, *, options: WebSocketOptions) -> Received:
        await self._pass(url)
        return Received(len(self.image), hashlib.sha256(self.image).digest())

    async def upload(self, url: str, name: str, content: bytes, *, options: WebSocketOptions) -> None:
        await self._pass(url)
        self.uploaded.append((url, name, content))

    async def _pass(self, url: str) -> None:
        self.attempts.append((trio.current_time(), url))
        try:
            await trio.sleep(self.takes)
        except trio.Cancelled:
            self.cancelled += 1
            raise
        if self.failing:
            self.failing -= 1
            raise TransferFailed("the line broke", self.fault)

    @property
    def pauses(self) -> list[float]:
        """Seconds between the end of an attempt and the begin of the next."""
        begun = [moment for moment, _ in self.attempts]
        return [round(later - earlier - self.takes, 3) for earlier, later in pairwise(begun)]


def unpacked(archive: bytes) -> dict[str, str]:
    """The files of a tar.gz archive."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {member.name: _content(opened.extractfile(member)) for member in opened}


def _content(file: Any) -> str:
    with file:
        return str(file.read().decode())
