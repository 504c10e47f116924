"""Names and units of rows and measures as people read them. Knows words only."""

from __future__ import annotations

from dataclasses import dataclass

from streamsep.evaluate.measures import PHASE
from streamsep.evaluate.scores import Row

_ROWS = {
    "mixture": "mixture as it is",
    "true stems": "true stems",
    "ideal_bins": "ideal mask, 961 bins",
    "ideal_bands": "ideal mask, 120 bands",
    "ideal_tokens": "mask of true tokens",
    "ideal_codec": "codec round trip",
    "hard": "hard tokens",
    "soft": "soft latents",
    "guide": "guide head",
    "fused": "fused (default)",
}


OURS = frozenset(_ROWS)  # names of rows that no other system may have


@dataclass(frozen=True)
class Measure:
    """``better`` is +1 where more is better, -1 where less is, 0 where neither."""

    key: str
    name: str
    unit: str
    better: int
    family: str
    meaning: str


MEASURES: tuple[Measure, ...] = (
    Measure("si_sdr", "SI-SDR", "dB", 1, "sdr", "median over the seconds in which the stem is active"),
    Measure("si_sdr_gain", "SI-SDR over the mixture", "dB", 1, "sdr", "gain second by second, then the median"),
    Measure("sdr_active", "SDR, active", "dB", 1, "sdr", "plain SDR, median over active seconds"),
    Measure("sdr_song", "SDR, whole song", "dB", 1, "sdr", "the utterance SDR of the MDX and SDX challenges"),
    Measure("sdr_song_gain", "SDR, whole song, over the mixture", "dB", 1, "sdr", "difference to the mixture's"),
    Measure("si_sdr_song", "SI-SDR, whole song", "dB", 1, "sdr", "scale-invariant, over all samples at once"),
    Measure("si_sdr_song_gain", "SI-SDR, whole song, over the mixture", "dB", 1, "sdr", "difference to the mixture's"),
    Measure("bss_sdr", "SDR, BSS Eval 4", "dB", 1, "bss", "median over one-second windows, filters of 512 taps"),
    Measure("bss_isr", "ISR, BSS Eval 4", "dB", 1, "bss", "image to spatial distortion"),
    Measure("bss_sir", "SIR, BSS Eval 4", "dB", 1, "bss", "source to interference: bleed"),
    Measure("bss_sar", "SAR, BSS Eval 4", "dB", 1, "bss", "source to artifacts"),
    Measure("lsd", "Log-spectral distance", "dB", -1, "spectral", "median over active seconds, floor at -80 dB"),
    *(
        Measure(name, f"Phase deviation, {name.removeprefix('phase ')}", "°", -1, "spectral", "0 perfect, 90 chance")
        for name in PHASE
    ),
    Measure("visqol", "ViSQOL", "MOS", 1, "perceptual", "audio mode, the loudest five seconds, 1 to 5"),
    Measure("dnsmos_sig", "DNSMOS SIG", "MOS", 1, "perceptual", "of the voice, the loudest ten seconds, 1 to 5"),
    Measure("dnsmos_bak", "DNSMOS BAK", "MOS", 1, "perceptual", "of what is behind the voice"),
    Measure("dnsmos_ovrl", "DNSMOS OVRL", "MOS", 1, "perceptual", "of both"),
    Measure("nisqa_mos", "NISQA MOS", "MOS", 1, "perceptual", "of the voice, 1 to 5"),
    Measure("nisqa_noisiness", "NISQA noisiness", "MOS", 1, "perceptual", "5 is none"),
    Measure("nisqa_coloration", "NISQA coloration", "MOS", 1, "perceptual", "5 is none"),
)
TESTED: tuple[str, ...] = ("si_sdr", "sdr_song", "bss_sdr", "bss_sir", "lsd", "visqol")  # between systems


def row_label(row: Row) -> str:
    """``fused`` at 0 → "fused (default), k = 0"."""
    label = _ROWS.get(row.estimate, row.estimate)
    return label if row.lookahead is None else f"{label}, k = {row.lookahead}"
