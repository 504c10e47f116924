"""What waits, what is dropped, what can be sent again."""

from __future__ import annotations

import asyncio

from streamsep.protocol import Flush, Mark, Pong
from streamsep.serve.outbox import MOST, Chunk, Item, Outbox

RATE = 1_000


def chunk(position: int, count: int = 500) -> Chunk:
    return Chunk(position, count, {"vocals": bytes(range(4)) * count})


def taken(outbox: Outbox, number: int) -> list[Item]:
    async def take() -> list[Item]:
        return [await outbox.take() for _ in range(number)]

    return asyncio.run(take())


def filled(seconds: float, live: bool = False) -> Outbox:
    outbox = Outbox(RATE, live)
    for position in range(0, round(seconds * RATE), 500):
        outbox.push(chunk(position))
    return outbox


def test_live_stems_give_way_to_newer_ones() -> None:
    outbox = filled(2, live=True)
    assert outbox.dropped == 0 and outbox.full
    outbox.push(Mark(1, 2_000))
    assert [outbox.push(chunk(2_000)), outbox.push(chunk(2_500))] == [500, 500]
    assert (outbox.backlog, outbox.dropped) == (2_000, 1_000)
    first, *_ = taken(outbox, 1)
    assert first == chunk(1_000)


def test_stems_of_a_file_never_do() -> None:
    outbox = filled(10)
    assert (outbox.backlog, outbox.dropped) == (10_000, 0)


def test_what_was_not_acknowledged_is_sent_again_from_the_sample() -> None:
    outbox = filled(2)
    outbox.push(Mark(1, 2_000))
    taken(outbox, 5)
    outbox.ack(600)
    assert outbox.rewind(700) == 0
    assert (outbox.sent, outbox.backlog) == (700, 1_300)
    again = taken(outbox, 4)
    assert again[0] == chunk(500).after(700) and again[-1] == Mark(1, 2_000)
    part = again[0]
    assert isinstance(part, Chunk) and part.count == 300 and len(part.data["vocals"]) == 1_200


def test_what_a_live_client_is_promised_is_not_dropped() -> None:
    outbox = Outbox(RATE, live=True)
    for position in range(0, 4_000, 500):
        outbox.push(chunk(position))
        taken(outbox, 1)
    for _ in range(2):  # the second time, some of it has been sent again
        assert outbox.rewind(0) == 0
        taken(outbox, 3)
    assert outbox.rewind(0) == 0
    for position in range(4_000, 6_000, 500):
        assert outbox.push(chunk(position)) == 0
    taken(outbox, 2)
    assert [outbox.push(chunk(6_000)), outbox.push(chunk(6_500))] == [500, 500]
    sent = [item.position for item in taken(outbox, 10) if isinstance(item, Chunk)]
    assert sent == [*range(1_000, 4_000, 500), *range(5_000, 7_000, 500)]
    for position in range(7_000, 9_000, 500):
        outbox.push(chunk(position))
    assert outbox.push(chunk(9_000)) == 500  # as ever


def test_what_was_forgotten_is_counted() -> None:
    outbox = filled(8)
    taken(outbox, 16)
    assert outbox.rewind(1_000) == 2_000  # five seconds of eight are kept
    assert outbox.sent == 3_000
    outbox = filled(1)
    taken(outbox, 2)
    outbox.ack(1_000)
    assert outbox.rewind(1_000) == 0 and len(outbox) == 0
    assert outbox.rewind(400) == 600


def test_taking_waits_until_there_is_something() -> None:
    async def talk() -> Item:
        outbox = Outbox(RATE, True)
        waiting = asyncio.create_task(outbox.take())
        await asyncio.sleep(0)
        outbox.push(Flush(3))
        return await waiting

    assert asyncio.run(talk()) == Flush(3)


def test_an_answer_that_may_not_have_arrived_is_sent_again() -> None:
    outbox = filled(1)
    outbox.push(Flush(1_000))
    taken(outbox, 3)
    outbox.ack(1_000)
    assert outbox.rewind(1_000) == 0
    assert taken(outbox, 1) == [Flush(1_000)]


def test_what_is_kept_is_bounded() -> None:
    outbox = Outbox(RATE, live=False)
    for number in range(3 * MOST):
        outbox.push(Pong(number))
        outbox.push(Mark(number, 0))
    assert outbox.full
    taken(outbox, 6 * MOST)
    assert not outbox.full
    outbox.rewind(0)
    assert len(outbox) == MOST


def test_stems_can_wait_until_those_before_them_have_arrived() -> None:
    async def talk() -> None:
        outbox = filled(4)
        for _ in range(5):
            await outbox.take()
        await asyncio.wait_for(outbox.arrived(2_500), 1)
        waiting = asyncio.create_task(outbox.arrived(1_000))
        await asyncio.sleep(0)
        outbox.ack(1_000)  # 1,500 are left
        await asyncio.sleep(0.01)
        assert not waiting.done()
        outbox.ack(1_500)
        await asyncio.wait_for(waiting, 1)

    asyncio.run(talk())
