"""``python -m simulator.docs`` rewrites what is generated; ``--check`` only says what is stale."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from simulator.docs.documents import DocumentError, stale_parts, write


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; print one line per stale part and exit 1 if there is any.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="The repository; by default the present folder.",
)
def main(check: bool, root: Path) -> None:
    """Bring the generated parts of the README and the schema files up to date."""
    try:
        stale = stale_parts(root) if check else write(root)
    except DocumentError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    for part in stale:
        click.echo(f"{part}: stale, run python -m simulator.docs" if check else f"{part}: written")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main(prog_name="python -m simulator.docs")
