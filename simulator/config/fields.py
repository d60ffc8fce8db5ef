"""How a key of a user's file is documented in its model.

The models are the only place where a key is described: the README's tables, the published JSON Schemas, the messages of
``simulator check`` and the decoding all come from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Meta

Schema = dict[str, Any]

TEXTS: Schema = {"type": ["string", "array"], "items": {"type": "string"}}
"""One string or a list of strings; the loader turns both into a tuple."""

NUMBERS: Schema = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
    ]
}
"""One number or a list to pick from, each above 0."""

COUNTS: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 1000},
        {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 1000}, "minItems": 1},
    ]
}
"""One whole number or a list to pick from, each at least 1."""


def doc(
    text: str,
    *,
    acts: bool = True,
    required: bool = False,
    schema: Schema | None = None,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    max_length: int | None = None,
) -> Meta:
    """Describe a key, for use inside ``Annotated``.

    ``acts``: False for a key that is accepted and does nothing yet. ``required``: the file must have it. ``schema``:
    what the file may hold, where that is wider than the field's type (one string for a list, a number for a string).
    The bounds hold for the file, not for a model built in code.
    """
    named = {"minimum": ge, "maximum": le, "exclusiveMinimum": gt, "maxLength": max_length}
    bounds = {name: bound for name, bound in named.items() if bound is not None}
    return Meta(description=text, extra={"acts": acts, "required": required, "schema": schema, "bounds": bounds})


class Key(msgspec.Struct, frozen=True):
    """One documented key of a model: its JSON name, its attribute, what :func:`doc` said, its default."""

    name: str
    attribute: str
    description: str
    acts: bool
    required: bool
    schema: Schema | None
    bounds: Schema
    default: Any
    type: Any


def keys_of(model: type[msgspec.Struct]) -> list[Key]:
    """The documented keys of ``model`` in their order."""
    keys = []
    for field in msgspec.structs.fields(model):
        metas = [argument for argument in get_args(field.type) if isinstance(argument, Meta)]
        extra = next((meta.extra for meta in metas if meta.extra is not None), {})
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        keys.append(
            Key(
                name=field.encode_name,
                attribute=field.name,
                description=next((meta.description for meta in metas if meta.description), ""),
                acts=extra.get("acts", True),
                required=extra.get("required", False),
                schema=extra.get("schema"),
                bounds=extra.get("bounds", {}),
                default=None if default is msgspec.NODEFAULT else default,
                type=field.type,
            )
        )
    return keys


def section_of(annotation: Any) -> type[msgspec.Struct] | None:
    """The model inside an annotation (``X``, ``X | None``, ``tuple[X, ...]``, ``dict[int, X]``), if there is one."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, msgspec.Struct) else None
    return next((found for argument in get_args(annotation) if (found := section_of(argument))), None)


def documented_keys(model: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, Key]]:
    """Every key of ``model`` and of the sections below it with its place in a file, each section before its keys.

    Lists and objects with names of the user's choice are written ``stationTemplateUrls[].file`` and
    ``Connectors.<id>.bootStatus``.
    """
    for key in keys_of(model):
        here = f"{path}.{key.name}" if path else key.name
        yield here, key
        if (section := section_of(key.type)) is not None:
            yield from documented_keys(section, here + container_mark(key))


def container_mark(key: Key) -> str:
    """What follows the name of a key that holds several sections: ``[]`` for a list, ``.<id>`` for an object."""
    if is_mapping(key):
        return ".<id>"
    default = key.default
    return "[]" if isinstance(default, tuple) else ""


def is_mapping(key: Key) -> bool:
    """Whether a key holds an object whose names are numbers of the user's choice."""
    return get_origin(next(iter(get_args(key.type)), None)) is dict and section_of(key.type) is not None
