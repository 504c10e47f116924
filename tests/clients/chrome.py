"""Headless Chromium, driven by playwright: the system's own, whose microphone plays a file over and over.

What a page plays is collected in ``window.heard``.
"""

from __future__ import annotations

import base64
import importlib.util
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

# Taps whatever is connected to a loudspeaker. A script processor needs no module, so the page's own policy stays on.
_TAP = """
window.heard = [];
const join = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to === this.context.destination) {
    const tap = this.context.createScriptProcessor(4096, 2, 1);
    tap.onaudioprocess = ({ inputBuffer }) => window.heard.push(inputBuffer.getChannelData(0).slice());
    join.call(this, tap);
    join.call(tap, to);
  }
  return join.call(this, to, ...rest);
};
"""
_TAKE = """
(() => {
  const bytes = new Uint8Array(Float32Array.from(window.heard.splice(0).flatMap((part) => [...part])).buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
})()
"""


def missing() -> str | None:
    """Why there can be no browser here; None when there can."""
    if not shutil.which("chromium"):
        return "chromium is not installed"
    return None if importlib.util.find_spec("playwright") else "playwright is not installed"


class Page:
    """streamsep's page in a tab. ``errors``: what its scripts threw, and what its policy forbade."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.errors: list[str] = []
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    def open(self, url: str) -> None:
        self.tab.goto(url)
        self.tab.wait_for_selector(".strip")

    def press(self, key: str) -> None:
        self.tab.keyboard.press(key)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        return self.tab.evaluate(expression)

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait until the expression is true in the page."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):  # wait_for_function would offend against the page's policy
            assert time.monotonic() < deadline, (expression, self.tab.inner_text("#status"), self.errors)
            self.tab.wait_for_timeout(50)
        return value

    def size(self, width: int, height: int) -> None:
        """A screen of this size; a narrow one is a phone's, to which the page must say that it knows them."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tab.context.new_cdp_session(self.tab).send("Emulation.setDeviceMetricsOverride", metrics)

    def heard(self) -> np.ndarray:
        """What the page has played since the last call: left, [samples]."""
        return np.frombuffer(base64.b64decode(self.evaluate(_TAKE)), np.float32)


@contextmanager
def browser(microphone: Path, tap: str = _TAP) -> Iterator[Page]:
    """A browser of one's own; its microphone plays the WAV file ``microphone``; ``tap`` is what pages run first."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            chromium_sandbox=False,
            ignore_default_args=["--mute-audio"],
            args=[
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        try:
            context = chromium.new_context(color_scheme="dark", accept_downloads=True)
            context.add_init_script(tap)
            yield Page(context.new_page())
        finally:
            chromium.close()
