"""Commands and options; what a user gets wrong is one clear line and an exit code, never a traceback.

Exit codes: 0 fine, 1 the files or the run failed, 2 wrong usage; 130 for a command that was interrupted before it had
anything to end in order. Modules that take long to import are imported by the commands that need them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from simulator import __version__
from simulator.cli.ctl import ctl
from simulator.cli.log import wire_log
from simulator.cli.options import Number, OneOf, run_options
from simulator.cli.output import Failure, is_broken_pipe, prepare_streams, silence, tell
from simulator.interrupts import Interrupts

DEFAULT_CONFIG = "config.json"


def main() -> NoReturn:
    """The console script."""
    prepare_streams()
    try:
        code = int(cli.main(prog_name="simulator", standalone_mode=False) or 0)
    except click.UsageError as error:
        code = error.exit_code
        tell(_usage(error))
    except click.ClickException as error:
        code = error.exit_code
        tell(f"error: {error.format_message()}")
    except Failure as error:
        code = 1
        tell(f"error: {error}")
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except OSError as error:
        # What reaches this place is a fault of the machine: the end of a disk, an output that nobody reads any more.
        silence()
        code = 0 if is_broken_pipe(error) else 1
        if code:
            tell(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    sys.exit(code)


def _usage(error: click.UsageError) -> str:
    if error.ctx is not None and isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        return error.ctx.get_help()
    message = error.format_message().rstrip(".")
    line = f"error: {message[:1].lower()}{message[1:]}"
    return line if error.ctx is None else f"{line}; see '{error.ctx.command_path} --help'"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="simulator")
def cli() -> None:
    """Simulate fleets of electric-vehicle charging stations that speak OCPP-J to a central system."""


@cli.command()
@click.argument("config", type=click.Path(path_type=Path), default=DEFAULT_CONFIG)
@click.option("--csms", metavar="URL", help="Central system for all stations, instead of those the files name.")
@run_options
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Override a key of the configuration.")
def run(
    config: Path,
    csms: str | None,
    overrides: Sequence[str],
    stations: int | None,
    start_rate: float | None,
    **options: Any,
) -> int:
    """Run the fleet of a configuration file (config.json of this folder by default)."""
    if csms is not None and not csms.strip():
        raise click.UsageError("--csms is empty, name a URL, for example ws://localhost:9000")
    if str(config) == DEFAULT_CONFIG and not config.exists():
        raise Failure(f"there is no {DEFAULT_CONFIG} in this folder; name a file, or try `simulator demo`")
    with Interrupts() as interrupts:
        from simulator.cli.plans import FleetSources, first_reading

        sources = FleetSources(
            path=config,
            csms=csms,
            overrides=overrides,
            stations=stations,
            start_rate=start_rate,
            environ=os.environ,
        )
        reading = first_reading(sources)
        if reading is None:
            return 1
        from simulator.cli.runs import go

        return go(reading, sources, environ=os.environ, embedded=False, interrupted=interrupts.happened, **options)


@cli.command()
@run_options
@click.option(
    "--port",
    type=Number(int, "--port 8080", least=0, most=65535),
    metavar="PORT",
    help="Port of the dashboard, 8080 if it is free; 0 picks a free one.",
)
def demo(stations: int | None, start_rate: float | None, port: int | None, **options: Any) -> int:
    """Run a mixed fleet against an embedded central system; no file is needed."""
    with Interrupts() as interrupts:
        from simulator.cli.plans import DemoSources, first_reading
        from simulator.cli.runs import go

        sources = DemoSources(stations=stations, start_rate=start_rate, port=port, environ=os.environ)
        reading = first_reading(sources)
        if reading is None:
            return 1
        return go(reading, sources, environ=os.environ, embedded=True, interrupted=interrupts.happened, **options)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option(
    "--port",
    type=Number(int, "--port 9000", least=0, most=65535),
    default=9000,
    show_default=True,
    metavar="PORT",
    help="0 picks a free one.",
)
@click.option(
    "--boot-status",
    type=OneOf(["Accepted", "Pending", "Rejected"]),
    default="Accepted",
    show_default=True,
    help="The answer to every BootNotification.",
)
@click.option(
    "--interval",
    type=Number(int, "--interval 300", least=0, most=2**31 - 1),
    default=300,
    show_default=True,
    metavar="S",
    help="Seconds between heartbeats, or until a station that is not accepted asks again.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the counts of everything as a JSON object at the end, on one line."
)
def csms(host: str, port: int, boot_status: str, interval: int, as_json: bool) -> int:
    """Run only the embedded central system; its URL is printed on a line of its own.

    What stations do wrong is told on standard error, a line each.
    """
    with Interrupts() as interrupts:
        from simulator.cli.central import serve_csms

        return serve_csms(host, port, boot_status, interval, as_json=as_json, interrupted=interrupts.happened)


@cli.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print the problems as a JSON array.")
def check(files: Sequence[Path], as_json: bool) -> int:
    """Validate configuration, template, tag list and vehicle files; print every problem with its path and a mend.

    A folder stands for the JSON files in it. Exit code 1 if there is an error; warnings alone are fine.
    """
    from simulator.cli.checks import check_files

    return check_files(files, as_json=as_json, environ=os.environ)


cli.add_command(ctl)
cli.add_command(wire_log)


@cli.command("verify-value")
@click.argument("source", metavar="FILE", default="-")
@click.option(
    "--key", metavar="KEY", help="Public key of the meter, or a file with it: PEM, oca:base16:asn1:…, hex, Base64."
)
def verify_value(source: str, key: str | None) -> int:
    """Verify signed meter values: an OCMF record, a message, or a log with messages ('-': standard input).

    Without --key each is verified with the key that came along. Exit code 1 if one is not good.
    """
    from simulator.cli.meter import verify_values

    return verify_values(source, key)


@cli.command()
@click.argument("file", metavar="FILE")
@click.option("--dc", "direct", is_flag=True, help="Direct current (400 V) instead of alternating.")
@click.option("--phases", type=OneOf(["1", "3"]), default="3", show_default=True, help="Of alternating current.")
@click.option("--power", type=Number(float, "--power 11", above=0, most=10_000), metavar="KW", help="11 AC, 150 DC.")
@click.option("--vehicle", metavar="ID", help="Vehicle by its id; the first that can charge there by default.")
@click.option("--vehicles", type=click.Path(path_type=Path), metavar="FILE", help="File of vehicles (evProfilesFile).")
@click.option("--soc", type=Number(float, "--soc 20", least=0, most=100), metavar="PERCENT", help="State on arrival.")
@click.option(
    "--limit", type=Number(float, "--limit 4.2", least=0, most=10_000), metavar="KW", help="Of a charging profile."
)
@click.option(
    "--from",
    "begin",
    type=Number(float, "--from 30", least=0, most=1440),
    default=30,
    metavar="MIN",
    show_default=True,
    help="Minute from which the limit holds.",
)
@click.option(
    "--until",
    type=Number(float, "--until 60", least=0, most=1440),
    default=60,
    metavar="MIN",
    show_default=True,
    help="Minute until which it holds.",
)
@click.option("--seed", type=Number(int, "--seed 1", least=0), default=1, metavar="N", help="Repeats a session.")
@click.option("--messages", metavar="FILE", help="Draw a session of this recording of OCPP messages instead.")
@click.option("--station", metavar="NAME", help="Of the recording, if it holds several.")
@click.option("--transaction", type=int, metavar="ID", help="Of the recording, if it holds several.")
@click.option("--title", metavar="TEXT", help="What stands above the drawing.")
@click.pass_context
def plot(
    context: click.Context,
    /,
    file: str,
    direct: bool,
    phases: str,
    power: float | None,
    begin: float,
    until: float,
    messages: str | None,
    station: str | None,
    transaction: int | None,
    **options: Any,
) -> int:
    """Draw a charging session as SVG: power, limit, energy and state of charge ('-': standard output).

    The session of a vehicle is reckoned at once, or taken from messages that were recorded with
    `simulator ctl listMessages` or the like, with the measurands Power.Active.Import, Power.Offered and SoC besides the
    energy.
    """
    _either_kind_of_plot(context, messages)
    if until <= begin:
        raise click.UsageError("--until is not after --from: the limit would never hold")
    from simulator.cli.meter import plot_messages, plot_session

    if messages is not None:
        return plot_messages(file, messages, station=station, transaction=transaction, title=options["title"])
    kilowatts = power if power is not None else 150.0 if direct else 11.0
    return plot_session(file, direct=direct, phases=int(phases), kilowatts=kilowatts, minutes=(begin, until), **options)


def _either_kind_of_plot(context: click.Context, messages: str | None) -> None:
    """Refuse options that say nothing about the session that is drawn."""
    of_messages, of_both = {"station", "transaction"}, {"file", "messages", "title"}
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in of_both or context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        if messages is None and name in of_messages:
            raise click.UsageError(f"{parameter.opts[0]} is about a recording: give one with --messages")
        if messages is not None and name not in of_messages:
            raise click.UsageError(f"{parameter.opts[0]} is about a vehicle, but --messages draws what was recorded")
