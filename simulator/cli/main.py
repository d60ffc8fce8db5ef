"""Commands and options; what a user gets wrong is one clear line and an exit code, never a traceback.

Exit codes: 0 fine, 1 the files or the run failed, 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from simulator import __version__
from simulator.config.problems import ConfigurationError, Problem
from simulator.telemetry.log_format import LEVELS


class Failure(click.ClickException):
    """One line on standard error, exit code 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print the line as it is."""
        click.echo(self.message, err=True)


def main() -> NoReturn:
    """The console script."""
    cli(prog_name="simulator")
    sys.exit(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="simulator")
def cli() -> None:
    """Simulate fleets of electric-vehicle charging stations that speak OCPP-J to a central system."""


def _positive(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise click.BadParameter("must be more than 0", param=parameter)
    return value


def run_options(command: Any) -> Any:
    """The options that ``run`` and ``demo`` share."""
    for option in reversed(
        (
            click.option("--stations", type=click.IntRange(min=1), metavar="N", help="Total number of stations."),
            click.option(
                "--duration", type=float, callback=_positive, metavar="S", help="End in order after S seconds."
            ),
            click.option("--seed", type=int, metavar="N", help="Make the fleet's random choices repeatable."),
            click.option(
                "--speed",
                type=float,
                default=1.0,
                show_default=True,
                callback=_positive,
                metavar="X",
                help="Simulated seconds per second.",
            ),
            click.option(
                "--data-dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="State and logs."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, nothing else."),
            click.option("--log-level", type=click.Choice(sorted(LEVELS)), help="Log to standard error at this level."),
        )
    ):
        command = option(command)
    return command


@cli.command()
@click.argument("config", type=click.Path(path_type=Path), default="config.json")
@click.option("--csms", metavar="URL", help="Central system for all stations, instead of those the files name.")
@run_options
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Override a key of the configuration.")
def run(config: Path, csms: str | None, overrides: Sequence[str], **options: Any) -> None:
    """Run the fleet of a configuration file (config.json of this folder by default)."""
    from simulator.cli.runs import run_fleet

    with _user_errors():
        run_fleet(config, csms=csms, overrides=overrides, environ=os.environ, **options)


@cli.command()
@run_options
def demo(**options: Any) -> None:
    """Run a mixed fleet against an embedded central system; no file is needed."""
    from simulator.cli.runs import run_demo

    with _user_errors():
        if options["data_dir"] is not None:
            run_demo(environ=os.environ, **options)
        else:
            with tempfile.TemporaryDirectory(prefix="simulator-demo-", ignore_cleanup_errors=True) as folder:
                run_demo(environ=os.environ, **{**options, "data_dir": Path(folder)})


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0 picks a free one.")
@click.option(
    "--boot-status",
    type=click.Choice(["Accepted", "Pending", "Rejected"]),
    default="Accepted",
    show_default=True,
    help="The answer to every BootNotification.",
)
@click.option("--interval", type=click.IntRange(min=0), default=300, show_default=True, help="Heartbeat seconds.")
def csms(host: str, port: int, boot_status: str, interval: int) -> None:
    """Run only the embedded central system; its URL is printed on a line of its own."""
    from simulator.cli.runs import serve_csms

    with _user_errors():
        serve_csms(host, port, boot_status, interval)


@cli.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the problems as a JSON array.")
def check(files: Sequence[Path], as_json: bool) -> None:
    """Validate configuration, template and tag list files; print every problem with its path and a mend."""
    from simulator.templates.check import check_file

    problems = [problem for file in files for problem in check_file(file)]
    if as_json:
        click.echo(json.dumps([_as_dict(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(str(problem))
    errors = sum(1 for problem in problems if problem.severity == "error")
    if not as_json:
        click.echo(f"{len(files)} file(s): {errors} error(s), {len(problems) - errors} warning(s)", err=True)
    sys.exit(1 if errors else 0)


def _as_dict(problem: Problem) -> dict[str, str]:
    return {
        "file": problem.file,
        "path": problem.path,
        "severity": problem.severity,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


@contextmanager
def _user_errors() -> Iterator[None]:
    from simulator.cli.runs import RunFailed
    from simulator.storage.data_directory import DataDirectoryError

    try:
        yield
    except ConfigurationError as error:
        raise Failure(str(error)) from None
    except (DataDirectoryError, RunFailed) as error:
        raise Failure(str(error)) from None
