"""Transfers by FTP and FTPS. :mod:`ftplib` blocks, so each transfer has a thread; a cancel breaks its sockets."""

from __future__ import annotations

import contextlib
import ftplib
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote

import trio

from simulator.transport.tap import describe
from simulator.transport.transfer.parts import PORTS, Fault, Sink, Target, TransferFailed, TransferLimits

_PIECE = 64 * 1024


class _Tls(ftplib.FTP_TLS):
    """FTP inside TLS: from the first byte on at port 990, by AUTH TLS (RFC 4217) at any other."""

    def connect(self, host: str = "", port: int = 0, timeout: float = -999, source_address: Any = None) -> str:
        if port != PORTS["ftps"]:
            return super().connect(host, port, timeout, source_address)
        self.host, self.port, self.timeout = host, port, timeout
        plain = socket.create_connection((host, port), timeout, source_address)
        self.af = plain.family
        try:
            self.sock = self.context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        # Many servers take a data connection only in the TLS session of the control connection.
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        try:
            return self.context.wrap_socket(connection, server_hostname=self.host, session=session), size
        except BaseException:
            connection.close()
            raise


class FtpTransfer:
    """One transfer: made in the trio thread, run in a thread of its own, aborted from the trio thread."""

    def __init__(
        self, target: Target, *, context: ssl.SSLContext | None, limits: TransferLimits, local_address: str | None
    ) -> None:
        self._target = target
        self._limits = limits
        self._source = (local_address, 0) if local_address else None
        self._ftp: ftplib.FTP = ftplib.FTP() if context is None else _Tls(context=context)
        self._data: socket.socket | None = None
        self._aborted = False
        self._deadline = 0.0

    async def download(self, sink: Sink, limiter: trio.CapacityLimiter) -> None:
        """Fetch the file of the URL. On cancel the connections are broken and the thread is left to end by itself.

        :raises TransferFailed: with the reason.
        """
        await self._in_thread(partial(self._download, sink), limiter)

    async def upload(self, name: str, content: bytes, limiter: trio.CapacityLimiter) -> None:
        """Store a file in the directory of the URL; on cancel as :meth:`download`.

        :raises TransferFailed: with the reason.
        """
        await self._in_thread(partial(self._upload, name, content), limiter)

    async def _in_thread(self, work: Callable[[], None], limiter: trio.CapacityLimiter) -> None:
        try:
            await trio.to_thread.run_sync(partial(self._run, work), abandon_on_cancel=True, limiter=limiter)
        finally:
            self._abort()

    def _abort(self) -> None:
        """Wake the thread out of whatever it waits for. Of a transfer that has ended nothing is left to wake."""
        self._aborted = True
        for connection in (self._data, self._ftp.sock):
            if connection is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own, which changes what the thread is using.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[], None]) -> None:
        self._deadline = time.monotonic() + self._limits.total_timeout
        try:
            self._open()
            work()
            with contextlib.suppress(*ftplib.all_errors):
                self._ftp.quit()
        except TransferFailed:
            raise
        except ftplib.Error as error:
            raise _refused(str(error)) from error
        except TimeoutError as error:
            raise TransferFailed(f"the server was silent for {self._limits.idle_timeout:g} s") from error
        except EOFError as error:
            raise TransferFailed("the server closed the connection") from error
        except (OSError, ValueError) as error:
            raise TransferFailed(describe(error)) from error
        finally:
            self._ftp.close()

    def _open(self) -> None:
        target, ftp = self._target, self._ftp
        try:
            ftp.connect(target.host, target.port, self._limits.connect_timeout, self._source)
        except TimeoutError as error:
            raise TransferFailed(f"no connection within {self._limits.connect_timeout:g} s") from error
        self._go_on()
        assert ftp.sock is not None
        ftp.timeout = self._limits.idle_timeout  # of the data connections
        ftp.sock.settimeout(self._limits.idle_timeout)
        ftp.login(target.user or "anonymous", target.password if target.user else "anonymous@")
        if isinstance(ftp, _Tls):
            ftp.prot_p()
        ftp.voidcmd("TYPE I")

    def _download(self, sink: Sink) -> None:
        *directories, name = self._segments()
        if not name:
            raise TransferFailed("the URL names no file", Fault.BAD_URL)
        self._enter(directories)
        with self._transfer(f"RETR {name}") as connection:
            while piece := connection.recv(_PIECE):
                self._go_on()
                sink.take(piece)
        self._ftp.voidresp()

    def _upload(self, name: str, content: bytes) -> None:
        self._enter(self._segments())
        with self._transfer(f"STOR {name}") as connection:
            pieces = io.BytesIO(content)
            while piece := pieces.read(_PIECE):
                self._go_on()
                connection.sendall(piece)
        self._ftp.voidresp()

    def _segments(self) -> list[str]:
        """The path by RFC 1738 §3.2.2: relative to the login directory; ``%2F`` at its begin makes it absolute."""
        return [unquote(segment) for segment in self._target.path.removeprefix("/").split("/")]

    def _enter(self, directories: list[str]) -> None:
        for directory in directories:
            if directory:
                self._go_on()
                self._ftp.cwd(directory)

    @contextlib.contextmanager
    def _transfer(self, command: str) -> Iterator[socket.socket]:
        self._data = connection = self._ftp.transfercmd(command)
        try:
            self._go_on()
            yield connection
            if isinstance(connection, ssl.SSLSocket):
                # Servers that just close the connection are common, and the control connection tells the end as well.
                with contextlib.suppress(OSError):
                    connection.unwrap()
        finally:
            self._data = None
            connection.close()

    def _go_on(self) -> None:
        if self._aborted:
            raise TransferFailed("cancelled")
        if time.monotonic() > self._deadline:
            raise TransferFailed(f"not finished within {self._limits.total_timeout:g} s")


def _refused(answer: str) -> TransferFailed:
    text = " ".join(answer.split())[:200]
    denied = text.startswith(("530", "532")) or "denied" in text.lower() or "permission" in text.lower()
    return TransferFailed(f"the server answered {text}", Fault.DENIED if denied else Fault.FAILED)
