"""These tests need Playwright, which `nox -s browser` installs; elsewhere they are not there."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.browser.fixtures import browser, central, open_page, pytest_runtest_makereport, simulator

    __all__ = ["browser", "central", "open_page", "pytest_runtest_makereport", "simulator"]
