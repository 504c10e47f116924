"""What a client may have to say again, and what it lets go of."""

from __future__ import annotations

from clients.python.journal import Entry, Journal, Request, Sound
from streamsep.protocol import Mark, Set


def filled(sent: int = 0) -> Journal:
    """0 ─ 10 ─ a fader ─ 20 ─ a mark ─ 30, of which ``sent`` entries were sent."""
    journal = Journal()
    journal.sound(10, bytes(10))
    journal.request(Set(mute=("drums",)))
    journal.sound(10, bytes(10))
    journal.request(Mark(1))
    journal.sound(10, bytes(10))
    for _ in range(sent):
        journal.take()
    return journal


def rest(journal: Journal) -> list[Entry]:
    return [journal.take() for _ in iter(lambda: bool(journal), False)]


def test_old_sound_goes_although_something_was_asked_in_it() -> None:
    journal = filled()
    assert journal.drop_before(24) == 24
    assert journal.start == 24
    assert rest(journal) == [Request(24, Set(mute=("drums",))), Request(24, Mark(1)), Sound(24, 6, bytes(6))]


def test_so_does_sound_that_was_sent_before_a_question() -> None:
    journal = filled(sent=5)
    assert journal.drop_before(24) == 0
    assert journal.start == 24
    journal.rewind(24)
    assert rest(journal) == [Request(24, Mark(1)), Sound(24, 6, bytes(6))]


def test_all_may_go() -> None:
    journal = filled()
    assert journal.drop_before(30) == 30
    assert (journal.start, journal.position) == (30, 30)
    assert [type(entry) for entry in rest(journal)] == [Request, Request]


def test_what_the_server_has_is_not_said_again_but_still_waits_for_its_answer() -> None:
    journal = filled(sent=5)
    journal.rewind(24)
    assert rest(journal) == [Sound(24, 6, bytes(6))]
    assert journal.done(Mark(1, 20)) and not journal.done(Mark(1, 20))


def test_a_server_that_then_forgets_all_is_told_all() -> None:
    journal = filled(sent=5)
    journal.rewind(24)
    assert journal.start == 0
    journal.rewind(0)
    said = rest(journal)
    assert [(entry.position, entry.end) for entry in said] == [
        (0, 10),
        (10, 10),
        (10, 20),
        (20, 20),
        (20, 24),
        (24, 30),
    ]


def test_a_change_after_the_last_sound_that_was_answered_may_not_have_arrived() -> None:
    journal = filled(sent=2)
    journal.answered(10)
    journal.rewind(10)
    assert rest(journal)[0] == Request(10, Set(mute=("drums",)))
    journal.answered(11)
    journal.rewind(10)
    assert rest(journal)[0] == Sound(10, 10, bytes(10))
