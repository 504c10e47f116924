"""What ``/metrics`` tells. Knows names and help texts; who counts what is seen where it happens."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FRAME_BUCKETS = (0.002, 0.004, 0.008, 0.012, 0.016, 0.02, 0.025, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.5)


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.sessions = Gauge("streamsep_sessions", "Sessions, with those that wait for a resume", registry=registry)
        self.limit = Gauge("streamsep_session_limit", "Sessions that are admitted", registry=registry)
        self.connections = Gauge("streamsep_connections", "Open WebSocket connections", registry=registry)
        self.frame = Histogram(
            "streamsep_frame_seconds", "Time of a step of the model", buckets=_FRAME_BUCKETS, registry=registry
        )
        self.batch = Histogram(
            "streamsep_batch_sessions", "Sessions in a step", buckets=[1 << n for n in range(10)], registry=registry
        )
        self.queue = Gauge("streamsep_queue_seconds", "Sound that the model has not answered", registry=registry)
        self.outbox = Gauge("streamsep_outbox_seconds", "Stems that wait to be sent", registry=registry)
        self.late = Counter("streamsep_late_frames", "Live frames later than 80 ms after their time", registry=registry)
        self.fallbacks = Counter("streamsep_fallbacks", "Live frames given less for want of time", registry=registry)
        self.dropped = Counter("streamsep_dropped_seconds", "Stems dropped for slow readers", registry=registry)
        self.bytes = Counter("streamsep_bytes", "Bytes of messages", ["direction"], registry=registry)
        self.messages = Counter("streamsep_messages", "Messages", ["direction"], registry=registry)
        self.errors = Counter("streamsep_errors", "Errors told to clients", ["code"], registry=registry)
        self.admitted = Counter("streamsep_admitted", "Sessions admitted", registry=registry)
        self.resumed = Counter("streamsep_resumed", "Sessions resumed", registry=registry)
        self.restarts = Counter("streamsep_engine_restarts", "New starts of the engine", registry=registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)
