"""``streamsep live`` and ``streamsep devices``: arguments in, exit code out."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsep.choices import check_lookahead
from streamsep.errors import OptionError


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """List sound devices: index, name, host API, channels, default rate, latency.

    \b
    Examples:
      streamsep devices
      streamsep devices --json
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from streamsep.live.devices import list_devices
    from streamsep.live.noise import filtered

    with filtered():
        found = list_devices()
    if as_json:
        typer.echo(json.dumps({"devices": [asdict(device) for device in found]}, indent=2))
        return
    console = Console(highlight=False)
    if not found:
        console.print("PortAudio works and sees no sound device; start the sound server, or plug one in.")
        return
    table = Table("", "name", "host API", "in", "out", "rate", "low latency in / out", box=None)
    for device in found:
        mark = ("‹" if device.default_in else "") + ("›" if device.default_out else "")
        table.add_row(
            f"{device.index}{mark}",
            escape(device.name),
            escape(device.host),
            str(device.inputs),
            str(device.outputs),
            str(device.rate),
            f"{1_000 * device.in_latency:.1f} / {1_000 * device.out_latency:.1f} ms",
        )
    console.print(table)
    console.print("‹ default input   › default output", style="dim")


def live(
    input: Annotated[
        str | None,
        typer.Option("--in", metavar="DEVICE", help="Input: index, name or part of it.", show_default="default"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--out", metavar="DEVICE", help="Output: index, name or part of it.", show_default="default"),
    ] = None,
    in_channels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Channels of the input, from 1.", show_default="1,2")
    ] = None,
    out_channels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Channels of the output, from 1.", show_default="1,2")
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="karaoke, acapella, drumless, bassless, practice-bass, rhythm, all, ...")
    ] = "karaoke",
    gain: Annotated[
        list[str] | None, typer.Option(metavar="STEM=DB", help="Gain of a stem, -inf is off. May be repeated.")
    ] = None,
    mute: Annotated[str | None, typer.Option(metavar="A,B", help="Mute these stems.")] = None,
    solo: Annotated[str | None, typer.Option(metavar="A,B", help="Only these stems.")] = None,
    dry_wet: Annotated[float, typer.Option(metavar="X", help="0: the input. 1: the stems.")] = 1.0,
    lookahead: Annotated[
        int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2. More is better and later.")
    ] = 0,
    block: Annotated[int, typer.Option(metavar="N", help="Samples at 48 kHz a callback.")] = 960,
    margin: Annotated[
        float, typer.Option(metavar="MS", help="Time that a frame may take to compute. More is safer and later.")
    ] = 25.0,
    duplex: Annotated[
        bool | None,
        typer.Option("--duplex/--pair", help="One stream or two.", show_default="one on JACK and one-device setups"),
    ] = None,
    virtual_cable: Annotated[
        bool, typer.Option("--virtual-cable", help="Make a sink 'streamsep' that players can send sound to (Linux).")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Record mixture and stems as FLAC.", show_default="no")
    ] = None,
    osc: Annotated[
        str | None, typer.Option(metavar="[HOST:]PORT", help="Remote control over OSC.", show_default="no")
    ] = None,
    midi: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remote control by this MIDI input.", show_default="no")
    ] = None,
    midi_cc: Annotated[
        list[str] | None, typer.Option(metavar="CONTROL=CC", help="CC number of a control. May be repeated.")
    ] = None,
    midi_later: Annotated[
        bool, typer.Option("--midi-later", help="Start without the MIDI input, too; it is heard once it is there.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="One status line a second instead of the screen.")] = False,
    json_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append the status to FILE, one JSON object a second.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="Stop after N seconds.", show_default="never")
    ] = None,
    loopback_test: Annotated[
        bool, typer.Option("--loopback-test", help="Measure the round trip from output to input, and end.")
    ] = False,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Of the model: cpu or cuda.")] = "cpu",
    decode: Annotated[
        str, typer.Option(metavar="HOW", help="fused, soft, hard or guide; guide is the cheapest to compute.")
    ] = "fused",
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of the model.")] = 1,
    spare: Annotated[
        bool, typer.Option("--spare/--no-spare", help="Keep a second model process loaded, should the first one die.")
    ] = True,
) -> None:
    """Separate what comes in while it plays: karaoke from line-in to loudspeaker.

    Without options the default input is played on the default output without its vocals. In the terminal, the arrow
    keys choose a stem and turn its gain, m mutes, s solos, p steps through the presets, q quits.

    \b
    Remote control, by OSC address and by MIDI CC:
      /streamsep/gain/STEM   decibels, -inf to 12
      /streamsep/fader/STEM  0 to 1, 0 dB at 0.75         CC 0-3 in the order of stems
      /streamsep/mute/STEM   0 or 1                       CC 48-51, on from 64
      /streamsep/solo/STEM   0 or 1                       CC 32-35, on from 64
      /streamsep/drywet      0 (input) to 1 (stems)       CC 7
      /streamsep/preset      a name, or a number from 0   program change
    STEM is vocals, drums, bass or other. --osc 9000 hears this machine, 0.0.0.0:9000 others, too. --midi needs
    pip install 'streamsep[midi]'; --midi-cc fader/vocals=21 gives a control another number.

    When the model is late or restarts, the aligned input stands in, softly. Latency is that of the lookahead (60 ms at
    0), --margin, and some --blocks and device buffers on top.

    \b
    Examples:
      streamsep live
      streamsep live --in "USB Audio" --out HDMI --in-channels 3,4
      streamsep live --virtual-cable --preset practice-bass
      streamsep live --gain vocals=-12 --record takes --plain
      streamsep live --lookahead -1 --block 256
      streamsep live --osc 9000 --midi nanoKONTROL
    """
    from streamsep.live.gains import Gains, parse_gain

    settings: dict[str, Any] = {
        "preset": preset.lower(),
        "lookahead": lookahead,
        "block": block,
        "margin": margin,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "duplex": duplex,
        "model": model,
        "device": device.lower(),
        "decode": decode.lower(),
        "threads": threads,
        "spare": spare,
        "record": record,
        "osc": osc,
        "midi": midi,
        "midi_cc": midi_cc or [],
        "midi_later": midi_later,
    }
    check_lookahead(lookahead)
    if virtual_cable and input is not None:
        raise OptionError("--virtual-cable is an input itself; leave it out, or leave --in out.")
    if threads < 1:
        raise OptionError(f"--threads {threads} leaves nobody to work; give 1 or more.")
    changes = [parse_gain(text) for text in gain or []]

    def turn(gains: Gains) -> None:
        for stem, db in changes:
            gains.set_gain(stem, db)
        for stem in _stems(mute):
            gains.set_mute(stem, True)
        for stem in _stems(solo):
            gains.set_solo(stem, True)
        gains.set_dry_wet(dry_wet)

    turn(Gains(preset.lower()))  # refuses what makes no sense before anything is loaded
    from streamsep.live.cable import VirtualCable
    from streamsep.live.noise import filtered
    from streamsep.live.run import Show, loopback, play

    again = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(filtered())
        if virtual_cable:
            input = stack.enter_context(VirtualCable()).input
        if loopback_test:
            loopback(input, output, settings)
        else:
            again = play(input, output, settings, turn, Show(plain, json_log, seconds))
    if again is not None:  # a later option wins over what was given
        if midi is not None:
            again.append("--midi-later")
        given = [text for text in again if not (virtual_cable and text.startswith("--in="))]
        os.execv(sys.executable, [*sys.orig_argv, *given])


def _stems(text: str | None) -> list[str]:
    return [part.strip().lower() for part in (text or "").split(",") if part.strip()]
