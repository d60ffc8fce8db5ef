"""The command line, as its own definition tells it."""

from __future__ import annotations

import click

from simulator.cli.main import cli
from simulator.docs.markdown import NOTHING, code, sentence, table


def command_line() -> str:
    """A heading, the help and the options of each command."""
    context = click.Context(cli, info_name="simulator")
    parts = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None and not command.hidden:
            parts.append(_command(click.Context(command, info_name=name, parent=context), command))
    return "\n\n".join(parts)


def _command(context: click.Context, command: click.Command) -> str:
    arguments = " ".join(_argument(parameter) for parameter in command.params if isinstance(parameter, click.Argument))
    heading = f"#### {code(' '.join(filter(None, ('simulator', context.info_name, arguments))))}"
    text = " ".join((command.help or "").split())
    options = [_option(option, context) for option in command.params if isinstance(option, click.Option)]
    return "\n\n".join((heading, text, table(("Option", "Default", "Meaning"), options)))


def _argument(argument: click.Argument) -> str:
    name = (argument.name or "").upper().removesuffix("S" if argument.nargs == -1 else "")
    name += "…" if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    info = option.to_info_dict()
    metavar = option.metavar or ("N" if isinstance(option.type, click.IntRange) else option.make_metavar(context))
    shown = option.opts[0] if option.is_flag else f"{option.opts[0]} {metavar}"
    meaning = sentence(option.help or "")
    if isinstance(option.type, click.Choice):
        shown = f"{option.opts[0]} {(option.name or '').rpartition('_')[2].upper()}"
        if not all(choice in meaning for choice in option.type.choices):
            meaning += f" One of {', '.join(map(code, option.type.choices))}."
    value = info["default"]
    plain = value is None or option.is_flag or option.multiple or not isinstance(value, str | int | float)
    return code(shown), NOTHING if plain else code(f"{value:g}" if isinstance(value, float) else str(value)), meaning
