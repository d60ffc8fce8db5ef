"""Which test pins what: tables made from ``tests/acceptance/table.toml`` and the sources of the tests.

A test is named by its function, whose name is its own among all tests; its file is looked up.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import simulator
from simulator.docs.markdown import code, table

TESTS = Path(simulator.__file__).parents[1] / "tests"
ACCEPTANCE = TESTS / "acceptance"
#: Below :data:`TESTS`, where tests are looked for.
FOLDERS = ("acceptance", "station", "unit", "transport")

_SCENARIO = "test_e"
_INTRODUCTION = """# Acceptance

What central systems and the certification tool of the Open Charge Alliance expect of a station, and the tests that pin
it. Everything is observed from the central system's side of the WebSocket; people and vehicles are moved by the verbs
of the control protocol.

The tests of this folder, all scenarios among them, run over real sockets: the station connects by TCP to a port of
127.0.0.1, by the transport that the program takes by default. Time is virtual all the same, and passes only when no
byte is under way. Tests of `tests/station` that a case names connect in memory, with the same WebSocket frames, and
with TLS where the case is about it.

Made by `python -m simulator.docs` from `table.toml` and from the tests themselves.
"""


class UnknownTest(LookupError):
    """A table names a test that is not there, or that is there twice."""


class TestFunction:
    """A test function."""

    def __init__(self, name: str, file: Path, says: str) -> None:
        self.name = name
        #: Below the folder of all tests.
        self.file = file
        #: The first line of its docstring, empty without one.
        self.says = says


@cache
def tests() -> Mapping[str, tuple[TestFunction, ...]]:
    """The test functions by name; more than one under a name cannot be told apart."""
    found: dict[str, tuple[TestFunction, ...]] = {}
    for folder in FOLDERS:
        for file in sorted((TESTS / folder).glob("test_*.py")):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    says = (ast.get_docstring(node) or "").partition("\n")[0]
                    test = TestFunction(node.name, file.relative_to(TESTS), says)
                    found[node.name] = (*found.get(node.name, ()), test)
    return found


def find(name: str) -> TestFunction:
    """The test of that name. :raises UnknownTest: there is none, or more than one."""
    found = tests().get(name, ())
    if len(found) != 1:
        raise UnknownTest(f"{name}: {len(found)} tests of that name in tests/{{{','.join(FOLDERS)}}}")
    return found[0]


@cache
def mapping() -> Mapping[str, Any]:
    """``table.toml``: the cases of the certification tool, and the configuration keys.

    :raises UnknownTest: there is no such file beside the package.
    """
    file = ACCEPTANCE / "table.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnknownTest(f"{file}: cannot be read ({error.strerror}); run the package of the repository") from None


def test_pinning(key: str) -> str:
    """The test that pins a configuration key, as code in Markdown.

    :raises UnknownTest: the key has none, or see :func:`find`.
    """
    name = mapping()["keys"].get(key)
    if name is None:
        raise UnknownTest(f"{ACCEPTANCE / 'table.toml'}: no test under [keys] for {key}")
    return code(find(name).name)


def scenarios() -> dict[int, TestFunction]:
    """The acceptance scenarios by number."""
    numbered = {}
    for name in tests():
        number, _, rest = name.removeprefix(_SCENARIO).partition("_")
        if name.startswith(_SCENARIO) and number.isdecimal() and rest:
            numbered[int(number)] = find(name)
    return dict(sorted(numbered.items()))


def acceptance() -> str:
    """The whole document."""
    of_scenarios = [(str(number), test.says, _link(test)) for number, test in scenarios().items()]
    of_cases = [
        (f"TC_{case}", entry["name"], entry["result"], ", ".join(_link(find(name)) for name in entry["tests"]))
        for case, entry in mapping()["cases"].items()
    ]
    parts = [
        _INTRODUCTION,
        "## Scenarios\n",
        table(("#", "What happens", "Test"), of_scenarios) + "\n",
        "## Cases of the certification tool for charge points, OCPP 1.6\n",
        table(("Case", "Name", "Result", "Tests"), of_cases) + "\n",
    ]
    return "\n".join(parts)


def _link(test: TestFunction) -> str:
    return f"[{code(test.name)}]({Path('..') / test.file})"
