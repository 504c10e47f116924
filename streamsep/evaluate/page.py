"""The report as one HTML page that needs nothing else: tables, plots, pictures and sounds. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from streamsep.config import STEMS
from streamsep.evaluate.boxplot import Box, box_plot
from streamsep.evaluate.labels import MEASURES, Measure, row_label
from streamsep.evaluate.run import SongRecord
from streamsep.evaluate.scores import MIXTURE, Row
from streamsep.evaluate.summary import MEAN, compared_rows, rows_of, song_values

_STEMS = (*STEMS, MEAN)
_BY_KEY = {measure.key: measure for measure in MEASURES}
_GLANCE = ("bss_sdr", "bss_isr", "bss_sir", "bss_sar", "sdr_song", "lsd", "visqol", "dnsmos_ovrl", "nisqa_mos")
_FAMILIES = (
    ("sdr", "Ratios"),
    ("bss", "BSS Eval 4, as museval and SiSEC have it"),
    ("spectral", "Spectra"),
    ("perceptual", "Judges that stand in for listeners"),
)


def build_page(results: Mapping[str, Any], records: Sequence[SongRecord]) -> str:
    """``results`` as in results.json; ``records`` for the plots and exhibits."""
    rows = rows_of(records)
    main = _main(rows)
    sections = [
        ("short", "In short", _headline(results, records, rows, main)),
        ("spread", "Song by song", _boxes(records, rows, main)),
        ("differ", "Is the difference real?", _comparisons(results)),
        ("bleed", "What bleeds, and does it add up?", _across(results)),
        ("robust", "Robustness", _robustness(results.get("robustness"))),
        ("listen", "Look and listen", _exhibits(records)),
        ("all", "All measures", _measures(results, main)),
        ("notes", "Notes", _notes(results)),
    ]
    kept = [(key, title, body) for key, title, body in sections if body]
    nav = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in kept)
    body = "".join(f'<h2 id="{key}">{title}</h2>{text}' for key, title, text in kept)
    style = files("streamsep.evaluate").joinpath("page.css").read_text("utf-8")
    count, minutes = results["songs_measured"], results["seconds_measured"] / 60
    title = f"Separation by {escape(results['model'])}"
    songs = "1 song" if count == 1 else f"{count} songs"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head><body><main><h1>{title}</h1>"
        f'<p class="dim">{songs}, {minutes:.1f} minutes, from {escape(results["data"])}; '
        f"streamsep {results['version']}.</p>"
        f"<nav>{nav}</nav>{body}</main></body></html>\n"
    )


def _main(rows: Sequence[Row]) -> Row | None:
    """The row that the report is about: the model's default at the first lookahead."""
    return next((row for row in rows if row.estimate == "fused"), None)


def _headline(results: Mapping[str, Any], records: Sequence[SongRecord], rows: Sequence[Row], main: Row | None) -> str:
    total = {(entry["estimate"], entry["lookahead"]): entry for entry in results["total"]}
    body: list[str] = []
    for row in rows:
        entry = total.get((row.estimate, row.lookahead))
        if entry is None:
            continue
        latency = "" if row.lookahead is None else f"{results['latency_ms'][str(row.lookahead)]:.0f} ms"
        cells = [_gained(entry["si_sdr"][stem], entry["improvement"][stem], row) for stem in _STEMS]
        body.append(_tr([escape(row_label(row)), latency, *cells], _kind(row, main)))
    return (
        "<p>SI-SDR in dB: the median over all seconds in which a stem is active (louder than -50 dBFS and than the "
        "mixture minus 30 dB). Below it, what is gained over the mixture in the same second.</p>"
        + _table(["", "latency", *_STEMS], body)
        + _glance(results, main)
    )


def _glance(results: Mapping[str, Any], main: Row | None) -> str:
    """The other measures side by side, on the mean of stems or on vocals."""
    shown = [key for key in _GLANCE if any(key in entry["measures"] for entry in results["summaries"])]
    if not shown:
        return ""
    body = [
        _tr(
            [escape(entry["label"]), *(_mean(entry["measures"].get(key)) for key in shown)],
            _kind(Row(entry["estimate"], entry["lookahead"]), main),
        )
        for entry in results["summaries"]
    ]
    head = [f"{_BY_KEY[key].name.replace(', BSS Eval 4', '')}<br>{_BY_KEY[key].unit}" for key in shown]
    words = "mean over songs of the mean over stems; DNSMOS and NISQA of vocals; SDR, ISR, SIR and SAR of BSS Eval 4"
    return f"<h3>Other measures at a glance</h3>{_table(['', *head], body, words)}"


def _mean(found: Mapping[str, Any] | None) -> str:
    return "–" if found is None or found[MEAN] is None else f"{found[MEAN]['mean']:.2f}"


