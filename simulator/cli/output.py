"""What a command says: results on standard output, everything else on standard error, one line each.

No stream is taken for granted: it may be closed, a pipe that nobody reads any more, a full disk, or not UTF-8.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.config.problems import Problem


class Failure(Exception):
    """The command failed; the text is one line that says why and how to mend it. Exit code 1."""


def prepare_streams() -> None:
    """Write characters that a stream does not know as escapes instead of failing for them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Say something to the user on standard error, if there is one."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def tell_problems(problems: Iterable[Problem]) -> None:
    """Say what is wrong in the user's files, a line each that begins with ``error`` or ``warning``."""
    for problem in problems:
        tell(problem_line(problem))


def problem_line(problem: Problem) -> str:
    """A problem in one line that begins with its severity."""
    return printable(f"{problem.severity}: {problem}")


def give(text: str) -> None:
    """Write a result to standard output.

    :raises Failure: it cannot be written. A pipe that nobody reads any more is no failure: the reader has had enough.
    """
    if sys.stdout is None:
        return
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        silence()
    except (OSError, ValueError) as error:
        silence()
        reason = error.strerror if isinstance(error, OSError) else "it is closed"
        raise Failure(f"standard output cannot be written ({reason})") from None


def silence() -> None:
    """Let the interpreter's last flush of standard output go nowhere: it would complain about a broken pipe."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def is_broken_pipe(error: OSError) -> bool:
    """Whether the reader of our output has gone; Windows says EINVAL."""
    return error.errno == errno.EPIPE or (sys.platform == "win32" and error.errno == errno.EINVAL)


def printable(text: str) -> str:
    """The text in one line and without what a terminal would obey: some of it comes from the network."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))


def count(number: int, noun: str) -> str:
    """``1 station``, ``2 stations``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
