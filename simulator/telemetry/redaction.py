"""Keeps secrets out of everything that is shown: log lines, wire log, answers.

A secret is known by its name: members named like a password, an authorization or a private key; OCPP configuration keys
and variables of such a name (``AuthorizationKey``, OCPP 1.6 security extension A00.FR.205; ``BasicAuthPassword``,
OCPP 2.0.1); the user part of a URL; and PEM private keys wherever they stand. What is shown in their place is
:data:`MASK`. Text without any of the tell-tale words, which is nearly all, is passed on after a few substring searches.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

#: What is shown in the place of a secret.
MASK = "***"

_SECRET_NAMES = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "authorizationkey",
        "clientsecret",
        "cookie",
        "pfx",
        "privatekey",
        "proxyauthorization",
        "secret",
        "setcookie",
        "vpnkey",
    }
)
_SECRET_PARTS = ("password", "passphrase", "passwd", "privatekey", "authorizationkey")
_TELL_TALES = (
    "passw",
    "authorization",
    "passphrase",
    "private",
    "secret",
    "apikey",
    "api_key",
    "cookie",
    '"auth"',
    "pfx",
)
_VALUE_MEMBERS = frozenset({"value", "attributeValue", "attribute_value"})
# A message may hold a JSON text that holds a JSON text (DataTransfer); nobody nests deeper in good faith.
_MAX_NESTING = 32

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL | re.IGNORECASE
)
_USER_INFO = re.compile(r"(?<=://)[^/\s\"'?#]+@")
_QUOTED = r"""\\*"(?:[^"\\]|\\[^"])*\\*"?|'(?:[^'\\]|\\.)*'?"""
_ASSIGNED = re.compile(
    r"""((?:password|passwd|passphrase|secret|private_?key|api_?key|pfx|cookie|authorization_?key)\\*["']?\s*[:=]\s*)"""
    rf"""(?:{_QUOTED}|[^\s,;)}}\]]+)""",
    re.IGNORECASE,
)
# Unquoted only where it looks like credentials: "authorization: Accepted" is no secret.
_WORD = r"[^\s,;:)}\]]+"
_HEADER = re.compile(
    r"""(\bauth(?:orization)?\\*["']?\s*[:=]\s*)"""
    rf"""(?:{_QUOTED}|(?:basic|bearer|digest)\s+{_WORD}|{_WORD}:{_WORD})""",
    re.IGNORECASE,
)
_KEYED_VALUE = re.compile(rf"""((?<!\w)(?:value|attribute_?value)\\*["']?\s*[:=]\s*)(?:{_QUOTED})""", re.IGNORECASE)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what bears that name (a member, an HTTP header, an OCPP key or variable) must not be shown."""
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    return plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS)


def redact(value: Any) -> Any:
    """A copy of ``value`` (dicts, lists, structs) with every secret masked; the value itself if there is none."""
    return _walk(value, 0)


def redact_text(text: str) -> str:
    """A text for people with every secret that can be told from its surroundings masked.

    JSON at its end (a logged frame) is masked by its structure, anything else by patterns.
    """
    if "://" in text and "@" in text:
        text = _USER_INFO.sub(MASK + "@", text)
    if not _is_suspicious(text):
        return text
    text = _PEM.sub(MASK, text)
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    if starts:
        try:
            found = msgspec.json.decode(text[min(starts) :])
        except (msgspec.DecodeError, RecursionError):
            pass
        else:
            return _mask_patterns(text[: min(starts)]) + _encode_if_changed(found, text[min(starts) :])
    return _mask_patterns(text)


def redact_frame(text: str) -> str:
    """One frame of the wire, masked by its structure.

    A frame that is no JSON and yet holds a tell-tale word is withheld: nobody can say where its secret ends.
    """
    suspicious = _is_suspicious(text) or "\\u00" in text
    if not suspicious and not ("://" in text and "@" in text):
        return text
    try:
        return _encode_if_changed(msgspec.json.decode(text), text)
    except (msgspec.DecodeError, RecursionError):
        if suspicious:
            return f"(withheld: an unreadable frame of {len(text)} characters that may hold a secret)"
        return _USER_INFO.sub(MASK + "@", text)


def _is_suspicious(text: str) -> bool:
    lower = text.lower()
    # A plain loop is twice as fast as any() over a generator, and this runs for each log line.
    for word in _TELL_TALES:  # noqa: SIM110
        if word in lower:
            return True
    return False


def _mask_patterns(text: str) -> str:
    text = _ASSIGNED.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    if _names_a_secret_key(text):
        text = _KEYED_VALUE.sub(rf"\1{MASK}", text)
    return text


def _names_a_secret_key(text: str) -> bool:
    lower = text.lower()
    return any(part in lower for part in _SECRET_PARTS)


def _encode_if_changed(found: Any, text: str) -> str:
    masked = _walk(found, 0)
    return text if masked is found else msgspec.json.encode(masked).decode()


def _walk(value: Any, depth: int) -> Any:
    """``value`` itself where there is nothing to mask, so that the caller can tell and most values cost no copy."""
    if isinstance(value, str):
        return _masked_string(value, depth)
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if depth > _MAX_NESTING:
        return MASK if isinstance(value, (dict, list, tuple)) else value
    if isinstance(value, dict):
        named = _is_named_secret(value)
        changed = {}
        for key, member in value.items():
            if isinstance(key, str) and (is_secret_name(key) or (named and key in _VALUE_MEMBERS)):
                changed[key] = MASK
            elif (masked := _walk(member, depth + 1)) is not member:
                changed[key] = masked
        return {**value, **changed} if changed else value
    if isinstance(value, (list, tuple)):
        items = [_walk(item, depth + 1) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _masked_string(value: str, depth: int) -> str:
    if "://" in value and "@" in value:
        value = _USER_INFO.sub(MASK + "@", value)
    if not _is_suspicious(value):
        return value
    value = _PEM.sub(MASK, value)
    if value[:1] in ("{", "[") and depth < _MAX_NESTING:
        try:
            return _encode_nested(msgspec.json.decode(value), value, depth)
        except (msgspec.DecodeError, RecursionError):
            pass
    return _mask_patterns(value)


def _encode_nested(found: Any, text: str, depth: int) -> str:
    masked = _walk(found, depth + 1)
    return text if masked is found else msgspec.json.encode(masked).decode()


def _is_named_secret(members: dict[Any, Any]) -> bool:
    """``{"key": "AuthorizationKey", …}`` (1.6) and ``{"variable": {"name": "BasicAuthPassword"}, …}`` (2.0.1)."""
    for member in ("key", "name", "variable"):
        name = members.get(member)
        if isinstance(name, dict):
            name = name.get("name")
        if isinstance(name, str) and is_secret_name(name):
            return True
    return False
