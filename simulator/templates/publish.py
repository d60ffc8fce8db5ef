"""The JSON Schemas as files, for editors: ``"$schema": "schemas/station-template.schema.json"`` in a template.

``python -m simulator.templates.publish`` writes them.
"""

from __future__ import annotations

import json

from simulator.config.schemas import config_schema
from simulator.templates.fleet import shipped_folder
from simulator.templates.schemas import template_schema


def published_schemas() -> dict[str, str]:
    """The text of each schema file by its name."""
    schemas = {"config.schema.json": config_schema(), "station-template.schema.json": template_schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def write_schemas() -> None:
    """Write the schema files into the package of the shipped templates."""
    folder = shipped_folder() / "schemas"
    folder.mkdir(exist_ok=True)
    for name, text in published_schemas().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
