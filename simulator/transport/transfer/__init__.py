"""Files that a station fetches or sends: http, https, ftp and ftps (OCPP 1.6 §5.9, §5.19)."""

from __future__ import annotations

import ssl

import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import TlsFailed
from simulator.transport.tls import TlsContexts
from simulator.transport.transfer import http
from simulator.transport.transfer.ftp import FtpTransfer
from simulator.transport.transfer.parts import Fault, Received, Sink, Target, TransferFailed, TransferLimits, Writes

__all__ = ["Fault", "Received", "TransferFailed", "TransferLimits", "Transfers"]

#: FTP transfers of a process at one time; each has a thread. More of them wait.
FTP_THREADS = 40


class Transfers:
    """Moves files for all stations of a process. HTTP transfers are tasks, FTP transfers have threads."""

    def __init__(self, limits: TransferLimits | None = None) -> None:
        self._limits = limits or TransferLimits()
        self._contexts = TlsContexts()
        self._ftp_threads = trio.CapacityLimiter(FTP_THREADS)

    async def download(self, url: str, *, options: WebSocketOptions, into: Writes | None = None) -> Received:
        """Fetch a file and return its size and checksum.

        :param options: of the station: whom it trusts in TLS, its client certificate, its local address.
        :param into: an open binary file that keeps the content; without one it is only counted and hashed.
        :raises TransferFailed: with the reason in one line.

        On cancel the connection is closed at once; what has been written stays in ``into``.
        """
        try:
            target = Target(url)
            sink = Sink(into, self._limits.max_size)
            if target.scheme in {"ftp", "ftps"}:
                await self._ftp(target, options).download(sink, self._ftp_threads)
            else:
                # Plain http needs the context too: a redirection may lead to https.
                context, address = self._context(options), _local_address(options)
                await http.download(target, sink, context=context, limits=self._limits, local_address=address)
        except TransferFailed as error:
            raise TransferFailed(f"cannot fetch {_shown(url)}: {error}", error.fault) from error.__cause__
        return sink.received

    async def upload(self, url: str, name: str, content: bytes, *, options: WebSocketOptions) -> None:
        """Put a file into the directory that the URL names.

        An HTTP URL with a query is taken as the file's own. A server that knows no PUT gets a form by POST.

        :raises TransferFailed: with the reason in one line.

        On cancel the connection is closed at once; the server may have a part of the file.
        """
        try:
            target = Target(url)
            if target.scheme in {"ftp", "ftps"}:
                await self._ftp(target, options).upload(name, content, self._ftp_threads)
            else:
                context, address = self._context(options), _local_address(options)
                await http.upload(target, name, content, context=context, limits=self._limits, local_address=address)
        except TransferFailed as error:
            raise TransferFailed(f"cannot send {name} to {_shown(url)}: {error}", error.fault) from error.__cause__

    def _ftp(self, target: Target, options: WebSocketOptions) -> FtpTransfer:
        context = self._context(options) if target.scheme == "ftps" else None
        return FtpTransfer(target, context=context, limits=self._limits, local_address=_local_address(options))

    def _context(self, options: WebSocketOptions) -> ssl.SSLContext:
        try:
            return self._contexts.get(options)
        except TlsFailed as error:
            raise TransferFailed(str(error)) from error


def _shown(url: str) -> str:
    try:
        return Target(url).shown
    except TransferFailed:
        return repr(url.split("@")[-1][:80])


def _local_address(options: WebSocketOptions) -> str | None:
    # One transfer at a time: the first address has ports enough.
    return options.local_address[0] if options.local_address else None
