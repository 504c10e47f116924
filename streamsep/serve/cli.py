"""``streamsep serve``: arguments in, a server until it is told to stop."""

from __future__ import annotations

import os
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
        typer.Option(
            metavar="N",
            help="Sessions at once. Measured, they are counted at lookahead 0; one at -1 takes 2.5 places.",
            show_default="as many as the measured speed allows",
        ),
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
    idle_timeout: Annotated[float, typer.Option(metavar="S", help="Seconds without a message heard or read.")] = 60.0,
    resume_time: Annotated[float, typer.Option(metavar="S", help="Seconds for which a lost client may resume.")] = 30.0,
    drain_time: Annotated[float, typer.Option(metavar="S", help="Seconds to finish in when told to stop.")] = 10.0,
    ray: Annotated[bool, typer.Option("--ray", help="Run replicas of the server with Ray Serve; see above.")] = False,
    replicas: Annotated[
        str, typer.Option(metavar="N|MIN:MAX", help="With --ray: replicas, or as many as the sessions need.")
    ] = "1",
    log_json: Annotated[bool, typer.Option("--log-json", help="Log lines as JSON objects.")] = False,
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", hidden=True)] = None,
) -> None:
    """Give stems of live streams over a WebSocket, and a page for browsers at the same address.

    The protocol is in clients/PROTOCOL.md. /healthz, /readyz and /metrics are for whoever watches over the server.
    Ctrl-C or SIGTERM: what was heard is still answered, then everybody is told.

    --ray (pip install 'streamsep[ray]') deploys the same server as a Ray Serve application, on this machine or on the
    cluster that RAY_ADDRESS names. Each replica has its own model and --max-sessions places; a WebSocket stays with its
    replica. What differs: Ray's proxy reads clients as fast as they write and takes stems however slowly they are read,
    so a client must keep to the window of ready, and must acknowledge stems; /readyz and /metrics answer for the
    replica that they reach; the proxy offers compression; a client that comes back finds its session only at the
    replica that has it, and is told to try again at any other; a replica that goes lets its sessions end for an hour.

    \b
    Examples:
      streamsep serve
      streamsep serve --host 0.0.0.0 --certfile cert.pem --keyfile key.pem --token-file token
      streamsep serve --max-sessions 4 --log-json
      streamsep serve --origin https://radio.example
      streamsep serve --ray --max-sessions 8 --replicas 2:10
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
        token=_token(token_file) if token_file else _checked(token),
        certfile=certfile,
        keyfile=keyfile,
        origins=tuple(origin or ()),
        pages=PAGES,
        idle_timeout=idle_timeout,
        resume_time=resume_time,
        drain_time=drain_time,
    )
    if ray:
        from streamsep.serve.cluster import Replicas, serve_on_ray

        serve_on_ray(options, Replicas.parse(replicas), log_json, _announce)
        return
    if replicas != "1":
        raise OptionError("--replicas needs --ray.")
    import asyncio

    from streamsep.serve.logs import set_up
    from streamsep.serve.server import Server, run

    def announce(server: Server) -> None:
        _announce(server.page)

    set_up(log_json)
    asyncio.run(run(options, announce))


def _announce(page: str) -> None:
    from streamsep.serve.pages import SOCKET

    socket = page.replace("http", "ws", 1) + SOCKET.lstrip("/")
    typer.echo(f"Open {page} in a browser, or connect to {socket}. Ctrl-C ends.")


def _checked(token: str | None) -> str | None:
    """An empty variable is one that somebody forgot to fill; whoever reads options takes it for none."""
    if token is None and "STREAMSEP_TOKEN" in os.environ:
        raise OptionError(
            "STREAMSEP_TOKEN is empty; set it to what cannot be guessed, or unset it to let everybody in."
        )
    return token


def _token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"the token file '{file}' cannot be read: {error}.") from error
