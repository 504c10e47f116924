"""Sound in to sound out of the page in a real browser: what its source gave and what it plays, recorded side by side.

Both are recorded by one node of the page's own audio graph, so they lie on one time axis. The browser's own ways to the
microphone and the loudspeaker do not count (the loudspeaker's is told beside it).
"""

from __future__ import annotations

import base64
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from clients.profile.card import noise
from clients.profile.device import judge
from tests.clients import chrome

# The page connects its source to the capture node and its playback node to the loudspeaker: the left of each goes to
# one recorder, too. Pieces that the recorder loses are lost of both.
_RECORDER = """
window.both = [];
{
  const join = AudioNode.prototype.connect;
  let merger = null;
  const record = (node, first) => {
    if (!merger) {
      merger = new ChannelMergerNode(node.context, { numberOfInputs: 2 });
      const tap = node.context.createScriptProcessor(2048, 2, 1);
      tap.onaudioprocess = ({ inputBuffer }) =>
        window.both.push([0, 1].map((channel) => inputBuffer.getChannelData(channel).slice()));
      join.call(merger, tap);
      join.call(tap, node.context.destination);
      window.context = node.context;
    }
    const splitter = new ChannelSplitterNode(node.context, { numberOfOutputs: 2 });
    join.call(node, splitter);
    join.call(splitter, merger, 0, first);
  };
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to === this.context.destination) record(this, 1);
    else if (to instanceof AudioWorkletNode) record(this, 0);
    return join.call(this, to, ...rest);
  };
}
"""
_TAKE = """
(() => {
  const parts = window.both.splice(0);
  const all = new Float32Array(parts.length * 4096);
  parts.forEach((part, i) => part.forEach((channel, c) => all.set(channel, i * 4096 + c * 2048)));
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
})()
"""


def measure(address: str, lookahead: int, seconds: float, folder: Path) -> dict[str, Any]:
    """The page at ``address`` hears ``seconds`` of noise from its microphone."""
    sound = folder / "microphone.wav"
    soundfile.write(sound, noise(seconds + 20, 48_000).T, 48_000, "PCM_16")
    with chrome.browser(sound, tap=_RECORDER) as page:
        page.open(address)
        page.evaluate(f"document.getElementById('lookahead').value = '{lookahead}'")
        page.press("Space")
        page.until("document.body.className === 'playing'")
        page.evaluate(_TAKE)
        time.sleep(seconds)
        both = np.frombuffer(base64.b64decode(page.evaluate(_TAKE)), np.float32).reshape(-1, 2, 2048)
        rate = page.evaluate("window.context.sampleRate")
        out = page.evaluate("1000 * (window.context.outputLatency || 0)")
        gaps, shown = (page.evaluate(f"document.getElementById('{name}').textContent") for name in ("gaps", "latency"))
        assert not page.errors, page.errors
    sent, came = (np.concatenate(both[:, channel], axis=-1)[None] for channel in (0, 1))
    found = judge(f"page, lookahead {lookahead}", sent, came, rate, 0)
    return {**asdict(found), "underruns": gaps, "page_says": shown, "loudspeaker_ms": round(out, 1)}
