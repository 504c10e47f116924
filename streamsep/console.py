"""Where tables are printed. Knows rich only; imported where something is printed, for rich takes its time to load."""

from __future__ import annotations

import sys

from rich.console import Console

PAGE = 150  # columns in a file or a pipe, where rich would cut a table at 80


def for_tables() -> Console:
    """Standard output, as wide as the terminal or, where there is none, a page."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PAGE)
