"""Sound in to sound out: the card, its delay, and what engine and server add to it."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from clients.profile import device, engine, stages
from clients.profile.card import Card, delay, noise, report
from clients.profile.server import measure as through_server
from clients.python import Client, ClientError
from tests.clients.test_command_lines import call
from tests.live.sound_server import missing
from tests.serve.running import Running

RATE, BLOCK = 8_000, 80


@pytest.mark.parametrize("late", [0, 1, 137, 4_000])
def test_delay_is_found_to_the_sample(late: int) -> None:
    sound = noise(2, RATE)
    played = np.pad(sound, ((0, 0), (late, 0)))[:, : sound.shape[1]]
    found = delay(sound, 0.3 * played, RATE)
    assert found.samples == late
    assert found.likeness == pytest.approx(1, abs=1e-6)


def test_other_sound_is_not_alike() -> None:
    other = np.random.default_rng(5).standard_normal((2, 2 * RATE)).astype(np.float32)
    assert delay(noise(2, RATE), other, RATE).likeness < 0.1


def test_an_echo_is_a_block_late() -> None:
    card = Card(noise(0.5, RATE), RATE, BLOCK)
    card.run(card.play)
    assert report("echo", card, 0).delay_ms == 10
    assert card.gaps == []


def test_every_gap_makes_the_sound_a_block_later() -> None:
    """The third block is withheld until the fifth is heard, the tenth is never told."""
    card = Card(noise(0.5, RATE), RATE, BLOCK)
    held: list[np.ndarray] = []

    def heard(block: np.ndarray) -> None:
        held.append(block)
        if not 3 <= len(held) < 5:
            card.play(np.concatenate(held[heard.done :], axis=1))
            heard.done = len(held)

    heard.done = 0
    card.run(heard)
    assert card.gaps == [2, 3]
    found = report("held", card, 0)
    assert (found.delay_ms, found.gaps, found.gaps_before) == (30, 0, 2)
    assert found.likeness == pytest.approx(1, abs=1e-6)


def test_through_the_engine(model: str) -> None:
    found = engine.measure(str(model), 0, 2.0, 48_000, 480)
    assert found.own_ms == 60
    assert found.delay_ms >= found.own_ms
    if not found.gaps:  # a busy machine may have some
        assert found.likeness > 0.99


def test_through_a_server(server_url: str) -> None:
    found = through_server(server_url, -1, 2.0, 48_000, 480)
    assert found.own_ms == 20
    if found.likeness > 0.5:  # a busy machine may have gaps in so short a time
        assert found.delay_ms >= found.own_ms


def test_what_the_socket_takes(server_url: str) -> None:
    found = asyncio.run(stages.measure(server_url, 20))
    assert [*found["stages"]] == ["pack", "socket", "model", "unpack"]
    parts = sum(row["mean"] for row in found["stages"].values())
    assert parts == pytest.approx(found["total"]["mean"], abs=1e-3)
    assert all(row["mean"] > 0 for row in found["stages"].values()) and found["ping"]["p50"] > 0
    assert found["stages"]["model"]["mean"] < found["total"]["mean"]


def test_steps_of_other_sessions_are_not_mistaken_for_ours(server_url: str) -> None:
    with Client(server_url, 48_000, 2), pytest.raises(ClientError, match="other sessions"):
        asyncio.run(stages.measure(server_url, 20))


@pytest.mark.parametrize("block", [1, 64, 333, 5_000])
def test_a_tape_plays_all_and_keeps_what_was_heard_meanwhile(block: int) -> None:
    """The cable: what is played comes back with the next block, on the third input. Directions need not be in step."""
    played = noise(1_000 / RATE, RATE)
    tape, out = device.Tape(played, 3), np.zeros((block, 2), np.float32)
    while not tape.full.is_set():
        record = np.stack([np.zeros(block, np.float32), np.ones(block, np.float32), out[:, 0]], axis=1)
        tape.both(record, out, block, None, None)
    tape.hear(np.full((block, 3), 9, np.float32), block, None, True)  # too late: it is full
    tape.play(out, block, None, None)
    assert not out.any() and tape.xruns == 1
    assert np.array_equal(tape.heard[2], np.pad(played[0], (block, 0))[: played.shape[1]])
    assert not tape.heard[0].any() and (tape.heard[1] == 1).all()


@pytest.mark.parametrize("late", [0, 6_264])
def test_the_delay_between_two_recordings(late: int) -> None:
    sent = noise(6, 48_000)
    came = np.pad(sent, ((0, 0), (late, 0)))[:, : sent.shape[1]]
    came[:, 200_000:203_000] = 0  # a gap does not matter
    found = device.judge("cable", sent, 0.5 * came, 48_000, 0)
    assert found.delay_ms == pytest.approx(late / 48, abs=1e-3)
    assert found.range_ms == (found.delay_ms, found.delay_ms) and found.likeness > 0.9


def test_cables_that_are_not_there() -> None:
    sent = noise(6, 48_000)
    other = np.random.default_rng(5).standard_normal(sent.shape).astype(np.float32)
    with pytest.raises(ClientError, match="did not come back"):
        device.judge("cable", sent, other, 48_000, 0)
    with pytest.raises(ClientError, match="reference"):
        device.judge("cable", np.zeros_like(sent), other, 48_000, 0)


@pytest.fixture
def server_url(server: Running) -> str:
    return server.url


def test_command_lines(model: str, server_url: str) -> None:
    done = call("profile.engine", "--seconds", 2, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["own_ms"] == 60
    done = call("profile.server", "--seconds", 2, "--url", server_url)
    assert done.returncode == 0, done.stderr
    assert "from sound in to sound out" in done.stdout
    done = call("profile.stages", "--frames", 10, "--url", server_url)
    assert done.returncode == 0, done.stderr
    assert "socket" in done.stdout and "ping" in done.stdout
    for module, option, said in (
        ("profile.engine", ("--model", "nonsense"), "unknown model 'nonsense'"),
        ("profile.server", ("--url", "ws://127.0.0.1:9/v1"), "no server at"),
        ("profile.stages", ("--url", "ws://127.0.0.1:9/v1"), "no server at"),
        ("profile.device", ("--reference", "0"), "no channels"),
        (
            "profile.device",
            ("--device", "nonsense"),
            "needs PortAudio" if missing(()) else "the device cannot be opened",
        ),
    ):
        done = call(module, *option)
        assert done.returncode == 2
        assert said in done.stderr and done.stderr.count("\n") == 1
