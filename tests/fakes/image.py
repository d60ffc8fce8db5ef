"""A Dockerfile's steps without Docker: replayed in a folder by a user who is nobody special.

Each stage starts with an empty folder that has nothing but an interpreter, as the base image has. Paths of the image
become paths below that folder, the user of the image becomes ours; what a step leaves must be as good there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

#: Who runs the steps where the tests run as root.
NOBODY = 65534
#: Folders of images that our Dockerfile names.
_FOLDERS = r"opt|src|data|etc/simulator"
# What a build gets from whoever runs it, as Docker hands on proxies: how to reach the package index.
_HANDED_ON = re.compile(r"PIP_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(https?|no|all)_proxy", re.IGNORECASE)


class Instruction(NamedTuple):
    """One instruction: its name, its options (``--from=build``), and the rest."""

    name: str
    options: Mapping[str, str]
    rest: str

    def words(self) -> list[str]:
        """The words of the rest: a JSON array, or as a shell splits them."""
        if self.rest.startswith("["):
            return [str(word) for word in json.loads(self.rest)]
        return shlex.split(self.rest)


def parse(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile (comments and continued lines, no heredocs)."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        options = {}
        while match := re.match(r"\s*--([a-z-]+)=(\S+)\s*", rest):
            options[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(name.upper(), options, rest.strip())


class Image:
    """What the steps of a Dockerfile left behind.

    :param context: the folder that COPY takes files from.
    :param folder: an empty one, which every user may enter.
    """

    def __init__(self, context: Path, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self.root = folder / "root"
        self._stage = ""
        self._stages: dict[str, Path] = {}
        self._python = interpreter(folder)
        self.environment: dict[str, str] = {}
        self.user = ""
        self.work_dir = "/"
        self.healthcheck: list[str] = []
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.volumes: list[str] = []
        self.stop_signal = ""
        self.options = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}

    # -- building ------------------------------------------------------------------------------------------------------

    def build(self, dockerfile: Path) -> None:
        """Replay every step, then leave nothing but volumes writable, as the image's files belong to root."""
        for instruction in parse(dockerfile.read_text()):
            getattr(self, f"_{instruction.name.lower()}")(instruction)
        # By the system's tools: there are tens of thousands of files.
        if os.geteuid() == 0:
            _tool("chown", "-R", "0:0", self.root)
        _tool("chmod", "-R", "a-w,a+rX", self.root)
        for volume in map(self.path, self.volumes):
            _tool("chmod", "-R", "u+w", volume)
            self._own(volume)

    def remove(self) -> None:
        """Delete everything."""
        _tool("chmod", "-R", "u+rwX", self._folder)
        _tool("rm", "-rf", self._folder)

    def path(self, path: str) -> Path:
        """Where a path of the image is here."""
        return self.root / os.path.join(self.work_dir, path).lstrip("/")

    def here(self, text: str) -> str:
        """A text with the image's paths and its user replaced by ours."""
        uid = f"{NOBODY}:{NOBODY}" if os.geteuid() == 0 else f"{os.getuid()}:{os.getgid()}"
        return re.sub(rf"(?<![\w./-])/({_FOLDERS})(?![\w-])", rf"{self.root}/\1", text).replace("10001:10001", uid)

    def variables(self) -> dict[str, str]:
        """The environment of the image's processes; nothing of ours is in it."""
        path = f"{self._python.parent}:/usr/local/bin:/usr/bin:/bin"
        base = {"PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8"}
        libraries = self._folder / "python" / "libraries"
        return {**base, **({"LD_LIBRARY_PATH": str(libraries)} if libraries.exists() else {}), **self.environment}

    def _from(self, instruction: Instruction) -> None:
        _, *name = instruction.rest.split(" AS ")
        if self.root.exists():
            # The same place for every stage, for the paths in their files; the former is kept for COPY --from.
            former = self._folder / f"stage-{len(self._stages)}"
            self.root.rename(former)
            self._stages[self._stage] = former
        self._stage = name[0].strip() if name else ""
        self.root.mkdir()
        self._own(self.root)
        self.environment, self.user, self.work_dir = {}, "", "/"

    def _workdir(self, instruction: Instruction) -> None:
        self.work_dir = instruction.rest
        self._make(self.path(""))

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = instruction.words()
        stage = instruction.options.get("from")
        place = self.path(target)
        into = target.endswith(("/", ".")) or place.is_dir()
        for source in sources:
            found = self._context / source if stage is None else self._stages[stage] / source.lstrip("/")
            if found.is_dir():
                # The content of a folder goes into the target, not the folder.
                shutil.copytree(
                    found, place, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                self._make(place if into else place.parent)
                shutil.copy(found, place)
        self._own(place)

    def _run(self, instruction: Instruction) -> None:
        handed_on = {name: value for name, value in os.environ.items() if _HANDED_ON.fullmatch(name)}
        result = subprocess.run(
            ["/bin/sh", "-c", self.here(instruction.rest)],
            cwd=self.path(""),
            env={**handed_on, **self.variables()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.options,  # type: ignore[call-overload]
        )
        assert result.returncode == 0, f"RUN {instruction.rest}\n{result.stdout}{result.stderr}"

    def _env(self, instruction: Instruction) -> None:
        for word in instruction.words():
            name, _, value = word.partition("=")
            value = re.sub(r"\$\{?(\w+)\}?", lambda match: self.variables().get(match[1], ""), self.here(value))
            self.environment[name] = value

    def _user(self, instruction: Instruction) -> None:
        self.user = instruction.rest

    def _volume(self, instruction: Instruction) -> None:
        self.volumes += instruction.words()

    def _expose(self, instruction: Instruction) -> None:
        assert int(instruction.rest) > 1024  # a user who is not root cannot listen below

    def _healthcheck(self, instruction: Instruction) -> None:
        kind, _, command = instruction.rest.partition(" ")
        assert kind == "CMD"
        self.healthcheck = [self.here(word) for word in instruction._replace(rest=command.strip()).words()]

    def _stopsignal(self, instruction: Instruction) -> None:
        self.stop_signal = instruction.rest

    def _entrypoint(self, instruction: Instruction) -> None:
        self.entrypoint = instruction.words()

    def _cmd(self, instruction: Instruction) -> None:
        self.command = instruction.words()

    # -- running -------------------------------------------------------------------------------------------------------

    def program(self, *arguments: str) -> list[str]:
        """The command line of the entry point with these arguments."""
        name, *rest = self.entrypoint
        found = shutil.which(name, path=self.variables()["PATH"])
        assert found is not None, f"{name} is not in the image's PATH"
        return [found, *rest, *(self.here(argument) for argument in arguments)]

    def is_healthy(self, **variables: str) -> bool:
        """Whether the health check is content, with these variables too."""
        check = subprocess.run(
            self.healthcheck,
            env={**self.variables(), **variables},
            cwd=self.path(""),
            capture_output=True,
            check=False,
            **self.options,  # type: ignore[call-overload]
        )
        return bool(check.returncode == 0)

    def _make(self, folder: Path) -> None:
        missing = [path for path in [folder, *folder.parents] if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            self._own(path)

    def _own(self, path: Path) -> None:
        """Give a path to who runs the steps."""
        if os.geteuid() == 0:
            _tool("chown", "-R", "-h", f"{NOBODY}:{NOBODY}", path)


def _tool(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), check=True)


def interpreter(folder: Path) -> Path:
    """A ``python3`` in a folder of its own that everybody can run: the one that runs us, or a copy of it."""
    found = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    if os.geteuid() == 0 and not _runs_for_nobody(found):
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        copy = folder / "python"
        (copy / "bin").mkdir(parents=True)
        ignored = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "config-*", "idlelib")
        shutil.copytree(Path(sys.base_prefix, "lib", version), copy / "lib" / version, ignore=ignored, symlinks=True)
        (copy / "lib" / version / "site-packages").mkdir()
        found = Path(shutil.copy(found, copy / "bin" / version))
        _copy_libraries(copy)
    script = folder / "bin" / "python3"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{found}" "$@"\n')
    script.chmod(0o755)
    return script


def _copy_libraries(copy: Path) -> None:
    """Copy what the copied interpreter's modules load from where nobody can look."""
    modules = map(str, copy.rglob("*.so"))
    listed = subprocess.run(["ldd", *modules, *map(str, (copy / "bin").iterdir())], capture_output=True, text=True)
    found = {Path(path) for path in re.findall(r"=> (/\S+)", listed.stdout)}
    hidden = {path for path in found if not str(path).startswith(("/lib", "/usr/"))}
    if hidden:
        (copy / "libraries").mkdir()
        for path in hidden:
            shutil.copy(path, copy / "libraries" / path.name)


def _runs_for_nobody(python: Path) -> bool:
    try:
        result = subprocess.run(
            [str(python), "-c", "import ensurepip, venv"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={},
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return result.returncode == 0
