"""What takes too long for a test: ``python -m tests.soak live --help``. Each prints a table and a verdict."""

from __future__ import annotations

import typer

from tests.soak import live

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
app.callback()(lambda: None)
app.add_typer(live.app, name="live")

if __name__ == "__main__":
    app()
