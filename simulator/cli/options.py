"""Options that several commands share, and the numbers that they take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    ParameterType = click.ParamType[Any]
else:
    ParameterType = click.ParamType  # older versions of click know no parameter of the type

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "crit", "alert", "emerg")
#: Levels of other programs, and what they are called here.
OTHER_LOG_LEVELS = {
    "warn": "warning",
    "err": "error",
    "critical": "crit",
    "fatal": "emerg",
    "trace": "debug",
    "verbose": "info",
    "silly": "debug",
}

#: Simulated seconds per second; a year goes by in five minutes.
FASTEST = 100_000
#: Stations that start in a second; more than any machine starts.
FASTEST_START = 100_000
#: Seconds of a run: three hundred years.
LONGEST = 10_000_000_000
DEFAULT_URL = "http://localhost:8080"
MOST_STATIONS = 1_000_000


class Number(ParameterType):
    """A number within bounds, with an error that says what to write.

    :param above: the number must be more than this.
    """

    name = "number"

    def __init__(
        self,
        kind: type[int] | type[float],
        example: str,
        *,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
    ) -> None:
        self._kind = kind
        self._example = example
        self._least, self._above, self._most = least, above, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Click's hook."""
        try:
            number = self._kind(value)
        except (ValueError, OverflowError):
            number = math.nan
        if not self._fits(number):
            self.fail(f'expected {self._expected()}, got "{value}", for example {self._example}', param, ctx)
        return number

    def _fits(self, number: float) -> bool:
        if isinstance(number, float) and not math.isfinite(number):
            return False
        low = (self._least is not None and number < self._least) or (self._above is not None and number <= self._above)
        return not low and (self._most is None or number <= self._most)

    def _expected(self) -> str:
        words = "a whole number" if self._kind is int else "a number"
        if self._least is not None:
            words += f" from {self._least}" + (f" to {self._most}" if self._most is not None else "")
        elif self._above is not None:
            words += f" above {self._above}" + (f", at most {self._most}" if self._most is not None else "")
        return words


class OneOf(click.Choice):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """One of a few words in any case, with an error that shows them all and the one that was probably meant.

    :param others: words of other programs, and what they are called here.
    """

    def __init__(self, words: Sequence[str], others: Mapping[str, str] | None = None) -> None:
        super().__init__(list(words), case_sensitive=False)
        self._others = others or {}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Click's hook."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            # Here, for --help is not to wait for what it does not need.
            from simulator.config.problems import nearest

            words = [str(word) for word in self.choices]
            meant = self._others.get(str(value).lower()) or nearest(str(value), words)
            hint = f'; did you mean "{meant}"?' if meant else ""
            self.fail(f'expected one of {", ".join(words)}, got "{value}"{hint}', param, ctx)


def ui_options(command: Any) -> Any:
    """The options that say how to reach the UI server of a simulator that runs."""
    for option in reversed(
        (
            click.option(
                "--url",
                envvar="SIMULATOR_UI_URL",
                default=DEFAULT_URL,
                show_default=True,
                metavar="URL",
                help="Where the simulator's UI server is. Or $SIMULATOR_UI_URL.",
            ),
            click.option(
                "--user", envvar="SIMULATOR_UI_USER", metavar="USER", help="User name. Or $SIMULATOR_UI_USER."
            ),
            click.option(
                "--password",
                envvar="SIMULATOR_UI_PASSWORD",
                metavar="PASSWORD",
                help="Password; better $SIMULATOR_UI_PASSWORD, where other users of this machine cannot see it.",
            ),
            click.option(
                "--ca", type=click.Path(path_type=Path), metavar="FILE", help="Trusted certificate authority, PEM."
            ),
        )
    ):
        command = option(command)
    return command


def run_options(command: Any) -> Any:
    """The options that ``run`` and ``demo`` share."""
    for option in reversed(
        (
            click.option(
                "--stations",
                type=Number(int, "--stations 20", least=1, most=MOST_STATIONS),
                metavar="N",
                help="Total number of stations.",
            ),
            click.option(
                "--start-rate",
                type=Number(float, "--start-rate 100", above=0, most=FASTEST_START),
                metavar="N",
                help="Start N stations a second, instead of as worker of the configuration says.",
            ),
            click.option(
                "--duration",
                type=Number(float, "--duration 60", above=0, most=LONGEST),
                metavar="S",
                help="End in order after S seconds; without it, on Ctrl-C.",
            ),
            click.option(
                "--seed", type=Number(int, "--seed 1"), metavar="N", help="Make the fleet's random choices repeatable."
            ),
            click.option(
                "--speed",
                type=Number(float, "--speed 60", above=0, most=FASTEST),
                default=1.0,
                show_default=True,
                metavar="X",
                help="Simulated seconds per second.",
            ),
            click.option("--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where state and logs go."),
            click.option("--no-ui", is_flag=True, help="Run without the UI server and its dashboard."),
            click.option("--no-watch", is_flag=True, help="Do not follow changes of files while the fleet runs."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, nothing else."),
            click.option(
                "--log-level",
                type=OneOf(LOG_LEVELS, OTHER_LOG_LEVELS),
                metavar="LEVEL",
                help=f"Log from this level on, and to standard error too: {', '.join(LOG_LEVELS)}.",
            ),
        )
    ):
        command = option(command)
    return command
