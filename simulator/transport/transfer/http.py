"""Transfers by HTTP and HTTPS (the only importer of httpx, which is slow to import and seldom needed)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from simulator.transport.connection import status_line
from simulator.transport.tap import describe
from simulator.transport.transfer.parts import Fault, Sink, Target, TransferFailed, TransferLimits

if TYPE_CHECKING:
    import httpx

_REDIRECTS = 5
_DENIED = frozenset({401, 403, 407})
# A server that has no place for PUT may be a form's handler.
_TRY_POST = frozenset({405, 501})


async def download(
    target: Target, sink: Sink, *, context: ssl.SSLContext, limits: TransferLimits, local_address: str | None
) -> None:
    """Fetch a file with GET. :raises TransferFailed: with the reason."""
    # The checksum is that of the file, not of a compressed form of it.
    plain = {"Accept-Encoding": "identity"}
    async with (
        _client(target, context, limits, local_address) as client,
        client.stream("GET", target.url, headers=plain) as response,
    ):
        _check(response)
        failure: TransferFailed | None = None
        # Nothing may be raised into the loop: httpx would leave its generators to the garbage collector.
        with trio.CancelScope() as enough:
            async for piece in response.aiter_bytes():
                try:
                    sink.take(piece)
                except TransferFailed as error:
                    failure = error
                    enough.cancel()
        if failure is not None:
            raise failure


async def upload(
    target: Target,
    name: str,
    content: bytes,
    *,
    context: ssl.SSLContext,
    limits: TransferLimits,
    local_address: str | None,
) -> None:
    """Send a file with PUT, or as a form's ``file`` with POST to a server that knows no PUT.

    :raises TransferFailed: with the reason.
    """
    kind = "application/gzip" if name.endswith(".gz") else "application/octet-stream"
    async with _client(target, context, limits, local_address) as client:
        async with client.stream(
            "PUT", target.of_file(name), content=content, headers={"Content-Type": kind}
        ) as response:
            if response.status_code not in _TRY_POST:
                _check(response)
                return
        async with client.stream("POST", target.url, files={"file": (name, content, kind)}) as response:
            _check(response)


@asynccontextmanager
async def _client(
    target: Target, context: ssl.SSLContext, limits: TransferLimits, local_address: str | None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client for one transfer, whose every failure is a :class:`TransferFailed`."""
    import httpx

    timeout = httpx.Timeout(limits.idle_timeout, connect=limits.connect_timeout)
    with trio.move_on_after(limits.total_timeout) as scope:
        try:
            async with httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(verify=context, local_address=local_address, trust_env=False),
                auth=(target.user, target.password) if target.user is not None else None,
                timeout=timeout,
                follow_redirects=True,
                max_redirects=_REDIRECTS,
                # Stations do not use the proxies and .netrc of whoever runs the simulator.
                trust_env=False,
            ) as client:
                yield client
        except TransferFailed:
            raise
        except httpx.ConnectTimeout as error:
            raise TransferFailed(f"no connection within {limits.connect_timeout:g} s") from error
        except httpx.TimeoutException as error:
            raise TransferFailed(f"the server was silent for {limits.idle_timeout:g} s") from error
        except httpx.InvalidURL as error:
            raise TransferFailed(f"the URL cannot be used: {error}", Fault.BAD_URL) from error
        except httpx.TooManyRedirects as error:
            raise TransferFailed(f"more than {_REDIRECTS} redirections") from error
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            raise TransferFailed(describe(error)) from error
    if scope.cancelled_caught:
        raise TransferFailed(f"not finished within {limits.total_timeout:g} s")


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        status = response.status_code
        raise TransferFailed(
            f"the server answered {status_line(status)}", Fault.DENIED if status in _DENIED else Fault.FAILED
        )
