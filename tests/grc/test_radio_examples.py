# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples for radios, run as users run them, with the hardware replaced.

RTL-SDR: the stock osmosdr source takes a recording from the rtl_tcp server of this package.
SoapySDR and UHD: a file of what the radio would receive stands in the place of the source block.
Everything behind the source is the example's own. What they hear is an FM station at 100.1 MHz.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
if shutil.which("grcc") is None:
    pytest.skip("grcc is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import pmt
from gnuradio import blocks

from dongle import Dongle

STATION_HZ = 100.1e6
PATIENCE_S = 120  # on a busy machine


def station(rate_hz: float, seconds: float, offset_hz: float = 0.0) -> np.ndarray:
    """A broadcast: speech-like noise, 75 kHz of deviation, 20 dB over the receiver's noise."""
    rng = np.random.default_rng(1)
    count = round(rate_hz * seconds)
    frequency_hz = np.fft.rfftfreq(count, 1 / rate_hz)
    heard = (frequency_hz > 30) & (frequency_hz < 8e3)
    spectrum = np.zeros(len(frequency_hz), complex)
    spectrum[heard] = rng.normal(size=heard.sum()) + 1j * rng.normal(size=heard.sum())
    spectrum /= np.maximum(frequency_hz, 2e3)
    audio = np.fft.irfft(spectrum, count)
    audio *= 1 / 3 / audio.std()
    turns = np.cumsum(75e3 * audio + offset_hz) / rate_hz
    noise = rng.normal(size=count) + 1j * rng.normal(size=count)
    noise *= 0.05 * np.sqrt(rate_hz / 2 / 250e3)
    return (0.5 * (np.exp(2j * np.pi * turns) + noise)).astype(np.complex64)


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("station") / "station.cf32"
    station(250e3, 1.0).tofile(path)
    return path


@pytest.fixture
def dongle(recording):
    """Ask for it before `example`: gr-osmosdr never ends when its server goes first."""
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with Dongle(recording, recording_rate=250e3, recording_frequency=STATION_HZ) as made:
        yield made


class Example:
    """An example flowgraph: changed where a test must, compiled by grcc, and run."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        self.content = yaml.safe_load((ROOT / "examples" / f"{name}.grc").read_text())
        self.decisions = folder / "decisions.jsonl"
        self.process: subprocess.Popen | None = None

    def block(self, name: str) -> dict:
        (found,) = (block for block in self.content["blocks"] if block["name"] == name)
        return found

    def add(self, name: str, kind: str, **parameters: str) -> None:
        self.content["blocks"].append(
            {"name": name, "id": kind, "parameters": parameters, "states": {"state": "enabled"}}
        )

    def keep_decisions(self) -> None:
        """Write decisions to a file, by a block that is added to the example."""
        self.add("keeper", "tsddae_json_publisher", file=str(self.decisions))
        self.content["connections"].append(["classifier", "decisions", "keeper", "decisions"])

    def replace_radio(self, path: Path) -> None:
        """Put a file and a throttle in the place of the block `radio`."""
        self.content["blocks"].remove(self.block("radio"))
        self.add("air", "blocks_file_source", file=str(path), type="complex", repeat="True")
        self.add("radio", "blocks_throttle", type="complex", samples_per_second="sample_rate_hz")
        self.content["connections"] = [
            wire
            for wire in self.content["connections"]
            if "radio" not in (wire[0], wire[2]) or wire[1].isdigit()
        ]
        self.content["connections"].append(["air", "0", "radio", "0"])

    def compile(self) -> Path:
        """Returns the Python program that grcc made."""
        path = self.folder / f"{self.name}.grc"
        path.write_text(yaml.safe_dump(self.content, sort_keys=False))
        grcc = subprocess.run(
            [sys.executable, shutil.which("grcc"), "-o", str(self.folder), str(path)],
            env=os.environ | {"GRC_BLOCKS_PATH": str(ROOT / "grc")},
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert grcc.returncode == 0, grcc.stdout + grcc.stderr
        return self.folder / f"{self.name}.py"

    def start(self, **options: object) -> Example:
        arguments = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "QT_QPA_PLATFORM": "offscreen"}
        program = self.compile()
        with (self.folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(program), *arguments], env=environment, cwd=self.folder,
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return self

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def wait_for(self, count: int, wanted=lambda decision: True) -> list[dict]:
        """All decisions, when there are so many that are wanted."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            text = self.decisions.read_text() if self.decisions.exists() else ""
            said = [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
            if sum(map(wanted, said)) >= count:
                return said
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline_s, f"{said}\n{self.output}"
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=PATIENCE_S)
            finally:
                self.process.kill()
        assert "Traceback" not in self.output, self.output


@pytest.fixture
def example(tmp_path):
    """Makes examples, and stops them."""
    made = []

    def make(name: str) -> Example:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Example(name, folder))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def labels(decisions: list[dict]) -> list[str]:
    return [decision["label"] for decision in decisions]