def _gained(value: float | None, gain: float | None, row: Row) -> str:
    if value is None:
        return "–"
    if row.estimate == MIXTURE or gain is None:
        return f"{value:.1f}"
    kind = "up" if gain > 0 else "down"
    return f'{value:.1f}<small><span class="{kind}">{gain:+.1f}</span></small>'


def _boxes(records: Sequence[SongRecord], rows: Sequence[Row], main: Row | None) -> str:
    if len(records) < 2:
        return ""
    shown = [row for row in rows if row.estimate != MIXTURE]
    parts: list[str] = []
    for stem in _STEMS:
        boxes = [
            Box(row_label(row), _numbers(song_values(records, row, "si_sdr_gain", stem)), row == main) for row in shown
        ]
        plot = box_plot(boxes, "dB")
        if plot:
            parts.append(f"<div><h3>{stem}</h3>{plot}</div>")
    return (
        "<p>SI-SDR over the mixture, one value a song: boxes from quartile to quartile, a line at the median, "
        f'whiskers within one and a half boxes, dots beyond.</p><div class="pair">{"".join(parts)}</div>'
    )


def _comparisons(results: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for name, tests in results.get("comparisons", {}).items():
        pairs: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
        for test in tests:
            pairs.setdefault((test["a"], test["b"]), {})[test["what"]] = test
        body = [
            _tr([f"{escape(a)} <span class=dim>minus</span> {escape(b)}", *(_tested(by.get(stem)) for stem in _STEMS)])
            for (a, b), by in pairs.items()
        ]
        measure = _BY_KEY[name]
        opened = " open" if not parts else ""
        parts.append(
            f'<details{opened}><summary>{escape(measure.name)} <span class="dim">in {measure.unit}</span></summary>'
            + _table(["", *_STEMS], body)
            + "</details>"
        )
    if not parts:
        return ""
    return (
        "<p>Median over songs of the difference between two systems; below it p of the paired Wilcoxon signed-rank "
        "test, after Holm's correction over all tests of the measure. Bold: p &lt; 0.05.</p>" + "".join(parts)
    )


def _tested(test: Mapping[str, Any] | None) -> str:
    if test is None:
        return "–"
    value, p = f"{test['difference']:+.2f}", test["p_holm"]
    return f"{f'<b>{value}</b>' if p < 0.05 else value}<small>p {_p(p)}</small>"


def _p(p: float) -> str:
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _across(results: Mapping[str, Any]) -> str:
    """Matrices of the rows that are compared, and how well stems add up, of all."""
    entries = [entry for entry in results["summaries"] if entry["leakage"] is not None]
    if not entries:
        return ""
    wanted = {
        (row.estimate, row.lookahead)
        for row in compared_rows([Row(entry["estimate"], entry["lookahead"]) for entry in entries])
        if row.estimate not in ("hard", "soft", "guide")
    }
    chosen = [entry for entry in entries if (entry["estimate"], entry["lookahead"]) in wanted]
    leaks = "leakage in dB: of the estimate (row), explained by the true stem (column)"
    parts = [
        f'<h3>{escape(entry["label"])}</h3><div class="pair">{_matrix(leaks, entry["leakage"], 40)}'
        + _matrix("correlation between estimates", entry["correlation"], None)
        + "</div>"
        for entry in chosen
    ]
    body = [
        _tr([escape(entry["label"]), *_spread(entry["residual_db"])])
        for entry in entries
        if entry["residual_db"] is not None and entry["estimate"] != MIXTURE
    ]
    return (
        "<p>A perfect separation has 0 dB on the diagonal and very little beside it. Least squares over seconds and "
        "seven bands; what no true stem explains is artifacts.</p>"
        f"{''.join(parts)}<h3>Mixture minus the sum of the stems</h3>"
        + _table(["", "mean", "standard deviation", "95 % interval of the mean"], body, "in dB below the mixture")
    )


def _matrix(caption: str, matrix: Sequence[Sequence[Mapping[str, Any] | None]], range_db: float | None) -> str:
    body: list[str] = []
    for stem, line in zip(STEMS, matrix, strict=True):
        cells = [f"<td>{stem}</td>"]
        for cell in line:
            if cell is None:
                cells.append("<td>–</td>")
                continue
            value = cell["mean"]
            share = abs(value) if range_db is None else max(0.0, 1 + value / range_db)
            title = f"± {cell['deviation']:.1f}, {cell['low']:.1f} … {cell['high']:.1f}, {cell['count']} songs"
            text = f"{value:.2f}" if range_db is None else f"{value:.1f}"
            shade = f"background:color-mix(in srgb, var(--accent) {round(60 * min(share, 1))}%, transparent)"
            cells.append(f'<td style="{shade}" title="{title}">{text}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    return _table(["", *STEMS], body, caption, "heat")


def _spread(summary: Mapping[str, Any]) -> list[str]:
    return [f"{summary['mean']:.1f}", f"{summary['deviation']:.1f}", f"{summary['low']:.1f} … {summary['high']:.1f}"]


def _robustness(found: Any) -> str:
    if not found:
        return ""
    body = [
        _tr([escape(row["what"]), escape(row["figure"]), escape(row["wanted"]), "yes" if row["holds"] else "<b>no</b>"])
        for row in found["rows"]
    ]
    return f"<p>The default render at lookahead {found['lookahead']}, {found['songs']} songs.</p>" + _table(
        ["", "measured", "wanted", "holds"], body
    )


def _exhibits(records: Sequence[SongRecord]) -> str:
    parts: list[str] = []
    for record in records:
        shown = record.exhibit
        if shown is None:
            continue
        head = "".join(f'<div class="head">{stem}</div>' for stem in STEMS)
        cells = [f'<div class="name">mixture</div><div class="wide">{_figure(shown["mixture"])}</div>']
        cells.append(f'<div class="head"></div>{head}')
        for row in shown["rows"]:
            name = row_label(Row(row["estimate"], row["lookahead"]))
            figures = "".join(_figure(row["stems"][stem]) if stem in row["stems"] else "<div>–</div>" for stem in STEMS)
            cells.append(f'<div class="name">{escape(name)}</div>{figures}')
        opened = " open" if not parts else ""
        parts.append(
            f"<details{opened}><summary>{escape(shown['song'])} "
            f'<span class="dim">{shown["seconds"]} s from {shown["start"]:.0f} s</span></summary>'
            f'<div class="strips">{"".join(cells)}</div></details>'
        )
    if not parts:
        return ""
    return (
        "<p>Spectrograms from 40 Hz to 16 kHz, one scale of 70 dB for all of a song; each plays what it shows.</p>"
        + "".join(parts)
    )


def _figure(shown: Mapping[str, str]) -> str:
    return (
        f'<figure><img alt="spectrogram" src="data:image/png;base64,{shown["picture"]}">'
        f'<audio controls preload="none" src="data:audio/mpeg;base64,{shown["sound"]}"></audio></figure>'
    )


def _measures(results: Mapping[str, Any], main: Row | None) -> str:
    parts: list[str] = []
    for family, title in _FAMILIES:
        tables = [_measure(measure, results, main) for measure in MEASURES if measure.family == family]
        if any(tables):
            parts.append(f"<h3>{title}</h3>{''.join(tables)}")
    return "<p>Mean over songs ± standard deviation; below it the 95 % bootstrap interval of the mean.</p>" + "".join(
        parts
    )


def _measure(measure: Measure, results: Mapping[str, Any], main: Row | None) -> str:
    entries = [entry for entry in results["summaries"] if measure.key in entry["measures"]]
    if not entries:
        return ""
    stems = [stem for stem in _STEMS if any(entry["measures"][measure.key][stem] for entry in entries)]
    stems = stems if len(stems) > 2 else stems[:1]  # of one stem alone there is no mean
    body = [
        _tr(
            [escape(entry["label"]), *(_summary(entry["measures"][measure.key][stem]) for stem in stems)],
            _kind(Row(entry["estimate"], entry["lookahead"]), main),
        )
        for entry in entries
    ]
    better = {1: "more is better", -1: "less is better"}.get(measure.better, "")
    return (
        f'<details><summary>{escape(measure.name)} <span class="dim">in {measure.unit}; {measure.meaning}; {better}'
        f"</span></summary>{_table(['', *stems], body)}</details>"
    )


def _summary(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return f"{found['mean']:.2f} ± {found['deviation']:.2f}<small>{found['low']:.2f} … {found['high']:.2f}</small>"


def _notes(results: Mapping[str, Any]) -> str:
    lines = [*results["notes"], *results["failures"]]
    definitions = "".join(f"<p><b>{escape(key)}</b> {escape(text)}.</p>" for key, text in results["definition"].items())
    return "".join(f'<p class="note">{escape(line)}</p>' for line in lines) + definitions


def _kind(row: Row, main: Row | None) -> str:
    return "main" if row == main else "ideal" if row.estimate == MIXTURE or row.estimate.startswith("ideal") else ""


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _tr(cells: Sequence[str], kind: str = "") -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _table(head: Sequence[str], rows: Sequence[str], caption: str = "", kind: str = "") -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    words = f"<caption>{caption}</caption>" if caption else ""
    return f'<div class="scroll"><table class="{kind}">{words}<tr>{top}</tr>{"".join(rows)}</table></div>'
