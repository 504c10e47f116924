"""``streamsep serve``: arguments in, a server until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsep.errors import OptionError
from streamsep.serve.options import PAGES, ServeOptions


def serve(
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="Port to listen on; 0 for any that is free.")] = 8765,
    max_sessions: Annotated[
        int | None,
        typer.Option(metavar="N", help="Sessions at once.", show_default="as many as the measured speed allows"),
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    decode: Annotated[str, typer.Option(metavar="HOW", help="fused, soft, hard or guide.")] = "fused",
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Threads of the model.", show_default="the engine's choice")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compute each session alone: the bits of `separate`, for fewer sessions.")
    ] = False,
    no_fallback: Annotated[
        bool, typer.Option("--no-fallback", help="Never give a late live frame less than the whole model.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the token that clients must give; or STREAMSEP_TOKEN."),
    ] = None,
    certfile: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain for TLS (PEM).")] = None,
    keyfile: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key for TLS (PEM).")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Let pages of this origin connect too; * for all. May be given again."),
    ] = None,
    idle_timeout: Annotated[float, typer.Option(metavar="S", help="Seconds without a message.")] = 60.0,
    resume_time: Annotated[float, typer.Option(metavar="S", help="Seconds for which a lost client may resume.")] = 30.0,
    drain_time: Annotated[float, typer.Option(metavar="S", help="Seconds to finish in when told to stop.")] = 10.0,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log lines as JSON objects.")] = False,
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", hidden=True)] = None,
) -> None:
    """Give stems of live streams over a WebSocket, and a page for browsers at the same address.

    The protocol is in clients/PROTOCOL.md. /healthz, /readyz and /metrics are for whoever watches over the server.
    Ctrl-C or SIGTERM: what was heard is still answered, then everybody is told.

    \b
    Examples:
      streamsep serve
      streamsep serve --host 0.0.0.0 --certfile cert.pem --keyfile key.pem --token-file token
      streamsep serve --max-sessions 4 --log-json
      streamsep serve --origin https://radio.example
    """
    if max_sessions is not None and max_sessions < 1:
        raise OptionError(f"--max-sessions {max_sessions} is below 1; leave it out to have it measured.")
    options = ServeOptions(
        host=host,
        port=port,
        model=model,
        device=device.lower(),
        decode=decode.lower(),
        threads=threads,
        max_sessions=max_sessions or 0,
        exact=exact,
        fallback=not no_fallback,
        token=_token(token_file) if token_file else token,
        certfile=certfile,
        keyfile=keyfile,
        origins=tuple(origin or ()),
        pages=PAGES,
        idle_timeout=idle_timeout,
        resume_time=resume_time,
        drain_time=drain_time,
    )
    import asyncio

    from streamsep.serve.logs import set_up
    from streamsep.serve.server import Server, run

    def announce(server: Server) -> None:
        typer.echo(f"Open {server.page} in a browser, or connect to {server.url}. Ctrl-C ends.")

    set_up(log_json)
    asyncio.run(run(options, announce))


def _token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"the token file '{file}' cannot be read: {error}.") from error
