"""One session inside the engine's process: samples in; stems, mix and answers in their order out.

Knows lanes, gains and positions; knows nothing of sockets, slots or who else is there. Whoever drives it asks ``due``,
carries ``next`` to the net and what comes back to ``give``, and collects ``events``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from streamsep.audio.blocks import from_stereo, to_stereo
from streamsep.audio.framer import Fifo
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.engine.lane import Lane
from streamsep.engine.settings import Settings
from streamsep.protocol import MIX, decode_samples, encode_samples
from streamsep.render.mixer import Mixer
from streamsep.serve.traffic import Change, Changed, Event, Flushed, Marked, Sounded, Spec, in_order

Sound = NDArray[np.float32]
FADE = 0.02  # seconds from one lookahead to the next
PATIENCE = 0.08  # seconds after its time at which a live frame counts as late


@dataclass(frozen=True)
class _Turn:
    """A lookahead that begins at ``position``; the lane before it goes on until ``position + fade``."""

    position: int
    lookahead: int


class Voice:
    """``renew``: the slot must forget its stream before the next tick; the scheduler resets it and clears this.
    ``lookahead``: of that tick, so of the lane that is there now, whatever was asked to come after it.
    """

    def __init__(self, spec: Spec, now: float) -> None:
        self.spec = spec
        self.lookahead = spec.lookahead
        self.renew = False
        self.late = self.fallbacks = 0
        self._desk = spec.desk
        self._queue: deque[Sound | None] = deque()  # blocks; None ends a song
        self._marks: deque[Marked] = deque()
        self._changes: list[Change] = []
        self._events: list[Event] = []
        self._received = self._fed = self._out = spec.start
        self._turns: deque[_Turn] = deque()
        self._after_song: int | None = None  # lookahead of the next song, once the lane ends because this one is over
        self._overlap = Fifo(spec.channels)  # what both lanes of a turn hear
        self._held: Sound | None = None  # the old lane's samples past a turn's position
        self._fading: Sound | None = None  # the same once the new lane has begun: its first samples fade in over them
        self._fade = round(FADE * spec.rate)
        self._mixer = Mixer(spec.rate)
        self._gains = self._mixer.init_state(1)
        self._gains.put("gain", torch.tensor([spec.desk.levels()]))
        self._lane, self._origin = self._new_lane(), spec.start  # the position of the lane's first sample
        self._time = self._due = now  # when the next frame and the one being computed are due, see _due_time
        self._arrived: deque[tuple[int, float]] = deque()  # (position fed up to, when)

    # Asked from outside, in the order in which the client sent it.

    def audio(self, data: bytes, now: float) -> None:
        block = decode_samples(data, self.spec.format, self.spec.channels)
        self._received += block.shape[1]
        self._queue.append(block)
        self._arrived.append((self._received, now))
        self._feed()

    def silence(self, count: int, now: float) -> None:
        self._received += count
        self._queue.append(np.zeros((self.spec.channels, count), np.float32))
        self._arrived.append((self._received, now))
        self._feed()

    def mark(self, id: int) -> None:
        self._marks.append(Marked(id, self._received))
        self._answer()

    def flush(self) -> None:
        self._queue.append(None)
        self._feed()

    def change(self, change: Change) -> None:
        """Holds from its position, or from the next that is possible."""
        position = max(self._out, change.position or 0)
        if change.lookahead is not None:
            free = self._turns[-1].position + self._fade if self._turns else self._fed
            position = max(position, free)
            self._turns.append(_Turn(position, change.lookahead))
        change = replace(change, position=position)
        self._changes = in_order(self._changes, change)
        self._events.append(Changed(change))
        self._feed()

    # The driver's side.

    def due(self) -> bool:
        return self._lane.due()

    def next(self) -> Sound:
        """[2, unit] at 48 kHz for the tick that is due."""
        self._due = self._due_time()
        return to_stereo(self._lane.next())

    def give(self, stems: Sound, now: float) -> None:
        """[S, 2, unit] of that tick."""
        sides = np.stack([from_stereo(stem, self.spec.channels) for stem in stems])
        self._lane.give(sides.reshape(-1, sides.shape[-1]))
        self._count_late(now)
        self._emit(self._lane.take())
        if self._lane.ended and not self._lane.due():
            self._finish()
        self._feed()

    @property
    def live(self) -> bool:
        return self.spec.live

    def behind(self, now: float) -> float:
        """Seconds since the frame that is ready was due."""
        return now - self._due_time()

    def waiting(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._events)

    def events(self) -> list[Event]:
        """What there is to tell since the last call."""
        events, self._events = self._events, []
        return events

    # How sound goes in.

    def _new_lane(self) -> Lane:
        return Lane(Settings(self.spec.render), self.spec.rate, self.spec.channels, self.lookahead)

    def _feed(self) -> None:
        """Blocks into the lane, as far as it goes: a song's end and a turn are waited for."""
        while self._queue and not self._lane.ended:
            block = self._queue.popleft()
            if block is None:
                self._end_song()
            elif (rest := self._push(block)) is not None:
                self._queue.appendleft(rest)

    def _push(self, block: Sound) -> Sound | None:
        """``block`` into the lane; returns what lies past the end of a turn."""
        if not self._turns:
            self._lane.push(block)
            self._fed += block.shape[1]
            return None
        turn = self._turns[0]
        stop = turn.position + self._fade
        part = block[:, : stop - self._fed]
        self._lane.push(part)
        shared = max(0, self._fed + part.shape[1] - max(turn.position, self._fed))
        self._overlap.push(part[:, part.shape[1] - shared :])
        self._fed += part.shape[1]
        if self._fed == stop:
            self._lane.end()
        rest = block[:, part.shape[1] :]
        return rest if rest.shape[1] else None

    def _end_song(self) -> None:
        self._after_song = self.lookahead
        if self._turns:  # the song is over before they are: the last holds from the next song on
            self._after_song = self._turns[-1].lookahead
            self._turns.clear()
            self._overlap.clear()
            held, self._held = self._held, None
            if held is not None:
                self._tell(held)
        self._lane.end()
        if not self._lane.due():
            self._finish()

    def _finish(self) -> None:
        """The lane has given all: a new one for the next song, or for the sound after a turn."""
        self.renew = True
        if self._after_song is not None:
            self.lookahead, self._after_song = self._after_song, None
            self._lane, self._origin = self._new_lane(), self._fed
            self._answer()
            self._events.append(Flushed(self._out))
            return
        turn = self._turns.popleft()
        self.lookahead, self._origin = turn.lookahead, turn.position
        self._lane = self._new_lane()
        self._lane.push(self._overlap.pop(len(self._overlap)))
        self._fading, self._held = self._held, None

    # How it comes out.

    def _emit(self, sound: Sound) -> None:
        """The lane's sound, with what a turn makes of it."""
        if self._fading is not None:
            sound = self._fade_in(sound)
        if self._turns:
            sound = self._hold_back(sound, self._turns[0].position)
        self._tell(sound)

    def _tell(self, sound: Sound) -> None:
        """Events for ``sound`` [S * channels, n], cut where a change begins to hold."""
        sound = sound.reshape(len(STEMS), self.spec.channels, -1)
        while sound.shape[-1]:
            count = sound.shape[-1]
            while self._changes and (self._changes[0].position or 0) <= self._out:
                self._desk = self._changes.pop(0).on(self._desk)
            if self._changes:
                count = min(count, (self._changes[0].position or 0) - self._out)
            self._events.append(self._sounded(sound[..., :count]))
            self._out += count
            sound = sound[..., count:]
            self._answer()

    def _sounded(self, sound: Sound) -> Sounded:
        data = {
            stem: encode_samples(part, self.spec.format)
            for stem, part in zip(STEMS, sound, strict=True)
            if stem in self._desk.stems
        }
        if MIX in self._desk.stems:
            data[MIX] = encode_samples(self._mix(sound), self.spec.format)
        return Sounded(self._out, sound.shape[-1], data)

    def _mix(self, sound: Sound) -> Sound:
        with torch.inference_mode():
            gains = torch.tensor([self._desk.levels()])
            return self._mixer.step(torch.from_numpy(np.ascontiguousarray(sound))[None], gains, self._gains)[0].numpy()

    def _hold_back(self, sound: Sound, position: int) -> Sound:
        """Keep the old lane's sound from ``position`` on, to be faded into the new lane's."""
        if self._held is not None:
            self._held = np.concatenate([self._held, sound], axis=1)
            return sound[:, :0]
        now = max(0, min(sound.shape[1], position - self._out))
        if now < sound.shape[1]:
            self._held = sound[:, now:]
        return sound[:, :now]

    def _fade_in(self, sound: Sound) -> Sound:
        """Old and new lane weigh one together, so the stems still sum to the mixture."""
        assert self._fading is not None
        old = self._fading
        count = min(old.shape[1], sound.shape[1])
        first = self._fade - old.shape[1]
        new = (np.arange(first, first + count, dtype=np.float32) + 0.5) / self._fade
        mixed = sound.copy()
        mixed[:, :count] = old[:, :count] * (1 - new) + sound[:, :count] * new
        self._fading = old[:, count:] if count < old.shape[1] else None
        return mixed

    def _answer(self) -> None:
        """Marks whose sound has all been given."""
        while self._marks and self._marks[0].position <= self._out:
            self._events.append(self._marks.popleft())

    # When.

    def _due_time(self) -> float:
        """When the next frame is due: a frame after the one before, or when its sound came if that was later."""
        needed = self._origin + self._lane.needs
        while len(self._arrived) > 1 and self._arrived[0][0] < needed:
            self._arrived.popleft()
        return max(self._time, self._arrived[0][1]) if self._arrived else self._time

    def waited(self, now: float) -> float:
        """Seconds for which the frame that is due has had all its sound: unlike ``behind`` not less after a stall."""
        self._due_time()  # forgets what came before that frame's last sound
        return now - self._arrived[0][1] if self._arrived else float("inf")

    def _count_late(self, now: float) -> None:
        self.late += self.spec.live and now - self._due > PATIENCE
        self._time = self._due + self._lane.unit / SAMPLE_RATE
