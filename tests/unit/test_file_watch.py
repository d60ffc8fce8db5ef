"""Real files that change in all the ways that editors and containers have."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
import trio

from simulator.control import file_watch
from simulator.control.file_watch import FileWatch

#: Wall seconds for a change to be noticed on a busy machine.
PATIENCE = 30.0


class Watched:
    """A watch that runs, over places of one folder."""

    def __init__(self, nursery: trio.Nursery, *places: Path) -> None:
        self.places: set[Path] = set(places)
        self.watch = FileWatch(lambda: self.places)
        self._nursery = nursery

    async def begin(self, *, listen: bool = True) -> None:
        await self.watch.begin()
        if listen:
            self._nursery.start_soon(self.watch.run)

    async def next(self) -> set[str]:
        with trio.fail_after(PATIENCE):
            return {path.name for path in await self.watch.next()}


def rename_over(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.swp")
    temporary.write_text(text)
    os.replace(temporary, path)


@pytest.mark.parametrize("write", [Path.write_text, rename_over])
async def test_a_file_that_is_written_or_replaced(tmp_path: Path, nursery: trio.Nursery, write: object) -> None:
    assert callable(write)
    file, other = tmp_path / "a.json", tmp_path / "b.json"
    file.write_text("1")
    watched = Watched(nursery, file)
    await watched.begin()
    for text in ("22", "333"):
        other.write_text(text)  # is nobody's business
        write(file, text)
        assert await watched.next() == {"a.json"}
    nursery.cancel_scope.cancel()


async def test_a_file_and_a_folder_that_were_not_there(tmp_path: Path, nursery: trio.Nursery) -> None:
    file = tmp_path / "folder" / "a.json"
    here = tmp_path / "a.json"
    watched = Watched(nursery, file, here)
    await watched.begin()
    here.write_text("1")
    assert await watched.next() == {"a.json"}
    file.parent.mkdir()
    file.write_text("1")
    assert await watched.next() == {"a.json"}
    file.write_text("22")
    assert await watched.next() == {"a.json"}
    file.unlink()
    assert await watched.next() == {"a.json"}
    nursery.cancel_scope.cancel()


async def test_a_link_that_is_set_to_another_folder(tmp_path: Path, nursery: trio.Nursery) -> None:
    """How Kubernetes exchanges all files of a volume at once."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "config.json").write_text("1" * number)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "config.json").symlink_to("..data/config.json")
    watched = Watched(nursery, tmp_path / "config.json")
    await watched.begin()
    (tmp_path / "..new").symlink_to("..2")
    os.replace(tmp_path / "..new", tmp_path / "..data")
    assert await watched.next() == {"config.json"}
    nursery.cancel_scope.cancel()


async def test_without_reports_of_the_system_files_are_looked_at(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "LOOK_EVERY", 0.05)
    file = tmp_path / "a.json"
    file.write_text("1")
    watched = Watched(nursery, file)
    await watched.begin(listen=False)
    file.write_text("22")
    assert await watched.next() == {"a.json"}


async def test_what_is_still_being_written_is_waited_for(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "NEVER_QUIET", PATIENCE)
    file = tmp_path / "a.json"
    file.write_text("")
    watched = Watched(nursery, file)
    await watched.begin()
    looks = 0
    real = file_watch.mark

    def mark(path: Path) -> file_watch.Mark:
        nonlocal looks
        looks += 1
        if 1 < looks < 6:  # a slow writer: something is new at each of these looks
            file.write_text("x" * looks)
        return real(path)

    monkeypatch.setattr(file_watch, "mark", mark)
    file.write_text("x")
    assert await watched.next() == {"a.json"}
    assert file.read_text() == "xxxxx"
    assert looks >= 6
    nursery.cancel_scope.cancel()


async def test_nothing_changes_within_the_time(tmp_path: Path, nursery: trio.Nursery) -> None:
    file = tmp_path / "a.json"
    file.write_text("1")
    watched = Watched(nursery, file)
    await watched.begin()
    assert await watched.watch.next(within=0.01) == set()
    nursery.cancel_scope.cancel()


def test_folders_of_places_that_cannot_be(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    places: Iterable[Path] = [loop / "a", tmp_path / ("x" * 5000)]
    for place in places:
        assert file_watch.mark(place) is None
