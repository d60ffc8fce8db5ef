"""Everything that is checked before a change is merged.

`nox` runs the tests on the current interpreter, then lint, types, import rules and the generated documents.
`nox -s tests-3.12` runs the tests on another interpreter (skipped where it is missing);
`nox -s interop`, `dashboard`, `browser`, `databases`, `bench` and `soak` run by name.
Arguments after `--` go to the tool of the session.
"""

import shutil

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests", "lint", "types", "imports", "readme"]
nox.options.error_on_missing_interpreters = False
# An interpreter that is not here is skipped, not fetched: offline a fetch only costs time.
nox.options.download_python = "never"

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]

# Suites that need something outside Python's package index, or hours: each has a session of its own.
SUITES_BY_NAME = ["interop", "browser", "databases"]
# What a central system of the interop tests is made of.
WEBSOCKETS = "websockets>=15"
PLAYWRIGHT = "playwright>=1.50"
# What holds the OpenAPI document against the server.
SCHEMATHESIS = "schemathesis>=4.10"
# A second driver of PostgreSQL; the first of each database comes with the project's extra `databases`.
PG8000 = "pg8000>=1.31"
# pytest refuses to deselect a marker that it does not know.
MARKERS = {line.partition(":")[0] for line in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]}


def install(session: nox.Session, *groups: str, project: bool = True) -> None:
    """Install the project (unless the session only reads its files) and the named dependency groups."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    session.install(*(["."] if project else []), *requirements)


def run_tests(session: nox.Session) -> None:
    """Run every test that needs nothing but Python."""
    install(session, "test")
    deselected = " and ".join(f"not {suite}" for suite in SUITES_BY_NAME if suite in MARKERS)
    ignored = [f"--ignore=tests/{suite}" for suite in SUITES_BY_NAME]
    session.run("pytest", "-m", deselected, *ignored, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Unit, station, acceptance and process tests on the current interpreter: in memory, over sockets, as a whole."""
    run_tests(session)


# Sessions of their own rather than one list of interpreters: `tests` stays the current one, whatever is installed.
for version in PYTHONS:
    nox.session(run_tests, name=f"tests-{version}", python=version)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    install(session, "lint", project=False)
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy over the packages and the tests."""
    install(session, "types")
    session.install(WEBSOCKETS, PLAYWRIGHT, SCHEMATHESIS)
    session.run("mypy", *session.posargs)
    session.run("mypy", "--explicit-package-bases", "tests", "benchmarks", env={"MYPYPATH": "."})


@nox.session
def imports(session: nox.Session) -> None:
    """Each room imports only the rooms below it."""
    install(session, "imports")
    session.run("lint-imports", *session.posargs)


@nox.session
def readme(session: nox.Session) -> None:
    """The generated parts of the README and the published schemas are up to date."""
    install(session)
    session.run("python", "-m", "simulator.docs", "--check", *session.posargs)
    session.run("python", "-m", "ui_protocol.publish", "--check")


@nox.session
def interop(session: nox.Session) -> None:
    """Against programs of others: PyPI `ocpp` on `websockets`, npm `ocpp-rpc` and a client on `ws`, Schemathesis."""
    install(session, "test")
    session.install(WEBSOCKETS, SCHEMATHESIS)
    if shutil.which("npm") is None or shutil.which("node") is None:
        session.error("Node.js 18 or newer and npm are missing: install them, for example `apt-get install nodejs npm`")
    with session.chdir("tests/interop"):
        # package.json pins the versions; a lock file would also pin the registry they came from.
        npm = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
        session.run(*npm, external=True)
    # These tests last longer than all others: the file says how long each may take.
    session.run(
        *("pytest", "tests/interop", "-m", "interop", "-o", "faulthandler_timeout=0", *session.posargs),
        env={"INTEROP_REQUIRED": "1"},
    )


@nox.session
def dashboard(session: nox.Session) -> None:
    """Strict types of the dashboard's modules, which are written in their comments (JSDoc)."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        session.error("Node.js 18 or newer and npm are missing: install them, for example `apt-get install nodejs npm`")
    tools = session.create_tmp()
    npm = ("npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
    session.run(*npm, "--prefix", tools, "typescript@5.9", external=True)
    compiler = f"{tools}/node_modules/typescript/bin/tsc"
    session.run("node", compiler, "--project", "tests/browser", *session.posargs, external=True)


@nox.session
def browser(session: nox.Session) -> None:
    """The dashboard in a headless Chromium; screenshots are left in `artifacts/browser`."""
    install(session, "test")
    # A browser of the system is used where there is one: Playwright's package brings none.
    session.install(PLAYWRIGHT)
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        session.run("playwright", "install", "chromium")
    # What is tested is a process of its own, and starts while others do: these tests last longer than the rest.
    unwatched = ("-o", "faulthandler_timeout=0")
    session.run("pytest", "tests/browser", "-m", "browser", "--timeout=300", *unwatched, *session.posargs)


@nox.session
def databases(session: nox.Session) -> None:
    """Performance records in real servers: PostgreSQL, MariaDB, and FerretDB for the protocol of MongoDB.

    A server that is not installed is skipped, unless DATABASES_REQUIRED names its kind.
    """
    install(session, "test")
    session.install(".[databases]", PG8000)
    # The time that servers take to start is not the tests'.
    limits = ("--timeout=150", "-o", "timeout_func_only=true", "-o", "faulthandler_timeout=0")
    session.run(
        *("pytest", "tests/databases", "-m", "databases", *limits, *session.posargs),
        env={"DATABASES_CACHE": session.create_tmp()},
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Reproducible measurements beside bare loops; they print a table and fail only when a run fails."""
    install(session)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Ten minutes of 5,000 busy stations: memory must not grow, no message be lost. `-- --stations 500 --minutes 2`."""
    install(session)
    session.run("python", "-m", "benchmarks.soak", *session.posargs)