RADIO_EXAMPLES = {
    "rtl_sdr": "osmosdr",
    "rtl_sdr_soapy": "gnuradio.soapy",
    "usrp": "gnuradio.uhd",
    "zmq_remote": "gnuradio.zeromq",
    "remote_sender": "gnuradio.zeromq",
    "fm_band_walk": "osmosdr",
    "headless_station": "osmosdr",
    "survey_rtl_sdr": "osmosdr",
    "survey_rtl_sdr_soapy": "gnuradio.soapy",
    "survey_usrp": "gnuradio.uhd",
}


@pytest.mark.parametrize("name", RADIO_EXAMPLES)
def test_says_what_it_is(name):
    content = yaml.safe_load((ROOT / "examples" / f"{name}.grc").read_text())
    options = content["options"]["parameters"]
    assert options["id"] == name and options["author"] == "gr-tsddae"
    assert options["title"].startswith("TS-DDAE") and options["description"]
    assert len(options["comment"].splitlines()) > 3
    assert max(map(len, options["comment"].splitlines())) <= 56  # as wide as it is drawn well
    places = [tuple(block["states"]["coordinate"]) for block in content["blocks"]]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", RADIO_EXAMPLES)
def test_listens_to_this_computer_only(name):
    content = yaml.safe_load((ROOT / "examples" / f"{name}.grc").read_text())
    values = [value for block in content["blocks"] for value in block["parameters"].values()]
    addresses = [value for value in map(str, values) if "tcp://" in value]
    assert addresses or "address" not in {block["name"] for block in content["blocks"]}
    assert all("tcp://127.0.0.1:" in address for address in addresses)


@pytest.mark.parametrize("name", ["rtl_sdr_soapy", "usrp", "survey_rtl_sdr_soapy", "survey_usrp"])
def test_compiles_with_its_own_source(name, example):
    pytest.importorskip(RADIO_EXAMPLES[name], reason="its source block is not installed")
    example(name).compile()


def test_rtl_sdr(dongle, example):
    running = example("rtl_sdr")
    running.keep_decisions()
    running.start(device_args=dongle.device, frequency_hz=STATION_HZ)
    decisions = running.wait_for(8)
    said = labels(decisions[2:])
    assert said.count("WBFM") >= 0.9 * len(said)
    assert decisions[-1]["center_frequency_hz"] == STATION_HZ
    assert decisions[-1]["sample_rate_hz"] == 240e3


@pytest.mark.parametrize(("name", "rate_hz"), [("rtl_sdr_soapy", 2.4e6), ("usrp", 2.5e6)])
def test_with_a_file_for_the_radio(name, rate_hz, example, tmp_path):
    air = tmp_path / "air.cf32"
    station(rate_hz, 0.4, offset_hz=250e3).tofile(air)
    running = example(name)
    running.replace_radio(air)
    running.keep_decisions()
    running.start()
    decisions = running.wait_for(6)
    said = labels(decisions[1:])
    assert said.count("WBFM") >= 0.9 * len(said)
    assert decisions[-1]["center_frequency_hz"] == STATION_HZ


@pytest.fixture
def emissions(tmp_path):
    """Adds a publisher to an example of a survey, and hears what it sends."""
    zmq = pytest.importorskip("zmq", reason="pyzmq is not installed")
    pytest.importorskip("pyqtgraph", reason="pyqtgraph is not installed")
    address = f"ipc://{tmp_path}/emissions"
    with zmq.Context.instance().socket(zmq.SUB) as subscriber:
        subscriber.linger, subscriber.rcvtimeo = 0, PATIENCE_S * 1000
        subscriber.connect(address)
        subscriber.subscribe("tsddae/emissions")

        def of(running: Example):
            running.add("keeper", "tsddae_json_publisher", address=address)
            running.content["connections"].append(["survey", "emissions", "keeper", "emissions"])
            return lambda: json.loads(subscriber.recv_multipart()[1])

        yield of


def is_station(emission: dict) -> bool:
    return (
        abs(emission["center_hz"] - STATION_HZ) < 30e3 and 50e3 < emission["bandwidth_hz"] < 300e3
    )


def test_survey_rtl_sdr(dongle, example, emissions):
    running = example("survey_rtl_sdr")
    heard = emissions(running)
    running.start(
        device_args=dongle.device, frequency_hz=STATION_HZ - 400e3, sample_rate_hz=2e6,
        gain_db=20, model="none", confidence=0.9,
    )  # fmt: skip
    while not is_station(said := heard()):
        assert said["center_frequency_hz"] == STATION_HZ - 400e3
    assert said["sample_rate_hz"] == 2e6 and said["model"] == "none"


