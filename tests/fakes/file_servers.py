"""File servers on loopback for tests, each in a thread: HTTP(S) and FTP(S)."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

with warnings.catch_warnings():
    # On Python 3.11 it imports asyncore, which says that it will go.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

USER, PASSWORD = "station", "p@ss/word"


class ImplicitTls(TLS_FTPHandler):  # type: ignore[misc]
    """Begins with the TLS handshake."""

    def handle(self) -> None:
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self) -> None:
        FTPHandler.handle(self)


class HttpFiles:
    """An HTTP server that keeps what is put and gives what is there.

    ``replies`` says what a path answers in place of the usual: a status, or a status and a ``Location``. ``hang`` makes
    a path send half of its file and then nothing, until the server ends.
    """

    def __init__(self, ca: trustme.CA | None) -> None:
        self.files: dict[str, bytes] = {}
        self.replies: dict[str, int | tuple[int, str]] = {}
        self.hang: set[str] = set()
        self.password_needed = False
        #: Method and path of every request.
        self.requests: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.hanging = threading.Event()
        self.broken = threading.Event()
        files = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                files.get(self)

            def do_PUT(self) -> None:
                files.take(self)

            do_POST = do_PUT

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a peer that goes away is part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if ca is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert("127.0.0.1").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str = "/") -> str:
        """The URL of a path."""
        return f"{self.scheme}://{self.address}{path}"

    @contextmanager
    def serving(self) -> Iterator[HttpFiles]:
        """Serve for the duration of the context."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def get(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.requests.append(("GET", request.path))
        if self._answered(request):
            return
        content = self.files.get(request.path)
        if content is None:
            self._answer(request, 404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.path in self.hang:
            request.wfile.write(content[: len(content) // 2])
            self.hanging.set()
            while not self.released.wait(0.01):
                # A read of nothing: the peer has gone.
                request.connection.settimeout(0.01)
                try:
                    if not request.connection.recv(1):
                        self.broken.set()
                        return
                except TimeoutError:
                    continue
                except OSError:
                    self.broken.set()
                    return
            return
        request.wfile.write(content)

    def take(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.requests.append((request.command, request.path))
        content = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        if not self._answered(request):
            self.files[request.path] = content
            self._answer(request, 201)

    def _answered(self, request: http.server.BaseHTTPRequestHandler) -> bool:
        if self.password_needed and not request.headers.get("Authorization"):
            self._answer(request, 401)
            return True
        reply = self.replies.get(f"{request.command} {request.path}")
        if reply is None:
            return False
        self._answer(request, *(reply if isinstance(reply, tuple) else (reply,)))
        return True

    @staticmethod
    def _answer(request: http.server.BaseHTTPRequestHandler, status: int, location: str = "") -> None:
        request.send_response(status)
        if location:
            request.send_header("Location", location)
        request.send_header("Content-Length", "0")
        request.end_headers()


@contextmanager
def http_files(ca: trustme.CA | None = None) -> Iterator[HttpFiles]:
    """An HTTP server, with ``ca`` an HTTPS server whose certificate that authority has issued."""
    with HttpFiles(ca).serving() as files:
        yield files


@contextmanager
def ftp_files(folder: Path, ca: trustme.CA | None = None, *, implicit: bool = False) -> Iterator[str]:
    """An FTP server for the user :data:`USER` on a folder; yields host and port.

    :param ca: insist on TLS, with a certificate that this authority has issued.
    :param implicit: TLS from the first byte on.
    """
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(folder), perm="elradfmwMT")
    members: dict[str, Any] = {"authorizer": authorizer, "auth_failed_timeout": 0, "banner": "ready"}
    if ca is not None:
        pem = folder.parent / f"{folder.name}-server.pem"
        ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
        members |= {"certfile": str(pem), "tls_control_required": True, "tls_data_required": True}
    # A class of its own for each server: pyftpdlib keeps everything on the class.
    base = FTPHandler if ca is None else ImplicitTls if implicit else TLS_FTPHandler
    handler = type("Handler", (base,), members)
    ready, stop = threading.Event(), threading.Event()
    address: list[tuple[str, int]] = []

    def serve() -> None:
        loop = IOLoop()
        server = FTPServer(("127.0.0.1", 0), handler, ioloop=loop)
        address.append(server.socket.getsockname())
        ready.set()
        while not stop.is_set():
            server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)
            time.sleep(0)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    try:
        yield f"{address[0][0]}:{address[0][1]}"
    finally:
        stop.set()
        thread.join()
