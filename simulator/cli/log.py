"""The command ``log``: the OCPP messages of a simulator that runs, or of files that one has written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simulator.cli.options import Number, OneOf, ParameterType, ui_options
from simulator.cli.output import give, is_broken_pipe, printable, silence, tell

if TYPE_CHECKING:
    from simulator.telemetry.wire_records import WireRecord

_EPILOG = """\
\b
simulator log                                     the latest messages of the simulator that runs
simulator log -f --station CS-KEBA-00001          and those that follow, of one station
simulator log logs/wire-2026-11-22.ndjson --action Authorize --grep Invalid
simulator log --mermaid --station CS-KEBA-00001   a sequence diagram
"""


class Pattern(ParameterType):
    """A regular expression."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> re.Pattern[str]:
        """Click's hook."""
        try:
            return re.compile(value)
        except re.error as error:
            self.fail(f'"{value}" is no regular expression ({error}), for example "Invalid|Blocked"', param, ctx)


@click.command("log", epilog=_EPILOG)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, metavar="[FILE]...")
@click.option("--follow", "-f", is_flag=True, help="Go on with the messages to come, until Ctrl-C.")
@click.option(
    "--lines",
    "-n",
    type=Number(int, "--lines 100", least=0),
    default=1000,
    show_default=True,
    metavar="N",
    help="The newest N messages of those selected; 0: all that a file holds.",
)
@click.option(
    "--station", "stations", multiple=True, metavar="NAME", help="Only this station; * and ? may stand for more."
)
@click.option(
    "--action", "actions", multiple=True, metavar="ACTION", help="Only CALLs of this action and their answers."
)
@click.option("--direction", type=OneOf(["sent", "received"]), help="Only what stations sent, or received.")
@click.option("--grep", "pattern", type=Pattern(), metavar="REGEX", help="Only messages whose text holds this.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON each, as the files have them.")
@click.option("--mermaid", is_flag=True, help="Print a sequence diagram.")
@ui_options
def wire_log(
    files: Sequence[Path],
    follow: bool,
    lines: int,
    stations: Sequence[str],
    actions: Sequence[str],
    direction: Any,
    pattern: re.Pattern[str] | None,
    as_json: bool,
    mermaid: bool,
    **ui: Any,
) -> int:
    """Show OCPP messages: of the simulator that runs, or of files of its wireLog ('-': standard input).

    A file stands for its rotated brothers too where only they are there; a folder for all its .ndjson files.
    """
    if mermaid and (follow or as_json):
        raise click.UsageError(f"a diagram ends: --mermaid and {'--follow' if follow else '--json'} do not go together")
    from simulator.cli.wire_sources import WireSource, file_source, ui_source
    from simulator.telemetry.wire_diagram import MERMAID_LIMIT, sequence_diagram
    from simulator.telemetry.wire_records import Selection, for_people, to_line

    selection = Selection(stations=tuple(stations), actions=tuple(actions), direction=direction, pattern=pattern)
    source: WireSource = file_source(files, selection) if files else ui_source(selection, **ui)
    records = source.newest(lines)
    if mermaid:
        diagram = sequence_diagram(records)
        give(diagram.rstrip("\n"))
        if len(diagram) > MERMAID_LIMIT:
            tell(
                f"warning: the diagram has {len(diagram)} characters, and many viewers take {MERMAID_LIMIT} at most; "
                "--station, --action and --lines make it shorter"
            )
        return 0

    def show(record: WireRecord) -> None:
        click.echo(to_line(record) if as_json else printable(for_people(record)))

    try:
        for record in records:
            show(record)
        if follow:
            for record in source.following():
                show(record)
    except OSError as error:
        # A reader that has had enough ends the command too: nobody else would end one that follows.
        if not is_broken_pipe(error):
            raise
        silence()
    return 0
