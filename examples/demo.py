#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole product on one screen: real recordings flow through GNU Radio and get their names.

    file -> [shift, filter, resample] -> throttle -> TS-DDAE Classifier -> decisions
    file -> throttle -> TS-DDAE Survey -> emissions

Prints every decision as it comes, then writes, for each recording, a timeline (PNG) and the
recording annotated with the decisions (SigMF). At the end a band with several signals is surveyed:
nobody says where they are. It is also the shortest example of how to use the blocks from Python.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pmt
from gnuradio import blocks, filter, gr
from gnuradio.filter import firdes, pfb

from gr_tsddae import Decision
from gr_tsddae import blocks as tsddae
from gr_tsddae.iq.captures import Capture, open_capture
from gr_tsddae.iq.sigmf.annotations import write_annotations
from gr_tsddae.report.timeline import plot_timeline
from gr_tsddae.survey import DEFAULT_MODEL, Emission
from gr_tsddae.survey.output.picture import draw

SURVEYED = "fsk-radiosondes"
UNMODULATED = ("noise", "NFM carrier")  # truths that are no modulation
DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Entry:
    """A recording, and how to bring it to where the model was trained.

    Attributes:
        name: in examples/data.
        truth: what is in its bursts, in the model's words; None: a kind it does not know.
        shift_hz: where the signal sits; it is moved to 0.
        rate_hz: sample rate for the model, 8 samples per symbol. None leaves it as recorded.
        nominal_rate_hz: assumed where the recording does not say at what rate it was made.
    """

    name: str
    truth: str | None
    shift_hz: float = 0.0
    rate_hz: float | None = None
    nominal_rate_hz: float | None = None


ENTRIES = (
    Entry("bpsk-kr01", "BPSK"),
    Entry("bpsk-pwsat2", "BPSK"),
    Entry("bpsk-picsat", "BPSK", rate_hz=76_560),
    # Voice FM is slow against the broadcast FM the model knows: at this rate audio and deviation
    # take as many samples as there.
    Entry("nfm-2m-voice", "WBFM", shift_hz=30_270, rate_hz=100_000),
)
# With --all: what the model meets beyond its classes, and two synthetic reference signals.
OTHERS = (
    Entry("d8psk-vdl2", "8PSK", rate_hz=84_000),
    Entry("gfsk-ble", "GFSK", rate_hz=8e6),
    Entry("fsk-cc1101", None, shift_hz=-7_960, rate_hz=80_000, nominal_rate_hz=1e6),
    Entry("oqpsk-aero", None, rate_hz=42_000),
    Entry("ook-remote", None, shift_hz=14_160, nominal_rate_hz=1e6),
    Entry("lte-downlink", None),
    Entry("wifi-80211a", None),
)


class FileOfSamples(gr.hier_block2):
    """The samples of a .sigmf-data file as a complex stream, from stock blocks."""

    def __init__(self, capture: Capture):
        gr.hier_block2.__init__(
            self, "File of Samples", gr.io_signature(0, 0, 0),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )  # fmt: skip
        path, datatype = str(capture.data_path), capture.sample_format.name
        if datatype == "cf32":
            self.connect(blocks.file_source(gr.sizeof_gr_complex, path), self)
        elif datatype == "cu8":
            self.split = blocks.deinterleave(gr.sizeof_float)
            self.join = blocks.float_to_complex()
            self.connect(
                blocks.file_source(gr.sizeof_char, path),
                blocks.uchar_to_float(),
                blocks.add_const_ff(-127.4),
                blocks.multiply_const_ff(1 / 128),
                self.split,
            )
            for row in range(2):
                self.connect((self.split, row), (self.join, row))
            self.connect(self.join, self)
        elif datatype == "ci16":
            self.connect(
                blocks.file_source(gr.sizeof_short, path),
                blocks.interleaved_short_to_complex(False, False, 32768),
                self,
            )
        else:
            raise ValueError(f"{path}: this demo plays cf32, ci16 and cu8, not {datatype}")


