"""The generated parts of the README: what is stale is said, what is broken is refused, the tables tell the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.docs.__main__ import main
from simulator.docs.commands import command_line
from simulator.docs.documents import PARTS
from simulator.docs.models import config_sections, template_keys
from simulator.docs.ocpp import ocpp_commands, ocpp_keys

REPOSITORY = Path(__file__).parents[2]


def run(root: Path, *options: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, ["--root", str(root), *options])
    return result.exit_code, result.output.splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text((REPOSITORY / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_what_is_stale_is_named_line_by_line_and_mended(copy: Path) -> None:
    assert run(copy)[0] == 0
    assert run(copy, "--check") == (0, [])
    readme = copy / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(text.replace("| `resetTime` |", "| `restTime` |"), encoding="utf-8")
    (copy / "station_templates/schemas/config.schema.json").unlink()
    code, lines = run(copy, "--check")
    assert code == 1
    assert [line.partition(": stale")[0] for line in lines] == [
        "README.md: template-keys",
        str(Path("station_templates/schemas/config.schema.json")),
    ]
    assert run(copy)[0] == 0
    assert readme.read_text(encoding="utf-8") == text
    assert run(copy, "--check") == (0, [])


def test_what_people_write_between_the_parts_stays(copy: Path) -> None:
    run(copy)
    readme = copy / "README.md"
    text = readme.read_text(encoding="utf-8").replace("## OCPP\n", "## OCPP\n\nA word of ours.\n")
    readme.write_text(text.replace("| `resetTime` |", "| `restTime` |"), encoding="utf-8")
    run(copy)
    assert readme.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("<!-- end: generator -->", ""), "no partner"),
        (("<!-- begin: generator -->", "<!-- begin: generators -->"), "no partner"),
        ((": generator -->", ": generators -->"), "generator, generators"),
    ],
)
def test_broken_markers_are_refused_and_nothing_is_written(copy: Path, change: tuple[str, str], complaint: str) -> None:
    readme = copy / "README.md"
    text = readme.read_text(encoding="utf-8").replace(*change)
    readme.write_text(text, encoding="utf-8")
    code, lines = run(copy)
    assert code == 1
    assert len(lines) == 1
    assert complaint in lines[0]
    assert readme.read_text(encoding="utf-8") == text
    assert not (copy / "station_templates").exists()


def test_without_a_readme_one_line_says_what_to_do(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "--check")
    assert code == 1
    assert len(lines) == 1
    assert "--root" in lines[0]


def test_every_table_is_well_formed() -> None:
    for name, make in PARTS.items():
        for block in re.findall(r"(?:^\|.*\|$\n?)+", make(), re.MULTILINE):
            columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(columns) == 1, f"{name}: {block.splitlines()[0]}"


def test_keys_that_do_nothing_yet_are_marked() -> None:
    assert not re.search(r"\| `resetTime` .*Does nothing yet", template_keys())
    section = config_sections().partition("#### `worker`")[2].partition("####")[0]
    assert re.search(r"\| `poolStrategy` .*Does nothing yet", section)
    assert not re.search(r"\| `startDelay` .*Does nothing yet", section)


def test_commands_are_those_that_a_station_carries_out() -> None:
    table = ocpp_commands()
    assert "| Core | `Reset` | yes | – |" in table
    assert "| Core | `StartTransaction` | – | yes |" in table
    assert "| Security | `SignCertificate` | – | yes |" in table


def test_ocpp_keys_have_their_access_and_value() -> None:
    assert "| `NumberOfConnectors` | integer | R | – |" in ocpp_keys()
    assert "| `ConnectionTimeOut` | integer | RW | `30` |" in ocpp_keys()


def test_each_command_and_option_is_there() -> None:
    text = command_line()
    for words in ("simulator run [CONFIG]", "simulator demo", "simulator csms", "simulator check FILE…"):
        assert f"#### `{words}`" in text
    assert "| `--speed X` | `1` | Simulated seconds per second. |" in text
