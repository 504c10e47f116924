"""Plain HTTP on the server's port: health, metrics and the browser client. Knows paths and headers, no WebSocket."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

SOCKET = "/v1"
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
}
_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    ),
}


def path_of(request: Request) -> str:
    return unquote(urlsplit(request.path).path)


def respond(status: HTTPStatus, body: str | bytes, type: str = "text/plain; charset=utf-8", **more: str) -> Response:
    data = body.encode() if isinstance(body, str) else body
    headers = Headers({**_HEADERS, "Content-Type": type, "Content-Length": str(len(data)), "Connection": "close"})
    headers.update({name.replace("_", "-"): value for name, value in more.items()})
    return Response(status.value, status.phrase, headers, data)


def static(folder: Path, path: str) -> Response:
    """The file of the browser client at ``path``; nothing outside ``folder`` is ever given."""
    name = path.lstrip("/") or "index.html"
    try:
        file = (folder / name).resolve()
        if file.is_relative_to(folder.resolve()) and file.is_file():
            type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            return respond(HTTPStatus.OK, file.read_bytes(), type)
    except (OSError, ValueError):
        pass
    return respond(HTTPStatus.NOT_FOUND, "There is nothing here; the stems are at /v1.\n")


def origin_allowed(headers: Headers, origins: tuple[str, ...]) -> bool:
    """Whether a page may connect: one of this server, or of an origin that was allowed. Programs name no origin."""
    try:
        given, host = headers.get("Origin"), headers.get("Host", "")
    except LookupError:  # given twice
        return False
    if given is None or "*" in origins or given in origins:
        return True
    try:
        return bool(host) and urlsplit(given).netloc == host
    except ValueError:  # http://[
        return False
