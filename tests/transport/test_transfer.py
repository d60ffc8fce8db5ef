"""Files fetched and sent: against real servers, with what can go wrong there."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trio
import trustme

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.transfer import Fault, TransferFailed, TransferLimits, Transfers
from simulator.transport.transfer.parts import PORTS
from tests.fakes.file_servers import PASSWORD, USER, HttpFiles, ftp_files, http_files

PLAIN = WebSocketOptions()
IMAGE = bytes(range(256)) * 2048
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"


@pytest.fixture
def files() -> Iterator[HttpFiles]:
    with http_files() as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> WebSocketOptions:
    return WebSocketOptions(ca=(authority.cert_pem.bytes().decode(),))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "in" / "deep er").mkdir(parents=True)
    (folder / "in" / "image.bin").write_bytes(IMAGE)
    return folder


async def failure(transfers: Transfers, url: str, options: WebSocketOptions = PLAIN) -> TransferFailed:
    with pytest.raises(TransferFailed) as caught:
        await transfers.download(url, options=options)
    assert "\n" not in str(caught.value)
    return caught.value


# -- http --------------------------------------------------------------------------------------------------------------


async def test_http_download_keeps_counts_and_hashes(files: HttpFiles) -> None:
    files.files["/fw/image.bin"] = IMAGE
    kept = io.BytesIO()
    received = await Transfers().download(files.url("/fw/image.bin"), options=PLAIN, into=kept)
    assert (received.size, received.sha256) == (len(IMAGE), hashlib.sha256(IMAGE).digest())
    assert kept.getvalue() == IMAGE


async def test_http_follows_redirections_but_not_for_ever(files: HttpFiles) -> None:
    files.files["/image.bin"] = IMAGE
    files.replies["GET /moved"] = (302, "/image.bin")
    files.replies["GET /loop"] = (302, "/loop")
    received = await Transfers().download(files.url("/moved"), options=PLAIN)
    assert received.size == len(IMAGE)
    error = await failure(Transfers(), files.url("/loop"))
    assert "redirections" in str(error)


async def test_http_failures_name_the_url_and_the_reason_without_secrets(files: HttpFiles) -> None:
    url = f"http://me:secret@{files.address}/none.bin?token=hidden"
    error = await failure(Transfers(), url)
    assert str(error) == f"cannot fetch {files.url('/none.bin')}: the server answered 404 Not Found"
    assert error.fault is Fault.FAILED


async def test_http_sends_the_credentials_of_the_url(files: HttpFiles) -> None:
    files.files["/image.bin"] = IMAGE
    files.password_needed = True
    assert (await failure(Transfers(), files.url("/image.bin"))).fault is Fault.DENIED
    assert (await Transfers().download(f"http://{LOGIN}@{files.address}/image.bin", options=PLAIN)).size == len(IMAGE)


async def test_a_file_above_the_limit_is_refused(files: HttpFiles) -> None:
    files.files["/image.bin"] = IMAGE
    error = await failure(Transfers(TransferLimits(max_size=1000)), files.url("/image.bin"))
    assert "larger than 1000 bytes" in str(error)


async def test_http_puts_into_the_directory_of_the_location(files: HttpFiles) -> None:
    await Transfers().upload(files.url("/logs/today"), "CS 1.tar.gz", b"archive", options=PLAIN)
    await Transfers().upload(files.url("/logs/"), "CS-2.tar.gz", b"archive", options=PLAIN)
    assert files.requests == [("PUT", "/logs/today/CS%201.tar.gz"), ("PUT", "/logs/CS-2.tar.gz")]
    assert files.files["/logs/CS-2.tar.gz"] == b"archive"


async def test_a_signed_url_is_the_files_own(files: HttpFiles) -> None:
    await Transfers().upload(files.url("/bucket/object?signature=abc"), "CS-1.tar.gz", b"archive", options=PLAIN)
    assert files.files == {"/bucket/object?signature=abc": b"archive"}


async def test_a_server_without_put_gets_a_form(files: HttpFiles) -> None:
    files.replies["PUT /form/CS-1.tar.gz"] = 405
    await Transfers().upload(files.url("/form"), "CS-1.tar.gz", b"archive", options=PLAIN)
    form = files.files["/form"]
    assert b'name="file"; filename="CS-1.tar.gz"' in form
    assert b"archive" in form


async def test_an_upload_that_is_refused_fails(files: HttpFiles) -> None:
    files.replies["PUT /CS-1.tar.gz"] = 507
    with pytest.raises(TransferFailed, match=r"cannot send CS-1\.tar\.gz to .*: the server answered 507"):
        await Transfers().upload(files.url("/"), "CS-1.tar.gz", b"archive", options=PLAIN)


async def test_a_server_that_falls_silent_is_given_up(files: HttpFiles) -> None:
    files.files["/image.bin"] = IMAGE
    files.hang.add("/image.bin")
    error = await failure(Transfers(TransferLimits(idle_timeout=0.05)), files.url("/image.bin"))
    assert "silent for 0.05 s" in str(error)


async def test_the_whole_transfer_has_a_deadline(files: HttpFiles) -> None:
    files.files["/image.bin"] = IMAGE
    files.hang.add("/image.bin")
    error = await failure(Transfers(TransferLimits(total_timeout=0.1)), files.url("/image.bin"))
    assert "not finished within 0.1 s" in str(error)


async def test_a_cancelled_http_download_closes_its_connection_at_once(files: HttpFiles) -> None:
    files.files["/image.bin"] = IMAGE
    files.hang.add("/image.bin")
    async with trio.open_nursery() as nursery:

        async def fetch() -> None:
            await Transfers().download(files.url("/image.bin"), options=PLAIN)

        nursery.start_soon(fetch)
        await trio.to_thread.run_sync(files.hanging.wait)
        begun = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - begun < 1
    assert await trio.to_thread.run_sync(files.broken.wait, 5)


async def test_https_trusts_whom_the_station_trusts(authority: trustme.CA) -> None:
    with http_files(authority) as files:
        files.files["/image.bin"] = IMAGE
        received = await Transfers().download(files.url("/image.bin"), options=trusting(authority))
        assert received.size == len(IMAGE)
        await Transfers().upload(files.url("/"), "CS-1.tar.gz", b"archive", options=trusting(authority))
        assert files.files["/CS-1.tar.gz"] == b"archive"
        error = await failure(Transfers(), files.url("/image.bin"))
        assert "certificate verify failed" in str(error)
        careless = WebSocketOptions(reject_unauthorized=False)
        assert (await Transfers().download(files.url("/image.bin"), options=careless)).size == len(IMAGE)


# -- urls --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "fault", "words"),
    [
        ("gopher://host/x", Fault.UNSUPPORTED, "scheme is gopher"),
        ("just text", Fault.UNSUPPORTED, "scheme is none"),
        ("http:///x", Fault.BAD_URL, "no host"),
        ("http://host:99999/x", Fault.BAD_URL, "cannot be read"),
        ("http://[::1/x", Fault.BAD_URL, "cannot be read"),
    ],
)
async def test_what_is_no_usable_url_is_refused_with_a_reason(url: str, fault: Fault, words: str) -> None:
    error = await failure(Transfers(), url)
    assert error.fault is fault
    assert words in str(error)


@pytest.mark.parametrize("scheme", ["http", "ftp", "ftps"])
async def test_nobody_there(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failure(Transfers(), f"{scheme}://127.0.0.1:{taken.getsockname()[1]}/x")
    assert "connection refused" in str(error)


# -- ftp ---------------------------------------------------------------------------------------------------------------


async def test_ftp_uses_user_password_host_port_and_path_of_the_url(served: Path) -> None:
    with ftp_files(served) as address:
        url = f"ftp://{LOGIN}@{address}/in"
        kept = io.BytesIO()
        received = await Transfers().download(f"{url}/image.bin", options=PLAIN, into=kept)
        assert (received.size, received.sha256) == (len(IMAGE), hashlib.sha256(IMAGE).digest())
        assert kept.getvalue() == IMAGE
        await Transfers().upload(f"{url}/deep%20er/", "CS-1.tar.gz", IMAGE, options=PLAIN)
    assert (served / "in" / "deep er" / "CS-1.tar.gz").read_bytes() == IMAGE


async def test_ftp_failures(served: Path) -> None:
    with ftp_files(served) as address:
        error = await failure(Transfers(), f"ftp://{USER}:wrong@{address}/in/image.bin")
        assert error.fault is Fault.DENIED
        assert "530" in str(error)
        error = await failure(Transfers(), f"ftp://{LOGIN}@{address}/in/none.bin")
        assert str(error).startswith(f"cannot fetch ftp://{address}/in/none.bin: the server answered 550")
        with pytest.raises(TransferFailed, match="550"):
            await Transfers().upload(f"ftp://{LOGIN}@{address}/nowhere", "x", b"", options=PLAIN)
        error = await failure(Transfers(), f"ftp://{LOGIN}@{address}/in/a%0d%0aDELE image.bin")
        assert "newline" in str(error)
    assert (served / "in" / "image.bin").exists()


async def test_ftps_encrypts_both_connections(served: Path, authority: trustme.CA) -> None:
    with ftp_files(served, authority) as address:
        url = f"ftps://{LOGIN}@{address}/in"
        received = await Transfers().download(f"{url}/image.bin", options=trusting(authority))
        assert received.sha256 == hashlib.sha256(IMAGE).digest()
        await Transfers().upload(url, "CS-1.tar.gz", IMAGE, options=trusting(authority))
        error = await failure(Transfers(), f"{url}/image.bin")
        assert "certificate verify failed" in str(error)
    assert (served / "in" / "CS-1.tar.gz").read_bytes() == IMAGE


async def test_ftps_at_its_own_port_is_tls_from_the_start(
    served: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ftp_files(served, authority, implicit=True) as address:
        monkeypatch.setitem(PORTS, "ftps", int(address.rpartition(":")[2]))
        received = await Transfers().download(f"ftps://{LOGIN}@127.0.0.1/in/image.bin", options=trusting(authority))
    assert received.size == len(IMAGE)


async def test_a_cancelled_ftp_transfer_is_left_at_once() -> None:
    """A server that greets and then says nothing holds neither the caller nor the thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeted, ended = threading.Event(), threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 hello\r\n")
                connection.recv(100)
                greeted.set()
                while connection.recv(100):
                    pass
                ended.set()

        server = threading.Thread(target=serve)
        server.start()
        async with trio.open_nursery() as nursery:

            async def fetch() -> None:
                await Transfers().download(f"ftp://127.0.0.1:{listener.getsockname()[1]}/x", options=PLAIN)

            nursery.start_soon(fetch)
            await trio.to_thread.run_sync(greeted.wait)
            begun = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - begun < 1
        assert await trio.to_thread.run_sync(ended.wait, 5)
        await trio.to_thread.run_sync(server.join)
