"""A way to the simulator on which WebSockets lose the credentials that the browser sends by itself."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

#: The most that an opening request may be long.
_HEAD = 64 * 1024


class WithoutCredentials:
    """Forwards connections to a port of this machine; a request for a WebSocket goes on without ``Authorization``.

    Some browsers open WebSockets without the credentials of their page. Whether the one of the tests does depends on
    its version and on what it has cached: behind this they are never there. A context manager; :attr:`url` is its own.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._open: list[socket.socket] = [self._listening]

    def __enter__(self) -> WithoutCredentials:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open += [client, server]
            head = b""
            # Browsers keep connections for WebSockets apart from those for requests: the first head tells.
            while b"\r\n\r\n" not in head and len(head) < _HEAD and (read := client.recv(65536)):
                head += read
            if re.search(rb"(?im)^upgrade: *websocket", head):
                head = re.sub(rb"(?im)^authorization:.*\r\n", b"", head)
            server.sendall(head)
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()
            _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while read := source.recv(65536):
            target.sendall(read)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
