"""Headless Chromium, driven over its DevTools protocol: a page to evaluate in, keys, sizes and screenshots.

Its microphone plays a file over and over; what a page plays is collected in ``window.heard``.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

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
    return None if shutil.which("chromium") else "chromium is not installed"


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.errors: list[str] = []  # what the page's scripts threw, and what its policy forbade

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A DevTools command and its answer."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            self._listen(answer)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait until the expression is true in the page."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, (expression, self.text(), self.errors)
            time.sleep(0.05)
        return value

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && !!document.querySelector('.strip')")

    def press(self, key: str, code: str, text: str = "", modifiers: int = 0) -> None:
        """A key as a person presses it."""
        numbers = {"Home": 36, "End": 35, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, " ": 32}
        key_code = numbers.get(key, ord(key[0].upper()))
        common = {"key": key, "code": code, "windowsVirtualKeyCode": key_code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def text(self) -> str:
        return self.evaluate("document.getElementById('status').textContent")

    def heard(self) -> np.ndarray:
        """What the page has played since the last call: left, [samples]."""
        return np.frombuffer(base64.b64decode(self.evaluate(_TAKE)), np.float32)

    def size(self, width: int, height: int, scale: float = 1, dark: bool = True) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """PNG of what is to be seen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _listen(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.errors.append(event["params"]["entry"]["text"])


@contextmanager
def browser(microphone: Path, tap: str = _TAP) -> Iterator[Page]:
    """A browser of one's own; its microphone plays the WAV file ``microphone``; ``tap`` is what pages run first."""
    with tempfile.TemporaryDirectory(prefix="chromium", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [
                *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
                "--autoplay-policy=no-user-gesture-required",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_page_address(Path(folder), process), max_size=1 << 28, compression=None) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    page.call(f"{domain}.enable")
                page.call("Page.addScriptToEvaluateOnNewDocument", source=tap)
                yield page
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _page_address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """The first tab's socket, once the browser is up."""
    deadline = time.monotonic() + 60
    file = folder / "DevToolsActivePort"
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and (lines := file.read_text().split()):
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10) as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise TimeoutError("chromium does not start")
