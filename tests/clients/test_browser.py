"""The page in a real browser: its microphone through the server to what it plays, turned with keys as a person does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from streamsep.demo.song import compose_song
from streamsep.engine.separator import load
from streamsep.serve.options import ServeOptions
from tests.clients import chrome
from tests.clients.listening import energy, likeness
from tests.serve.running import Running, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(chrome.missing() is not None, reason=chrome.missing() or ""),
]

RATE, SECONDS = 48_000, 6.0
PLAYING = "document.body.className === 'playing'"


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, compose_song(SECONDS, 3).mixture.T, RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def tiny() -> Iterator[Running]:
    """The shipped model: these are its stems that are listened to."""
    with running(ServeOptions(port=0, max_sessions=1)) as server:
        yield server


@pytest.fixture
def page(song: Path, tiny: Running) -> Iterator[chrome.Page]:
    with chrome.browser(song) as page:
        page.open(tiny.page)
        yield page
        assert not page.errors


def listen(page: chrome.Page, rate: int) -> np.ndarray:
    """As much of what the page plays from now on as the song is long."""
    page.heard()
    parts, count = [], 0
    while count < SECONDS * rate:
        time.sleep(0.25)
        parts.append(page.heard())
        count += len(parts[-1])
    return np.concatenate(parts)[: round(SECONDS * rate)]


def listen_for(sound: np.ndarray, page: chrome.Page, rate: int) -> np.ndarray:
    """What the page plays, up to three times: a browser that shares two cores with the server may leave gaps."""
    for _ in range(2):
        if likeness(heard := listen(page, rate), sound, rate) > 0.9:
            return heard
    return listen(page, rate)


def test_the_vocals_fader_does_what_it_does_offline(page: chrome.Page, song: Path) -> None:
    rate = page.evaluate("new AudioContext().sampleRate")
    mixture, _ = soundfile.read(song, dtype="float32")
    twice = np.concatenate([mixture, mixture]).T  # the second round: the model has heard the song's end, as in the page
    stems = load("tiny").separate(np.ascontiguousarray(twice), RATE)
    vocals = soxr.resample(stems["vocals"][0, -len(mixture) :], RATE, rate)
    whole = soxr.resample(mixture[:, 0], RATE, rate)
    rest = whole - vocals

    page.press("Space")  # as the page says: starts
    page.until(PLAYING)
    time.sleep(2)
    everything = listen_for(whole, page, rate)
    page.evaluate("document.querySelector('.strip input').focus()")
    page.press("Home")
    assert page.evaluate("document.querySelector('.strip output').textContent") == "off"
    time.sleep(1)
    without = listen_for(rest, page, rate)
    page.press("End")
    page.press("Shift+Digit1")  # solo
    page.press("ArrowDown")
    assert page.evaluate("document.querySelector('.solo').getAttribute('aria-pressed')") == "true"
    gain = page.evaluate("Number(document.querySelector('.strip input').value)")
    time.sleep(1)
    alone = listen_for(vocals, page, rate) / gain
    page.press("Space")

    assert energy(everything) == pytest.approx(energy(whole), abs=1.5)
    assert energy(without) - energy(everything) == pytest.approx(energy(rest) - energy(whole), abs=1.5)
    assert energy(alone) - energy(everything) == pytest.approx(energy(vocals) - energy(whole), abs=1.5)
    for heard, sound in ((everything, whole), (without, rest), (alone, vocals)):
        found = [likeness(heard, other, rate) for other in (whole, rest, vocals)]
        assert max(found) > 0.9 and likeness(heard, sound, rate) == max(found), found


def test_it_can_be_used_with_the_keyboard_alone(page: chrome.Page) -> None:
    reached: list[str] = []
    for _ in range(20):
        page.press("Tab")
        name = "(e => e.getAttribute('aria-label') ?? e.id)(document.activeElement)"
        reached.append(page.evaluate(name))
    expected = ["device", "lookahead", "start"]
    for stem in ("vocals", "drums", "bass", "other"):
        expected += [f"{stem} level", f"Mute {stem}", f"Solo {stem}"]
    assert [name for name in reached if name in expected][: len(expected)] == expected
    page.evaluate("document.querySelector('.strip input').focus()")  # in a select, keys choose
    page.press("3")
    assert page.evaluate("document.querySelectorAll('.mute')[2].getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 640)])
def test_it_fits_a_screen(page: chrome.Page, width: int, height: int) -> None:
    page.size(width, height)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (
        page.evaluate("Math.min(...[...document.querySelectorAll('.buttons button')].map(b => b.offsetHeight))") >= 30
    )
    if width > 600:
        assert page.evaluate("document.documentElement.scrollHeight") <= height


def test_stopped_it_lets_the_place_go_and_has_the_recording(page: chrome.Page, tiny: Running, tmp_path: Path) -> None:
    page.press("Space")
    page.until(PLAYING)
    page.evaluate(
        "() => { const revoke = URL.revokeObjectURL; URL.gone = 0;"
        " URL.revokeObjectURL = (url) => { URL.gone++; revoke.call(URL, url); }; }"
    )
    for gone in (0, 4):  # the second recording takes the place of the first
        page.press("r")
        assert page.evaluate("URL.gone") == gone
        time.sleep(1.5)
        page.press("r")
    links = page.until("[...document.querySelectorAll('#downloads a')].map(a => a.download).join()")
    assert links == "vocals.wav,drums.wav,bass.wav,other.wav"
    page.press("Space")
    page.until("document.getElementById('start').textContent === 'Start'")
    deadline = time.monotonic() + 20
    while tiny.count("streamsep_sessions") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tiny.count("streamsep_sessions") == 0
    with page.tab.expect_download() as download:
        page.evaluate("document.querySelector('#downloads a').click()")
    download.value.save_as(tmp_path / "vocals.wav")
    vocals, rate = soundfile.read(tmp_path / "vocals.wav")
    assert vocals.shape[1] == 2 and len(vocals) > 0.3 * rate and np.abs(vocals).max() > 0.01


def test_a_start_waits_for_the_one_before(page: chrome.Page, tiny: Running) -> None:
    """A form sent twice, a key that is held: one session, which Stop ends."""
    page.evaluate("() => [1, 2].forEach(() => document.forms.source.requestSubmit())")
    page.until(PLAYING)
    for _ in range(2):  # pressed and repeated
        page.tab.keyboard.down("Space")
    page.tab.keyboard.up("Space")
    page.until("document.getElementById('start').textContent === 'Start'")
    deadline = time.monotonic() + 20
    while tiny.count("streamsep_sessions") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tiny.count("streamsep_sessions") == 0
    assert page.evaluate("document.body.className") == ""


def test_a_page_that_is_left_lets_the_place_go(page: chrome.Page, tiny: Running) -> None:
    page.press("Space")
    page.until(PLAYING)
    page.open(tiny.page)
    deadline = time.monotonic() + 20
    while tiny.count("streamsep_sessions") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tiny.count("streamsep_sessions") == 0


def test_a_page_that_gets_no_sound_says_so(page: chrome.Page, tiny: Running) -> None:
    page.tab.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page.open(tiny.page)
    page.press("Space")
    assert "over https or on localhost" in page.until("document.getElementById('status').textContent")
