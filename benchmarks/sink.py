"""A central system that costs next to nothing: what is measured beside it is the client.

One process, one thread, one epoll set. It answers what stations ask, checks nothing, and keeps no more of a message
than its action: of a frame only the head is unmasked. ``GET /stats`` on the same port tells what it has seen.

``python -m benchmarks.sink [--port P] [--interval SECONDS]`` prints its URL and serves until it is ended.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import resource
import select
import socket
import time
from array import array
from collections import Counter
from itertools import count
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Bytes of a frame that are looked at: type, id and action.
_HEAD = 96
_READ = 256 * 1024

_ACCEPTED = b'{"idTagInfo":{"status":"Accepted"}}'
_EMPTY = b"{}"
_ANSWERS = {b"Authorize": _ACCEPTED, b"StopTransaction": _ACCEPTED, b"DataTransfer": b'{"status":"Accepted"}'}


class Connection:
    """One station."""

    __slots__ = ("accepted_at", "backlog", "beats", "buffer", "open", "socket", "station")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.buffer = b""
        self.backlog = b""
        self.open = False
        self.station = ""
        #: When BootNotification was answered, monotonic seconds.
        self.accepted_at = 0.0
        #: When heartbeats came.
        self.beats = array("d")


class Sink:
    """Serves connections for ever."""

    def __init__(self, port: int, interval: int) -> None:
        self._interval = interval
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096, reuse_port=False)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._actions: Counter[bytes] = Counter()
        self._bytes: Counter[bytes] = Counter()
        self._transactions = count(1)
        self._stations: dict[str, int] = {}
        self._accepted: set[str] = set()
        self._began: float | None = None
        self._accepted_at: list[float] = []
        self._beats: list[array[float]] = []
        self._second = 0
        self._now = b""
        self._other = 0

    def serve(self) -> None:
        """Serve until the process ends."""
        connections, listener = self._connections, self._listener.fileno()
        while True:
            for number, _ in self._epoll.poll():
                connection = connections.get(number)
                if connection is not None:
                    self._ready(connection)
                elif number == listener:
                    self._take()

    def stats(self) -> dict[str, Any]:
        """What has been seen so far. Instants are of ``CLOCK_MONOTONIC``, which all processes of a machine share."""
        beats = self._beats + [connection.beats for connection in self._connections.values()]
        return {
            "at": time.monotonic(),
            "connections": len(self._connections),
            "stations": len(self._stations),
            "connects": sum(self._stations.values()),
            "accepted": len(self._accepted),
            "firstConnect": self._began,
            "acceptedAt": self._accepted_at,
            "messages": sum(self._actions.values()),
            "notCalls": self._other,
            "actions": {name.decode(): number for name, number in self._actions.items()},
            "bytes": {name.decode(): number for name, number in self._bytes.items()},
            "interval": self._interval,
            "beats": [list(series) for series in beats if series],
        }

    # -- sockets -----------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[sock.fileno()] = Connection(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _ready(self, connection: Connection) -> None:
        if connection.backlog:
            self._send(connection, b"")
        try:
            data = connection.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        data = connection.buffer + data if connection.buffer else data
        out = self._read(connection, data) if connection.open else self._open(connection, data)
        if out:
            self._send(connection, out)

    def _send(self, connection: Connection, data: bytes) -> None:
        waiting = connection.backlog + data
        try:
            sent = connection.socket.send(waiting)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the reading side is about to see it
        had, connection.backlog = bool(connection.backlog), waiting[sent:]
        if had != bool(connection.backlog):
            mask = select.EPOLLIN | (select.EPOLLOUT if connection.backlog else 0)
            self._epoll.modify(connection.socket.fileno(), mask)

    def _drop(self, connection: Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        connection.socket.close()
        if connection.beats:
            self._beats.append(connection.beats)

    # -- HTTP --------------------------------------------------------------------------------------------------------

    def _open(self, connection: Connection, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            connection.buffer = data
            return b""
        connection.buffer = b""
        lines = data[:end].split(b"\r\n")
        path = lines[0].split(b" ")[1]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        key = headers.get(b"sec-websocket-key")
        if key is None:
            body = json.dumps(self.stats()).encode()
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            )
            return head % len(body) + body
        connection.open = True
        connection.station = path.rpartition(b"/")[2].decode()
        self._stations[connection.station] = self._stations.get(connection.station, 0) + 1
        if self._began is None:
            self._began = time.monotonic()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        answer += b"Sec-WebSocket-Accept: %b\r\n" % accept
        offered = headers.get(b"sec-websocket-protocol", b"").partition(b",")[0].strip()
        if offered:
            answer += b"Sec-WebSocket-Protocol: %b\r\n" % offered
        return answer + b"\r\n" + self._read(connection, data[end + 4 :])

    # -- WebSocket ---------------------------------------------------------------------------------------------------

    def _read(self, connection: Connection, data: bytes) -> bytes:
        out = b""
        at, end = 0, len(data)
        while end - at >= 6:
            length = data[at + 1] & 0x7F
            body = at + 6
            if length == 126:
                body += 2
                length = int.from_bytes(data[at + 2 : at + 4], "big")
            elif length == 127:
                body += 8
                length = int.from_bytes(data[at + 2 : at + 10], "big")
            if end < body + length:
                break
            looked = min(length, _HEAD)
            mask = data[body - 4 : body] * (_HEAD // 4)
            head = (
                int.from_bytes(data[body : body + looked], "little") ^ int.from_bytes(mask[:looked], "little")
            ).to_bytes(looked, "little")
            kind = data[at] & 0x0F
            if kind == 1:
                out += self._message(connection, head, length)
            elif kind == 9:
                out += bytes((0x8A, looked)) + head
            elif kind == 8:
                out += bytes((0x88, min(looked, 2))) + head[:2]
            at = body + length
        connection.buffer = data[at:] if at < end else b""
        return out

    def _message(self, connection: Connection, head: bytes, length: int) -> bytes:
        parts = head.split(b'"', 4)
        if len(parts) < 5 or b"2" not in parts[0]:
            self._other += 1
            return b""
        action = parts[3]
        self._actions[action] += 1
        self._bytes[action] += length
        if action == b"MeterValues" or action == b"StatusNotification":
            answer = _EMPTY
        elif action == b"Heartbeat":
            connection.beats.append(time.monotonic())
            answer = b'{"currentTime":"%b"}' % self._time()
        elif action == b"BootNotification":
            connection.accepted_at = time.monotonic()
            if connection.station not in self._accepted:
                self._accepted.add(connection.station)
                self._accepted_at.append(connection.accepted_at)
            answer = b'{"status":"Accepted","currentTime":"%b","interval":%d}' % (self._time(), self._interval)
        elif action == b"StartTransaction":
            answer = b'{"idTagInfo":{"status":"Accepted"},"transactionId":%d}' % next(self._transactions)
        else:
            answer = _ANSWERS.get(action, _EMPTY)
        text = b'[3,"%b",%b]' % (parts[1], answer)
        size = len(text)
        return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + text

    def _time(self) -> bytes:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        # To the millisecond: stations set their clocks by it, and one that seems wrong is set again and again.
        return b"%b.%03dZ" % (self._now, int(now * 1000) % 1000)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="benchmarks.sink", description="A central system that costs next to nothing")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interval", type=int, default=60, help="seconds between heartbeats that it asks for")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sink = Sink(options.port, options.interval)
    print(f"ws://127.0.0.1:{sink.port}", flush=True)
    try:
        sink.serve()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
