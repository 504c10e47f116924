"""``streamsep serve --ray``: the same sessions as a Ray Serve application, several replicas behind one address.

Each replica has an engine and sessions of its own; Ray starts replicas, spreads WebSockets over them and starts more
when they fill. Knows Ray; knows nothing of sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamsep.errors import OptionError, StreamsepError
from streamsep.serve.asgi import Application
from streamsep.serve.core import Core
from streamsep.serve.logs import set_up
from streamsep.serve.options import ServeOptions

APP = "streamsep"
DOOR = 32  # requests of a replica beyond its sessions: pages, health, and those who are told that there is no place
QUEUE = 256  # requests that wait in Ray's proxy for a replica
FULL = 0.8  # part of the sessions above which another replica is started
LEAVE = 3_600.0  # seconds that Ray gives the sessions of a replica that is to go


@dataclass(frozen=True)
class Replicas:
    """So many replicas, or as many between ``least`` and ``most`` as the sessions need."""

    least: int = 1
    most: int = 1

    @classmethod
    def parse(cls, text: str) -> Replicas:
        """``N`` or ``MIN:MAX``. Raises OptionError."""
        least, _, most = text.partition(":")
        try:
            replicas = cls(int(least), int(most or least))
        except ValueError:
            raise OptionError(f"--replicas '{text}' is neither a number nor MIN:MAX.") from None
        if not 1 <= replicas.least <= replicas.most:
            raise OptionError(f"--replicas {text} makes no sense; give 1 or more, and MIN:MAX in this order.")
        return replicas


class Replica:
    """What Ray starts as often as it is asked to, each in a process of its own."""

    def __init__(self, options: ServeOptions, log_json: bool) -> None:
        serve = importlib.import_module("ray.serve")
        set_up(log_json)
        name = serve.get_replica_context().replica_id.unique_id
        self._core = Core(options, name)

    def __serve_build_asgi_app__(self) -> Application:
        return Application(self._core)

    async def drain(self) -> None:
        """Answer what was heard, tell everybody; returns when they have gone, or after a while."""
        self._core.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._core.options.drain_time + 3):
                while self._core.connections:
                    await asyncio.sleep(0.02)


def serve_on_ray(options: ServeOptions, replicas: Replicas, log_json: bool, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``announce`` is told the address when all is ready.

    Raises OptionError when Ray is missing or the options do not fit it, StreamsepError when nothing can be started.
    """
    ray, serve = _import()
    options = _check(options)
    with _connected(ray, options, replicas) as own:
        http = {"host": options.host, "port": options.port}
        if options.certfile is not None:
            http |= {"ssl_certfile": str(options.certfile), "ssl_keyfile": str(options.keyfile)}
        quiet = {"log_level": "WARNING", "enable_access_log": False}
        try:
            serve.start(http_options=http, logging_config=quiet)
            app = application(serve, options, replicas, log_json)
            handle = serve.run(app, name=APP, route_prefix="/", logging_config=quiet)
        except (RuntimeError, ray.exceptions.RayError) as error:
            raise StreamsepError(f"Ray could not start the replicas: {_first_line(error)}") from error
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        announce(options.page(options.port))
        while not stop.wait(1.0):  # a wait without an end would never let a signal in
            pass
        with contextlib.suppress(TimeoutError):
            handle.broadcast("drain").results(timeout_s=options.drain_time + 10)
        if not own:
            serve.delete(APP)


def application(serve: Any, options: ServeOptions, replicas: Replicas, log_json: bool) -> Any:
    """What ``serve.run`` takes; ``serve`` is the module of Ray."""
    slots = options.max_sessions
    how: dict[str, Any] = {"num_replicas": replicas.least}
    if replicas.most > replicas.least:
        scaling = {"min_replicas": replicas.least, "max_replicas": replicas.most, "look_back_period_s": 10.0}
        how = {"autoscaling_config": {**scaling, "target_ongoing_requests": max(1.0, FULL * slots)}}
        how["autoscaling_config"]["upscale_delay_s"] = 5.0
    deployment = serve.deployment(serve.ingress()(Replica)).options(
        name="Stems",
        max_ongoing_requests=slots + DOOR,
        max_queued_requests=QUEUE,
        max_constructor_retry_count=3,
        graceful_shutdown_timeout_s=LEAVE,
        graceful_shutdown_wait_loop_s=0.5,
        ray_actor_options={"num_cpus": options.threads or 1, "num_gpus": 1 if options.device == "cuda" else 0},
        **how,
    )
    return deployment.bind(options, log_json)


def _import() -> tuple[Any, Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # what a session did is not what another one did
    try:
        return importlib.import_module("ray"), importlib.import_module("ray.serve")
    except ImportError as error:
        raise OptionError("--ray needs Ray Serve; install it with: pip install 'streamsep[ray]'.") from error


def _check(options: ServeOptions) -> ServeOptions:
    """What Ray must know before the first replica runs, and what only shows there, where nobody reads it."""
    from streamsep.engine.separator import find_model

    if not options.max_sessions:
        raise OptionError("--ray needs --max-sessions: Ray must know how many sessions a replica takes.")
    if not options.port:
        raise OptionError("--ray needs a --port of its own; 0 is none.")
    options.tls()
    with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            said = error.strerror or error
            raise OptionError(
                f"cannot listen on {options.host}:{options.port}: {said}; choose another --port."
            ) from error
    folder = find_model(options.model)
    model = str(folder.resolve()) if Path(options.model).exists() else options.model
    return replace(options, model=model, acks=True)


@contextmanager
def _connected(ray: Any, options: ServeOptions, replicas: Replicas) -> Iterator[bool]:
    """Whether Ray was started here; it ends with the block then. RAY_ADDRESS names a cluster that runs already."""
    quiet = {"logging_level": "warning", "log_to_driver": True}
    own = not os.environ.get("RAY_ADDRESS")
    if not own:
        ray.init(**quiet)
    else:
        ray.init(address="local", include_dashboard=False, **quiet)
    try:
        cpus, needed = ray.cluster_resources().get("CPU", 0), replicas.least * (options.threads or 1)
        if own and cpus < needed:
            raise OptionError(f"{replicas.least} replicas need {needed} processors, and there are {cpus:.0f}.")
        yield own
    finally:
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
