"""The command line: click commands without logic of their own."""

from __future__ import annotations

from simulator.cli.main import main

__all__ = ["main"]
