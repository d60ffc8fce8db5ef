"""Whether a file of performance records can be written at all, found out without touching anything."""

from __future__ import annotations

import os
from pathlib import Path


def file_trouble(path: Path) -> str | None:
    """Why a file cannot be written whatever time passes, in one line; None if it can, or if its place is relative.

    Folders that are missing are no trouble where they can be made.
    """
    if not path.is_absolute():
        return None
    try:
        if path.exists():
            if path.is_dir():
                return f"{path} is a folder: name a file in it"
            if not path.is_file():
                return f"{path} is no regular file: name another"
            return None if os.access(path, os.R_OK | os.W_OK) else f"{path} cannot be written: permission denied"
        folder = next(parent for parent in path.parents if parent.exists())
    except (OSError, ValueError) as error:
        return f"{path} can be no file ({getattr(error, 'strerror', None) or error})"
    if not folder.is_dir():
        return f"{path} cannot be made: {folder} is a file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{path} cannot be made: no permission to write in {folder}"
    return None
