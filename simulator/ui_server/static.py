"""The files of the dashboard, read once: nothing that a client sends is ever a path on disk."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

#: Types that the platform may not know, or know wrongly.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_NOT_SERVED = (".py", ".pyc", ".md")


class StaticFile(msgspec.Struct, frozen=True):
    """One file as it is served."""

    content: bytes
    content_type: str
    etag: str


def dashboard_files() -> dict[str, StaticFile]:
    """The files of the dashboard by their path under ``/``; the index page is under the empty path as well."""
    found: dict[str, StaticFile] = {}
    _collect(files("simulator.ui_server").joinpath("dashboard"), "", found)
    if "index.html" in found:
        found[""] = found["index.html"]
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, StaticFile]) -> None:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__")) or entry.name.endswith(_NOT_SERVED):
            continue
        if entry.is_dir():
            _collect(entry, f"{prefix}{entry.name}/", found)
            continue
        content = entry.read_bytes()
        ending = f".{entry.name.rpartition('.')[2]}".lower()
        kind = _TYPES.get(ending) or mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
        found[f"{prefix}{entry.name}"] = StaticFile(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
