// The page: source → capture → server → playback, and what the user sees of it.

import { Desk, STEMS } from "./desk.mjs";
import { toBytes, toSound, wav } from "./samples.mjs";
import { Session } from "./session.mjs";
import * as sources from "./sources.mjs";

const MOST_RECORDED = 600; // seconds
const $ = (id) => document.getElementById(id);

let run = null; // what is going on: context, source, session, nodes
let recording = null; // stem → pieces of s16le
const desk = new Desk($("desk"), $("strip"), (gains) => run?.playback.port.postMessage({ gains }));

/** `state`: playing, waiting or nothing. */
function say(text, state = "") {
  $("status").textContent = text;
  document.body.className = state;
}

async function start() {
  if (!isSecureContext) return say("Browsers give no sound to such a page; open the page over https or on localhost.");
  const context = new AudioContext({ latencyHint: "interactive" });
  $("start").disabled = true;
  let source;
  try {
    await Promise.all(["capture.mjs", "playback.mjs"].map((name) => context.audioWorklet.addModule(name)));
    const kind = document.forms.source.elements.source.value;
    if (kind === "file") source = await sources.file(context, $("file").files[0]);
    else if (kind === "tab") source = await sources.tab(context);
    else source = await sources.line(context, $("device").value);
  } catch (error) {
    context.close();
    $("start").disabled = false;
    return say(`${error.message || error.name}.`);
  }
  $("start").disabled = false;
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 2, channelCountMode: "explicit" });
  const playback = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [2] });
  const url = new URL("v1", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  const session = new Session(url.href, {
    rate: context.sampleRate, channels: 2, stems: STEMS, lookahead: Number($("lookahead").value), token: $("token").value,
  });
  run = { context, source, session, capture, playback };
  capture.port.onmessage = ({ data }) => session.audio(toBytes(data), data.length / 2);
  playback.port.onmessage = ({ data }) => show(data);
  playback.port.postMessage({ gains: desk.gains() });
  session.addEventListener("ready", ({ detail }) => begin(detail.ready));
  session.addEventListener("stems", ({ detail }) => play(detail));
  session.addEventListener("notice", ({ detail }) => say(detail.text, detail.passing ? "playing" : "waiting"));
  session.addEventListener("end", ({ detail }) => stop(detail.text));
  playback.connect(context.destination);
  source.onEnd(() => run?.source === source && setTimeout(() => run?.source === source && stop("The song is over."), 1500));
  $("start").textContent = "Stop";
  $("record").disabled = false;
  say("Connecting …", "waiting");
  await context.resume();
  list();
}

function begin(ready) {
  if (!run.begun) {
    run.begun = true;
    run.source.node.connect(run.capture);
    run.source.begin();
  }
  $("model").textContent = ready.model;
  say("Playing.", "playing");
}

function play({ position, count, data }) {
  const stems = STEMS.map((name) => toSound(data[name]));
  run?.playback.port.postMessage({ position, count, stems }, stems.map((stem) => stem.buffer));
  if (!recording) return;
  const gap = recording.count ? position - recording.end : 0; // what was lost keeps its time
  for (const name of STEMS) recording.pieces[name].push(new Uint8Array(4 * gap), data[name]);
  recording.count += gap + count;
  recording.end = position + count;
  if (recording.count > MOST_RECORDED * recording.rate) record();
}

function show({ peaks, position, playing, target, underruns, dropped }) {
  if (!run) return;
  desk.meters(peaks);
  const { context, session } = run;
  const behind = (session.position - position) / context.sampleRate + (context.outputLatency || 0);
  $("latency").textContent = playing ? `${Math.round(1000 * behind)} ms` : "–";
  $("buffer").textContent = `${Math.round(1000 * target)} ms`;
  const skipped = Math.round((1000 * dropped) / context.sampleRate);
  $("gaps").textContent = skipped ? `${underruns}, ${skipped} ms skipped` : String(underruns);
}

function stop(text = "Stopped.") {
  if (!run) return;
  if (recording) record();
  const { context, source, session } = run;
  run = null;
  session.close();
  try {
    source.stop();
  } catch {
    // a file that never began
  }
  context.close();
  desk.meters([0, 0, 0, 0]);
  $("start").textContent = "Start";
  $("record").disabled = true;
  if (/token/.test(text)) $("token-row").hidden = false;
  say(text);
}

function record() {
  if (recording) {
    const { pieces, rate } = recording;
    recording = null;
    offer(...STEMS.map((name) => link(name, wav(pieces[name], rate, 2))));
  } else if (run) {
    offer();
    const pieces = Object.fromEntries(STEMS.map((name) => [name, []]));
    recording = { pieces, count: 0, end: 0, rate: run.context.sampleRate };
  }
  $("record").setAttribute("aria-pressed", String(Boolean(recording)));
  $("record").textContent = recording ? "Stop recording" : "Record";
}

/** Links to what was recorded last; what was offered before them is forgotten, or the page would keep every recording. */
function offer(...links) {
  for (const { href } of $("downloads").children) URL.revokeObjectURL(href);
  $("downloads").replaceChildren(...links);
}

function link(name, blob) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = `${name}.wav`;
  anchor.textContent = `${name}.wav`;
  return anchor;
}

async function list() {
  const chosen = $("device").value;
  const options = (await sources.inputs()).map(({ id, name }) => new Option(name, id, false, id === chosen));
  $("device").replaceChildren(new Option("Default", ""), ...options);
  $("device").value = chosen;
}

document.forms.source.addEventListener("submit", (event) => {
  event.preventDefault();
  if (run) stop();
  else if (!$("start").disabled) start(); // Space comes here also while the button is off
});
document.forms.source.addEventListener("change", () => {
  const kind = document.forms.source.elements.source.value;
  $("device-row").hidden = kind !== "line";
  $("file-row").hidden = kind !== "file";
});
$("lookahead").addEventListener("change", () => run?.session.set({ lookahead: Number($("lookahead").value) }));
$("record").addEventListener("click", record);
/** What a key does, or nothing. */
function action({ code, shiftKey, target }) {
  const digit = /^Digit([1-4])$/.exec(code);
  if (digit) return () => (shiftKey ? desk.solo(digit[1] - 1) : desk.mute(digit[1] - 1));
  if (code === "KeyR" && !$("record").disabled) return record;
  if (code === "Space" && !target.matches("button, input")) return () => document.forms.source.requestSubmit();
}

document.addEventListener("keydown", (event) => {
  if (event.repeat && event.code === "Enter") event.preventDefault(); // a held key must not start and stop in turn
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=password]")) return;
  const act = action(event);
  if (!act) return;
  event.preventDefault();
  if (!event.repeat) act();
});
window.addEventListener("pagehide", () => stop()); // or a place would be kept for a page that is gone
$("token").value = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
$("token-row").hidden = !$("token").value;
desk.tell();
list();
