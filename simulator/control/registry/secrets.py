"""Takes secrets out of what is shown to clients: they are absent, not masked."""

from __future__ import annotations

from typing import Any

from simulator.config.urls import show_url
from simulator.telemetry.redaction import is_secret_name, redact_text

#: What a JSON tree may nest at most; deeper parts are left out.
_DEPTH = 32


def without_secrets(value: Any, depth: int = 0) -> Any:
    """A copy of a JSON tree without members that hold secrets, by name, by key, or by what they contain."""
    if isinstance(value, str):
        return redact_text(show_url(value) if "://" in value else value)
    if isinstance(value, dict):
        if depth >= _DEPTH:
            return {}
        named = _names_a_secret(value)
        return {
            name: without_secrets(member, depth + 1)
            for name, member in value.items()
            if not is_secret_name(str(name)) and not (named and name == "value") and not _is_private_key(member)
        }
    if isinstance(value, (list, tuple)):
        if depth >= _DEPTH:
            return []
        return [without_secrets(item, depth + 1) for item in value if not _is_private_key(item)]
    return value


def _names_a_secret(members: dict[Any, Any]) -> bool:
    """``{"key": "AuthorizationKey", "value": …}``."""
    return any(is_secret_name(name) for member in ("key", "name") if isinstance(name := members.get(member), str))


def _is_private_key(value: Any) -> bool:
    return isinstance(value, str) and "PRIVATE KEY-----" in value