class DecisionPrinter(gr.basic_block):
    """Prints decisions as they come, and keeps them and the status."""

    def __init__(self):
        gr.basic_block.__init__(self, name="decision printer", in_sig=None, out_sig=None)
        self.decisions: list[Decision] = []
        self.status: dict = {}
        for port, handler in (("decisions", self.on_decision), ("status", self.on_status)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def on_decision(self, message: pmt.pmt_base) -> None:
        decision = Decision(**pmt.to_python(message))
        self.decisions.append(decision)
        start_s = decision.first_sample / decision.sample_rate_hz
        frequency = decision.center_frequency_hz
        megahertz = f"{frequency / 1e6:10.4f} MHz" if frequency else f"{'-':>14}"
        bar = "#" * round(20 * decision.confidence)
        print(
            f"{start_s:9.3f} s {megahertz}  {decision.label:<8} {decision.confidence:4.0%} "
            f"{bar:<20}  {decision.windows} windows",
            flush=True,
        )

    def on_status(self, message: pmt.pmt_base) -> None:
        self.status = pmt.to_python(message)


class Demo(gr.top_block):
    """One recording through the classifier."""

    def __init__(self, entry: Entry, capture: Capture, model: str, speed: float):
        gr.top_block.__init__(self, entry.name)
        rate_hz = entry.rate_hz or capture.sample_rate_hz
        chain = [FileOfSamples(capture)]
        if entry.shift_hz or rate_hz != capture.sample_rate_hz:
            # Tune, keep what the new rate can hold, then change to it.
            band_hz = 0.4 * min(rate_hz, capture.sample_rate_hz)
            decimation = max(1, int(capture.sample_rate_hz / rate_hz / 2))
            taps = firdes.low_pass(1, capture.sample_rate_hz, band_hz, band_hz / 4)
            chain += [
                filter.freq_xlating_fir_filter_ccf(
                    decimation, taps, entry.shift_hz, capture.sample_rate_hz
                ),
                pfb.arb_resampler_ccf(rate_hz * decimation / capture.sample_rate_hz),
            ]
        self.chain = [*chain, blocks.throttle(gr.sizeof_gr_complex, speed * rate_hz)]
        self.classifier = tsddae.classifier(
            model=model,
            overflow="block",  # a file can wait; nothing is lost
            decision_interval_s=capture.duration_s / 40,
            sample_rate_hz=rate_hz,
            center_frequency_hz=(capture.center_frequency_hz or 0.0) + entry.shift_hz
            if capture.center_frequency_hz
            else 0.0,
        )
        self.printer = DecisionPrinter()
        self.connect(*self.chain, self.classifier)
        for port in ("decisions", "status"):
            self.msg_connect(self.classifier, port, self.printer, port)


def on_original_clock(decision: Decision, capture: Capture) -> Decision:
    """A decision's samples counted as in the recording, before it was resampled."""
    from dataclasses import replace

    ratio = capture.sample_rate_hz / decision.sample_rate_hz
    first = min(round(decision.first_sample * ratio), capture.sample_count)
    end = round((decision.first_sample + decision.sample_count) * ratio)
    return replace(
        decision,
        first_sample=first,
        sample_count=min(end, capture.sample_count) - first,
        sample_rate_hz=capture.sample_rate_hz,
    )


def said_in_bursts(decisions: list[Decision], capture: Capture) -> Counter:
    """Labels of the decisions that lie mostly within an annotated signal."""
    said = Counter()
    for decision in decisions:
        middle = decision.first_sample + decision.sample_count // 2
        if any(
            a.first_sample <= middle < a.first_sample + a.sample_count
            and a.label not in UNMODULATED
            for a in capture.annotations
        ):
            said[decision.label] += 1
    return said


def play(entry: Entry, model: str, speed: float, out: Path) -> str:
    """Run one recording; returns a line for the summary."""
    path = DATA / f"{entry.name}.sigmf-meta"
    with open_capture(path, sample_rate_hz=entry.nominal_rate_hz) as capture:
        print(f"\n== {entry.name}: {capture.metadata.get('core:description', '')}")
        flowgraph = Demo(entry, capture, model, speed)
        flowgraph.run()
        counters = flowgraph.classifier.counters()
        decisions = [on_original_clock(d, capture) for d in flowgraph.printer.decisions]
        name = flowgraph.printer.status["model"]
        plot_timeline(
            capture,
            decisions,
            out / f"{entry.name}.png",
            classes=flowgraph.classifier.classes,
            title=f"{entry.name}, as {name} sees it",
        )
        write_annotations(capture, decisions, out / entry.name, model_name=name)
        said = said_in_bursts(decisions, capture)
        total = max(1, said.total())
        spoken = ", ".join(f"{label} {n / total:.0%}" for label, n in said.most_common(3))
        print(
            f"samples in {counters['samples_in']} = classified {counters['samples_classified']} "
            f"+ gated {counters['samples_gated']} + dropped {counters['samples_dropped']} "
            f"+ flushed {counters['samples_flushed']} + pending {counters['samples_pending']}"
        )
        return f"{entry.name:<14} {entry.truth or '(none)':<8} {spoken}"


class EmissionPrinter(gr.basic_block):
    """Prints when emissions begin and end, and keeps those that ended."""

    def __init__(self):
        gr.basic_block.__init__(self, name="emission printer", in_sig=None, out_sig=None)
        self.emissions: list[Emission] = []
        self.message_port_register_in(pmt.intern("emissions"))
        self.set_msg_handler(pmt.intern("emissions"), self.on_emission)

    def on_emission(self, message: pmt.pmt_base) -> None:
        said = pmt.to_python(message)
        if said["kind"] == "updated" or said.get("withdrawn"):
            return
        emission = Emission.from_dict(said, said["center_frequency_hz"])
        symbol_rate = f"{emission.symbol_rate_hz:.0f} Bd" if emission.symbol_rate_hz else "-"
        print(
            f"{emission.stop_s:9.3f} s  emission {emission.id} {said['kind']:<6}"
            f"{emission.center_hz / 1e3:+9.3f} kHz, {emission.bandwidth_hz / 1e3:6.3f} kHz wide, "
            f"SNR {emission.snr_db:3.0f} dB, {symbol_rate:>7}  {emission.label:<8} "
            f"{' or '.join(emission.candidates)}",
            flush=True,
        )
        if said["kind"] == "ended":
            self.emissions.append(emission)


class SurveyDemo(gr.top_block):
    """A recording of a band with several signals through the survey."""

    def __init__(self, capture: Capture, model: str, speed: float):
        gr.top_block.__init__(self, "survey")
        rate_hz = capture.sample_rate_hz
        self.source = FileOfSamples(capture)
        self.throttle = blocks.throttle(gr.sizeof_gr_complex, speed * rate_hz)
        self.survey = tsddae.survey(model=model, sample_rate_hz=rate_hz, overflow="block")
        self.printer = EmissionPrinter()
        self.connect(self.source, self.throttle, self.survey)
        self.msg_connect(self.survey, "emissions", self.printer, "emissions")


def survey(model: str, speed: float, out: Path) -> str:
    """Survey the band of one recording; returns a line for the summary."""
    with open_capture(DATA / f"{SURVEYED}.sigmf-meta") as capture:
        print(f"\n== survey of {SURVEYED}: {capture.metadata.get('core:description', '')}")
        flowgraph = SurveyDemo(capture, model, speed)
        flowgraph.run()
        emissions = flowgraph.printer.emissions
        picture = out / f"{SURVEYED}.png"
        draw(capture, emissions, picture)
        counters = flowgraph.survey.counters()
        print(
            f"samples in {counters['samples_in']} = surveyed {counters['samples_surveyed']} "
            f"+ gated {counters['samples_gated']} + dropped {counters['samples_dropped']} "
            f"+ flushed {counters['samples_flushed']} + pending {counters['samples_pending']}"
        )
    return f"the survey found {len(emissions)} emissions in {SURVEYED}: see {picture}"


def main() -> int:
    """Play the recordings, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="amc-nano", help="name or folder")
    parser.add_argument(
        "--survey-model",
        default=DEFAULT_MODEL,
        help=f"names what the survey finds; none: only measure (default: {DEFAULT_MODEL})",
    )
    parser.add_argument("--all", action="store_true", help="also signals that are no class of it")
    parser.add_argument("--speed", type=float, default=2.0, help="times real time (default: 2)")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for results")
    arguments = parser.parse_args()
    entries = ENTRIES + OTHERS if arguments.all else ENTRIES
    summary = [play(entry, arguments.model, arguments.speed, arguments.out) for entry in entries]
    found = survey(arguments.survey_model, arguments.speed, arguments.out)
    print("\nrecording      truth    what the decisions within its bursts said")
    print("\n".join(summary))
    print(f"\n{found}")
    print(f"timelines and annotated recordings are in {arguments.out}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