@pytest.mark.parametrize(
    ("name", "rate_hz"), [("survey_rtl_sdr_soapy", 2.4e6), ("survey_usrp", 2.5e6)]
)
def test_survey_with_a_file_for_the_radio(name, rate_hz, example, emissions, tmp_path):
    air = tmp_path / "air.cf32"
    station(rate_hz, 0.4, offset_hz=-300e3).tofile(air)
    running = example(name)
    running.replace_radio(air)
    running.block("survey")["parameters"]["overflow"] = "block"  # the file can wait
    heard = emissions(running)
    running.start(frequency_hz=STATION_HZ + 300e3, model="none")
    while not is_station(heard()):
        pass


def test_a_remote_receiver(dongle, example, tmp_path):
    pytest.importorskip("gnuradio.zeromq", reason="gr-zeromq is not installed")
    address = f"ipc://{tmp_path}/iq"
    example("remote_sender").start(
        device_args=dongle.device, frequency_hz=STATION_HZ, address=address
    )
    running = example("zmq_remote")
    running.keep_decisions()
    running.start(address=address)
    decisions = running.wait_for(6)
    said = labels(decisions[1:])
    assert said.count("WBFM") >= 0.9 * len(said)
    assert decisions[-1]["sample_rate_hz"] == 240e3


def test_a_walk_gives_one_decision_per_channel(dongle, example):
    running = example("fm_band_walk")
    running.keep_decisions()
    running.block("step_hz")["parameters"]["value"] = "800e3"
    running.start(device_args=dongle.device, start_hz=STATION_HZ - 800e3, stop_hz=STATION_HZ)
    decisions = running.wait_for(7)
    channels = [decision["center_frequency_hz"] for decision in decisions]
    first = channels.index(STATION_HZ)
    assert channels[first::2] == [STATION_HZ] * len(channels[first::2])
    assert channels[first + 1 :: 2] == [STATION_HZ - 800e3] * len(channels[first + 1 :: 2])
    for decision in decisions[1:]:
        on_air = decision["center_frequency_hz"] == STATION_HZ
        assert decision["label"] == ("WBFM" if on_air else "noise")
        assert decision["sample_count"] <= 0.5 * 240e3


def test_the_only_tags_behind_a_walk_are_its_own():
    """A receiver's would stand on other samples, and tell the classifier another frequency."""
    source = yaml.safe_load((ROOT / "examples" / "fm_band_walk.grc").read_text())
    (walk,) = (block for block in source["blocks"] if block["name"] == "walk")
    namespace: dict = {}
    exec(walk["parameters"]["_source_code"], namespace)
    told = []
    for offset, value in ((0, 1e6), (25, 2e6)):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = offset, pmt.intern("rx_freq"), pmt.from_double(value)
        told.append(tag)
    flowgraph = gr.top_block("test")
    receiver = blocks.vector_source_c(list(range(60)), False, 1, told)
    made = namespace["blk"](
        sample_rate_hz=10, start_hz=100e6, stop_hz=101e6, step_hz=1e6, offset_hz=1e3,
        dwell_s=1, settle_s=1,
    )  # fmt: skip
    sink = blocks.vector_sink_c()
    flowgraph.connect(receiver, made, sink)
    flowgraph.run()
    assert [int(sample.real) for sample in sink.data()] == [*range(10, 20), *range(30, 40),
                                                            *range(50, 60)]  # fmt: skip
    tags = [(tag.offset, pmt.to_python(tag.value)) for tag in sink.tags()]
    assert tags == [(0, 100e6 - 1e3), (10, 101e6 - 1e3), (20, 100e6 - 1e3)]


def test_a_headless_station_records_and_publishes(dongle, example, tmp_path):
    zmq = pytest.importorskip("zmq", reason="pyzmq is not installed")
    import sigmf

    address = f"ipc://{tmp_path}/decisions"
    running = example("headless_station")
    with zmq.Context.instance().socket(zmq.SUB) as subscriber:
        subscriber.linger, subscriber.rcvtimeo = 0, PATIENCE_S * 1000
        subscriber.connect(address)
        subscriber.subscribe("station/decisions")
        running.start(
            device_args=dongle.device, frequency_hz=STATION_HZ, address=address,
            folder=running.folder,
        )  # fmt: skip
        topic, payload = subscriber.recv_multipart()
        decisions = running.wait_for(4)
    assert topic == b"station/decisions" and json.loads(payload) in decisions
    assert labels(decisions[1:]).count("WBFM") >= len(decisions) - 2
    running.process.send_signal(2)  # Ctrl-C
    running.process.wait(timeout=PATIENCE_S)
    recorded = sigmf.sigmffile.fromfile(str(running.folder / "station.sigmf-meta"))
    recorded.validate()
    assert recorded.get_captures()[0]["core:frequency"] == STATION_HZ
    assert "WBFM" in {a["core:label"] for a in recorded.get_annotations()}
    assert len(recorded.read_samples()) > 3 * 240e3
