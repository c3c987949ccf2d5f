# SPDX-License-Identifier: GPL-3.0-or-later
"""The recognition display's words: the two lines at its foot."""

from __future__ import annotations

from typing import Any

from gr_tsddae.blocks.display.state import DisplayState
from gr_tsddae.blocks.display.theme import Theme
from gr_tsddae.blocks.display.units import si, utc


def status_pieces(state: DisplayState, theme: Theme) -> list[tuple[str, str, str]]:
    """Write the classifier's status in pieces: (long text, short text, colour) each."""
    status = state.status
    if not status:
        return [("no status yet", "no status yet", theme.muted)] if state.decision else []
    pieces = []
    rate_in = status.get("rate_in_samples_per_s", 0.0)
    rates = si(rate_in, "S/s", 3)
    pieces.append((f"in {rates}", f"in {rates}", theme.text))
    looked_at, gated = state.share("classified"), state.share("gated")
    share = "–" if looked_at is None else f"{looked_at:.0%}"
    looked_at_rate = si(status.get("rate_classified_samples_per_s", 0.0), "S/s", 3)
    pieces.append((f"looked at {looked_at_rate}, {share}", f"seen {share}", theme.text))
    if gated:
        pieces.append((f"gated {gated:.0%}", f"gated {gated:.0%}", theme.muted))
    dropped = si(status.get("samples_dropped", 0), "", 3).strip()
    if state.change("samples_dropped") > 0:
        pieces.append((f"▲ dropping, {dropped} samples", f"▲ lost {dropped}", theme.bad))
    else:
        pieces.append((f"dropped {dropped}", f"lost {dropped}", theme.muted))
    if "latency_p50_s" in status:
        p50, p99 = (1e3 * status[f"latency_{p}_s"] for p in ("p50", "p99"))
        pieces.append((f"latency {p50:.0f} ms, p99 {p99:.0f} ms", f"{p50:.0f}/{p99:.0f} ms",
                       theme.muted))  # fmt: skip
    return pieces


def stretch_text(stretch: dict[str, Any], edge_s: float) -> str:
    """Say what was decided in a stretch of the history, when, and for how long."""
    first, count = stretch["first_sample"], stretch["sample_count"]
    length_s = stretch["end_s"] - stretch["start_s"]
    if stretch["time_s"] is None:
        when = f"{edge_s - stretch['start_s']:.1f} s ago"
    else:
        begin, end = (
            utc(at, "%H:%M:%S") for at in (stretch["time_s"], stretch["time_s"] + length_s)
        )
        when = f"{begin} to {end} UTC"
    return (
        f"{stretch['label']}, mean confidence {stretch['confidence']:.0%}\n"
        f"{when}, for {length_s:.2f} s\n"
        f"samples {first:,} to {first + count - 1:,}"
    )


def note(
    state: DisplayState,
    theme: Theme,
    complaint: str,
    selection: dict[str, Any] | None,
    skipped: int,
) -> tuple[str, str]:
    """Write the last line, and choose its colour: a fault, else the selection, else the model."""
    status = state.status
    errors = status.get("errors", 0) - state.errors_before
    pieces = []
    if state.asked_for:
        pieces.append((f"loading {state.asked_for} …", theme.text))
    if complaint:
        pieces.append((f"✖ {complaint}", theme.bad))
    if status.get("warning"):
        pieces.append((f"⚠ {status['warning']}", theme.warning))
    if errors > 0:
        count = "" if errors == 1 else f"{errors:.0f} errors, the last: "
        text = f"✖ {count}{status.get('last_error', '')}"
        growing = state.change("errors") > 0  # an old error must not hide a new warning
        pieces.insert(0 if growing else len(pieces), (text, theme.bad))
    if status.get("receiver_messages"):
        growing = state.change("receiver_messages") > 0
        text = f"⚠ the receiver reported {status['receiver_messages']:.0f} time(s)"
        pieces.insert(0 if growing else len(pieces), (text, theme.warning))
    if state.malformed:
        text = f"⚠ {state.malformed} unreadable message(s): {state.last_malformed}"
        pieces.append((text, theme.warning))
    if skipped:
        pieces.append((f"⚠ {skipped} messages came too fast to show", theme.warning))
    if not pieces and selection:
        first, count = selection["first_sample"], selection["sample_count"]
        text = f"{selection['label']}: {count:,} samples from {first:,}"
        pieces.append((text, theme.muted))
    if not pieces:
        words = (str(status.get(name, "")) for name in ("model", "device", "precision"))
        pieces.append(("  ·  ".join(word for word in words if word), theme.muted))
    return "   ".join(" ".join(text.split()) for text, _ in pieces), pieces[0][1]
