# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples for radios, run as users run them, with the hardware replaced.

RTL-SDR: the stock osmosdr source takes a recording from the rtl_tcp server of this package.
SoapySDR and UHD: a file of what the radio would receive stands in the place of the source block.
Everything behind the source is the example's own. What they hear is an FM station at 100.1 MHz.
Most end under the eyes of the test that ran them: by a signal, or though their server has gone.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import yaml

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import pmt
from ending_example import Ends
from gnuradio import blocks
from radio_example import PATIENCE_S, STATION_HZ, Example, station

from dongle import Dongle


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


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Makes examples, and stops them."""
    monkeypatch.setenv("HOME", str(tmp_path))  # where the size of windows is kept
    made = []

    def make(name: str) -> Ends:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Ends(name, folder))
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
    running.start(device_args=dongle.device, frequency_hz=STATION_HZ, gain_db=20)
    decisions = running.wait_for(8)
    said = labels(decisions[2:])
    assert dongle.next_status()["settings"]["gain_tenth_db"] == pytest.approx(200, abs=10)
    assert said.count("WBFM") >= 0.9 * len(said)
    assert decisions[-1]["center_frequency_hz"] == STATION_HZ
    assert decisions[-1]["sample_rate_hz"] == 240e3
    running.end_without(dongle)


@pytest.mark.parametrize(
    ("name", "end"), [("rtl_sdr_soapy", signal.SIGTERM), ("usrp", signal.SIGINT)]
)
def test_with_a_file_for_the_radio(name, end, example, tmp_path):
    air = tmp_path / "air.cf32"
    station(1e6, 0.4, offset_hz=150e3).tofile(air)
    running = example(name)
    running.replace_radio(air)
    running.keep_decisions()
    running.run(
        "classifier", frequency_hz=STATION_HZ + 1e6, offset_hz=150e3, symbol_rate_hz=25e3,
        sample_rate_hz=1e6, gain_db=12, model="amc-mini",
    )  # fmt: skip
    decisions = running.wait_for(6)
    said = labels(decisions[1:])
    assert said.count("WBFM") >= 0.9 * len(said)
    assert decisions[-1]["center_frequency_hz"] == STATION_HZ + 1e6
    assert decisions[-1]["sample_rate_hz"] == 200e3 and decisions[-1]["model"] == "amc-mini"
    running.end_by(end)


@pytest.mark.parametrize("name", sorted(RADIO_EXAMPLES.keys() - {"zmq_remote"}))
def test_a_receiver_has_the_options_of_the_others(name):
    content = yaml.safe_load((ROOT / "examples" / f"{name}.grc").read_text())
    letters = {
        block["name"]: block["parameters"]["short_id"]
        for block in content["blocks"]
        if block["id"] == "parameter"
    }
    wanted = {"device_args": "d", "frequency_hz": "f", "sample_rate_hz": "r", "gain_db": "g",
              "model": "m"}  # fmt: skip
    if name == "fm_band_walk":  # it has a first and a last frequency
        del wanted["frequency_hz"]
    assert wanted.items() <= letters.items()
    if not name.startswith("survey"):
        assert {"offset_hz", "symbol_rate_hz"} <= letters.keys()


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
    running.end_without(dongle)


@pytest.mark.parametrize(
    ("name", "rate_hz", "end"),
    [("survey_rtl_sdr_soapy", 2.4e6, signal.SIGINT), ("survey_usrp", 2.5e6, signal.SIGTERM)],
)
def test_survey_with_a_file_for_the_radio(name, rate_hz, end, example, emissions, tmp_path):
    air = tmp_path / "air.cf32"
    station(rate_hz, 0.4, offset_hz=-300e3).tofile(air)
    running = example(name)
    running.replace_radio(air)
    running.block("survey")["parameters"]["overflow"] = "block"  # the file can wait
    heard = emissions(running)
    running.run("survey", frequency_hz=STATION_HZ + 300e3, model="none")
    while not is_station(heard()):
        pass
    running.end_by(end)


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
    running.block("classifier")["parameters"]["overflow"] = "block"  # on a busy machine, too
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
    running.end_without(dongle)


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
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=PATIENCE_S) == 0, running.output
    recorded = sigmf.sigmffile.fromfile(str(running.folder / "station.sigmf-meta"))
    recorded.validate()
    assert recorded.get_captures()[0]["core:frequency"] == STATION_HZ
    assert "WBFM" in {a["core:label"] for a in recorded.get_annotations()}
    assert len(recorded.read_samples()) > 3 * 240e3
