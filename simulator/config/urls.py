"""Is it a URL of a central system?"""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def url_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with the URL of a central system, and the mend; None if nothing is."""
    example = "for example ws://localhost:8010"
    if any(character.isspace() for character in url):
        return "a URL cannot hold white space", example
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not a URL ({error})", example
    if parts.scheme in ("http", "https"):
        return (
            f"{parts.scheme} is no WebSocket URL",
            f"write {'wss' if parts.scheme == 'https' else 'ws'}://{show_url(url).split('://', 1)[-1]}",
        )
    if parts.scheme not in ("ws", "wss"):
        if "://" in url:
            return f'unknown scheme "{parts.scheme}"', "write ws:// or wss://"
        return "a URL begins with ws:// or wss://", f"write ws://{url.lstrip('/')}"
    if not parts.hostname:
        return "the URL names no host", example
    if port == 0:
        return "port 0 cannot be connected to", example
    if parts.fragment:
        return "a WebSocket URL has no fragment (#)", f"write {show_url(url).split('#', 1)[0]}"
    return None


def show_url(url: str) -> str:
    """A URL for messages: without user name and password."""
    return re.sub(r"//[^/@]*@", "//", url)
