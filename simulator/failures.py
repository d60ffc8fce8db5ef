"""Why a run cannot go on as its user wants: failures that are told in one line, for those who must not import more."""

from __future__ import annotations


class UiCannotListen(Exception):
    """The UI server found no address to listen on; the text is one line for the user."""
