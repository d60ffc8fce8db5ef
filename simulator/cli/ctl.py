"""The command ``ctl``: calls a procedure of the UI protocol on a simulator that runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from simulator.cli.options import Number, OneOf, ui_options
from simulator.cli.output import Failure, give, tell

SHELLS = ("bash", "zsh", "fish")

_EPILOG = """\
PAYLOAD is a JSON object, @FILE, - for standard input, or words like connectorId=1 idTag=CARD.

\b
simulator ctl simulatorState
simulator ctl listChargingStations limit=5 'fields=["started"]'
simulator ctl startTransaction --station CS-KEBA-00001 connectorId=1 idTag=CARD
simulator ctl subscribe 'topics=["messages"]' --station CS-KEBA-00001
simulator ctl --help-procedures

Completion of procedures: eval "$(simulator ctl --completion bash)" in ~/.bashrc; zsh and fish likewise.
"""


def _complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from ui_protocol.procedures import PROCEDURES

    return [
        CompletionItem(name, help=procedure.does)
        for name, procedure in PROCEDURES.items()
        if name.lower().startswith(incomplete.lower())
    ]


def _completion(context: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is None:
        return
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(f"no completion for {shell}")
    root = context.find_root()
    program = root.info_name or "simulator"
    give(kind(root.command, {}, program, f"_{program}_COMPLETE".replace("-", "_").upper()).source())
    context.exit()


def _help_procedures(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from ui_protocol.procedures import PROCEDURES

    width = max(map(len, PROCEDURES))
    give("\n".join(f"{name:{width}}  {procedure.does}" for name, procedure in PROCEDURES.items()))
    context.exit()


@click.command(epilog=_EPILOG)
@click.argument("procedure", shell_complete=_complete)
@click.argument("payload", nargs=-1)
@ui_options
@click.option("--cert", type=click.Path(path_type=Path), metavar="FILE", help="Own certificate for TLS, PEM.")
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="Its key, if it is in another file.")
@click.option("--hash-id", "hash_ids", multiple=True, metavar="ID", help="Only this station; the begin is enough.")
@click.option("--station", "names", multiple=True, metavar="NAME", help="Only the station of this name.")
@click.option(
    "--timeout",
    type=Number(float, "--timeout 120", above=0, most=86_400),
    default=120.0,
    show_default=True,
    metavar="S",
    help="Seconds to wait for the answer.",
)
@click.option("--compact", is_flag=True, help="Print the answer in one line.")
@click.option(
    "--completion",
    type=OneOf(SHELLS),
    expose_value=False,
    is_eager=True,
    callback=_completion,
    help="Print the completion script of a shell and exit.",
)
@click.option(
    "--help-procedures",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_help_procedures,
    help="List the procedures and exit.",
)
def ctl(
    procedure: str,
    payload: Sequence[str],
    url: str,
    user: str | None,
    password: str | None,
    hash_ids: Sequence[str],
    names: Sequence[str],
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    timeout: float,
    compact: bool,
) -> int:
    """Call PROCEDURE on a running simulator and print its answer as JSON.

    Exit code 0: success; 1: the procedure failed, or the simulator cannot be reached.
    """
    from simulator.cli.ui_client import UiClient

    if key is not None and cert is None:
        raise click.UsageError("--key is a key without a certificate: add --cert")
    client = UiClient(url, user, password, ca, timeout, cert=cert, key=key)
    parameters = read_payload(payload, procedure)
    if hash_ids or names:
        if "hashIds" in parameters:
            raise click.UsageError("stations are named twice, by --hash-id or --station and by hashIds")
        parameters["hashIds"] = client.find_stations(hash_ids, names)
    if procedure == "subscribe":
        client.follow(parameters, give)
        return 0
    answer = client.call(procedure, parameters)
    give(_text(answer, compact=compact))
    for warning in answer.get("warnings") or ():
        tell(f"warning: {warning}")
    if answer.get("status") == "success":
        return 0
    reason = answer.get("errorMessage") or _first_reason(answer)
    tell(f"error: {procedure} failed" + (f": {reason}" if reason else ""))
    return 1


def read_payload(words: Sequence[str], procedure: str = "") -> dict[str, Any]:
    """The parameters: one JSON object, ``@FILE``, ``-``, or words ``name=value`` whose value is JSON or else text.

    :param procedure: what is called: a member of it that is a text is one too when it looks like a number.

    :raises click.UsageError: they are none of these.
    """
    import json

    if len(words) == 1 and (words[0] == "-" or words[0][:1] in {"@", "{"}):
        word = words[0]
        try:
            if word == "-":
                text = sys.stdin.read()
            elif word.startswith("@"):
                text = Path(word[1:]).read_text(encoding="utf-8")
            else:
                text = word
            found = json.loads(text)
        except OSError as error:
            raise click.UsageError(f"{word[1:]}: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"the payload is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise click.UsageError("the payload is not an object, for example '{\"connectorId\": 1}'")
        return found
    parameters: dict[str, Any] = {}
    texts = _text_members(procedure) if words else frozenset()
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise click.UsageError(f'"{word}" is neither a JSON object nor name=value')
        try:
            parameters[name] = json.loads(value)
        except (ValueError, RecursionError):
            parameters[name] = value
        if name in texts and not isinstance(parameters[name], str):
            parameters[name] = value
    return parameters


def _text_members(procedure: str) -> frozenset[str]:
    """The members of a procedure that are texts and nothing else."""
    import msgspec

    from ui_protocol.procedures import PROCEDURES

    known = PROCEDURES.get(procedure)
    if known is None:
        return frozenset()
    kind = msgspec.inspect.type_info(known.request)
    assert isinstance(kind, msgspec.inspect.StructType)
    return frozenset(field.encode_name for field in kind.fields if _is_text(field.type))


def _is_text(kind: Any) -> bool:
    import msgspec

    kind = _bare(kind)
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return any(isinstance(each, msgspec.inspect.StrType | msgspec.inspect.EnumType) for each in map(_bare, kinds))


def _bare(kind: Any) -> Any:
    """A type without its description."""
    import msgspec

    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def _first_reason(answer: dict[str, Any]) -> str | None:
    failed = answer.get("responsesFailed") or []
    if not failed:
        return None
    first = failed[0]
    reason: Any = first.get("errorMessage") or _text(first.get("commandResponse"), compact=True)
    return f"{reason} (and {len(failed) - 1} more)" if len(failed) > 1 else str(reason)


def _text(value: Any, *, compact: bool) -> str:
    import json

    return json.dumps(value, indent=None if compact else 2, ensure_ascii=False)
