# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of a stream: what is sent is found and measured, whatever the pieces it comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.survey.detection.spectrum import Grid
from gr_tsddae.survey.stream import Survey, survey_capture
from gr_tsddae.survey.truth.scenes import match, score, survey_samples
from gr_tsddae.synth.emission import make
from gr_tsddae.synth.emission.parts import at_rate
from gr_tsddae.synth.scene import SCENES, make_scene

RATE_HZ = 250e3


def noise(samples: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2, samples)).astype(np.float32)
    return ((rows[0] + 1j * rows[1]) * 0.05).astype(np.complex64)


def tone(samples: int, hz: float, rate_hz: float = RATE_HZ) -> np.ndarray:
    return np.exp(2j * np.pi * hz / rate_hz * np.arange(samples)).astype(np.complex64)


def surveyed(iq: np.ndarray, pieces: list[int]) -> list:
    survey = Survey(RATE_HZ)
    events, at = [], 0
    for size in [*pieces, len(iq)]:
        events += survey.push(iq[at : at + size])
        at += size
    return [(event.kind, event.emission) for event in events + survey.flush()]


@pytest.fixture(scope="module")
def scene():
    return make_scene(SCENES["mixed"], seconds=1.0, rate_hz=RATE_HZ, emitters=4, seed=2)


@settings(max_examples=6, deadline=None)
@given(pieces=st.lists(st.integers(1, 90_000), max_size=8))
def test_the_same_samples_give_the_same_emissions_whatever_the_pieces(scene, pieces):
    assert surveyed(scene.iq, pieces) == surveyed(scene.iq, [])


def qpsk(amplitude: np.ndarray) -> np.ndarray:
    """QPSK, 30 kHz wide, of a varying amplitude in noise."""
    made = make("QPSK", np.random.default_rng(3), len(amplitude) / RATE_HZ, 30e3)
    samples = len(amplitude)
    iq = at_rate(made.iq, made.rate_hz, RATE_HZ, samples) * tone(samples, 60e3)
    return (noise(samples) + amplitude * iq).astype(np.complex64)


def flashes_before(start_s: float) -> np.ndarray:
    """An emission of a second, and flashes of 3 % of its amplitude before it in the same place."""
    seconds = np.arange(round((start_s + 1) * RATE_HZ)) / RATE_HZ
    flash = (seconds > 0.2) & (seconds % 0.3 < 0.03)
    return qpsk(np.where(seconds >= start_s, 1.0, 0.03 * flash))


@settings(max_examples=4, deadline=None)
@given(
    start_s=st.floats(1.2, 1.8),
    pieces=st.lists(st.integers(1, 200_000), max_size=8),
)
def test_an_emission_begins_anew_where_something_weak_flashed_before(start_s, pieces):
    events = surveyed(flashes_before(start_s), pieces)
    assert events == surveyed(flashes_before(start_s), [])
    strongest = max((e for kind, e in events if kind == "ended"), key=lambda e: e.energy)
    assert strongest.start_s == pytest.approx(start_s, abs=0.02)
    first = next(e for kind, e in events if kind == "begun" and e.id == strongest.id)
    assert first.start_s == pytest.approx(start_s, abs=0.02)


@pytest.mark.parametrize("weak", [0.03, 0.2])
def test_an_emission_that_lasts_weakly_at_first_does_not_begin_anew(weak):
    seconds = np.arange(500_000) / RATE_HZ
    iq = qpsk(np.select([seconds < 0.3, seconds < 1], [0, weak], 1))
    (found,) = [e for kind, e in surveyed(iq, []) if kind == "ended"]
    assert found.start_s == pytest.approx(0.3, abs=0.02)


def test_slabs_that_are_transformed_ahead_change_nothing():
    rate_hz = 1e6
    iq = make_scene(SCENES["rough"], seconds=1.2, rate_hz=rate_hz, emitters=5, seed=4).iq
    found = []
    for pieces in (1, 3, 40):
        survey = Survey(rate_hz)
        events = [event for piece in np.array_split(iq, pieces) for event in survey.push(piece)]
        found.append([(event.kind, event.emission) for event in events + survey.flush()])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 5


def test_most_emitters_of_unseen_scenes_are_found_and_measured():
    matches, extras = [], []
    for seed in range(3):
        made = make_scene(SCENES["mixed"], seconds=1.0, rate_hz=1e6, emitters=4, seed=9000 + seed)
        more, others = match(made.truths, survey_samples(made.iq, made.rate_hz), 1000.0)
        matches += more
        extras += others
    figures = score(matches, extras, 8.0)
    assert figures["found_percent"] >= 80
    assert figures["both_percent"] >= 75
    assert figures["symbol_rate_within_1_percent"] >= 60
    assert figures["extras_percent"] <= 50  # of twelve emitters


def test_noise_alone_is_no_emission():
    survey = Survey(RATE_HZ)
    events = []
    for seed in range(20):
        events += survey.push(noise(250_000, seed))
    assert events + survey.flush() == []


@pytest.mark.parametrize("hz", [31_000.0, -90_123.0])
def test_a_carrier_that_never_ends_is_one_emission(hz):
    iq = noise(750_000) + 0.05 * tone(750_000, hz)
    found = [e for kind, e in surveyed(iq, [100_000]) if kind == "ended"]
    assert len(found) == 1
    assert found[0].center_hz == pytest.approx(hz, abs=30)
    assert found[0].bandwidth_hz < 500 and found[0].symbol_rate_hz is None
    assert found[0].measured["narrower_than_hz"] == round(4 * Grid.of(RATE_HZ).fine_hz, 1)
    assert (found[0].start_s, found[0].stop_s) == pytest.approx((0, 3.0), abs=0.02)


@pytest.mark.parametrize("period_s", [0.02, 0.3, 1.2])
def test_a_sweep_is_one_emission(period_s):
    samples = 400_000
    hz = -0.4 * RATE_HZ + 0.8 * RATE_HZ * (np.arange(samples) / RATE_HZ % period_s) / period_s
    sweep = np.exp(2j * np.pi * np.cumsum(hz) / RATE_HZ)
    iq = (0.1 * noise(samples) + 0.05 * sweep).astype(np.complex64)
    (found,) = [e for kind, e in surveyed(iq, []) if kind == "ended"]
    assert found.bandwidth_hz == pytest.approx(0.79 * RATE_HZ, rel=0.05)
    assert (found.start_s, found.stop_s) == pytest.approx((0, samples / RATE_HZ), abs=0.03)


def test_events_tell_of_begin_and_end():
    iq = noise(1_000_000)
    iq[200_000:600_000] += 0.1 * tone(400_000, 40_000)
    events = surveyed(iq, [])
    kinds = [kind for kind, _ in events]
    assert kinds[0] == "begun" and kinds[-1] == "ended" and set(kinds[1:-1]) <= {"updated"}
    last = events[-1][1]
    assert last.start_s == pytest.approx(0.8, abs=0.005)
    assert last.stop_s == pytest.approx(2.4, abs=0.005)


def test_bursts_of_a_millisecond_are_timed():
    rate_hz = 2.4e6
    rng = np.random.default_rng(5)
    iq = (noise(1_200_000) * 0.2).astype(np.complex64)
    starts = range(100_000, 1_100_000, 120_000)
    for start in starts:
        keyed = np.repeat(rng.choice([-1, 1], 100), 24)[:2400]  # 100 kBd
        iq[start : start + 2400] += 0.05 * keyed * tone(2400, 300e3, rate_hz)
    found = survey_samples(iq, rate_hz)
    best = max(found, key=lambda emission: emission.snr_db)
    assert best.measured["bursts"] == len(starts)
    assert best.measured["burst_s"] == pytest.approx(1e-3, abs=0.9e-3)
    assert best.measured["period_s"] == pytest.approx(0.05, abs=1e-3)
    assert abs(best.center_hz - 300e3) < 20e3


def test_the_receivers_dc_is_no_emission():
    iq = noise(500_000) + np.complex64(0.3 + 0.1j)
    assert surveyed(iq, []) == []


def test_a_full_scale_carrier_at_0_hz_is_an_emission():
    iq = (0.1 * noise(500_000) + 0.9 * np.exp(0.3j)).astype(np.complex64)
    found = [e for kind, e in surveyed(iq, []) if kind == "ended"]
    assert len(found) == 1
    assert abs(found[0].center_hz) < 30
    assert found[0].bandwidth_hz < 500


def test_an_image_is_no_emission():
    emission = make("QPSK", np.random.default_rng(3), 2.0, 30e3)
    keyed = at_rate(emission.iq, emission.rate_hz, RATE_HZ, 500_000)
    iq = noise(500_000) * 0.2 + 0.1 * keyed * tone(500_000, 60_000)
    iq = iq + 0.1 * iq.conj()
    found = [e for kind, e in surveyed(iq.astype(np.complex64), []) if kind == "ended"]
    assert [e for e in found if e.center_hz < 0] == []
    assert any(abs(e.center_hz - 60_000) < 2000 for e in found)


@pytest.mark.parametrize(
    ("name", "samples", "most"),
    [
        ("silence", np.zeros(300_000), 0),
        ("three samples", np.ones(3), 1),
        ("one sample", np.ones(1), 1),
        ("full-scale tone", tone(300_000, 20_000), 3),
        ("NaN", np.full(300_000, np.nan), 0),
        ("full-scale tone at 0 Hz", np.ones(300_000), 1),
        ("clipped noise", np.sign(noise(300_000).real) + 1j * np.sign(noise(300_000).imag), 0),
        ("impulse", np.eye(1, 300_000, 1234).ravel() + noise(300_000) * 0.001, 1),
        ("sweep", np.exp(1j * np.pi * 1e5 * (np.arange(300_000) / RATE_HZ) ** 2), 30),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_odd_streams_give_sensible_answers(name, samples, most):
    found = survey_samples(np.asarray(samples, np.complex64), RATE_HZ)
    assert len(found) <= most
    assert all(np.isfinite([e.low_hz, e.high_hz, e.snr_db]).all() for e in found)
    assert all(e.low_hz < e.high_hz and e.start_s <= e.stop_s for e in found)


def test_what_is_not_finite_is_counted():
    survey = Survey(RATE_HZ)
    iq = noise(1000)
    iq[[3, 700]] = np.nan, np.inf
    survey.push(iq)
    assert (survey.samples_seen, survey.not_finite) == (1000, 2)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate_hz):
    with pytest.raises(ValueError, match="above 0"):
        Survey(rate_hz)


@pytest.mark.parametrize("samples", [30_000, 140_000, 700_000])
def test_a_recording_names_an_emission_once(tmp_path, samples):
    path = tmp_path / "tone.cf32"
    (noise(samples) + 0.1 * tone(samples, 30_000)).astype(np.complex64).tofile(path)
    with open_capture(path, sample_rate_hz=RATE_HZ) as capture:
        found = survey_capture(capture)
    assert [e.id for e in found] == [1]
    assert found[0].center_hz == pytest.approx(30_000, abs=200)


def test_neighbours_that_clip_together_are_two_emissions():
    """Each keyed pulse takes a little of its neighbour's power: they are no tones of an FSK."""
    rng = np.random.default_rng(3)
    samples = 500_000
    steady, keyed = make("QPSK", rng, 2.0, 12e3), make("QAM16", rng, 2.0, 24e3)
    iq = 0.5 * at_rate(steady.iq, steady.rate_hz, RATE_HZ, samples) * tone(samples, -20e3)
    on = np.repeat(rng.random(samples // 1000 + 1) < 0.6, 1000)[:samples]
    iq += 0.7 * on * at_rate(keyed.iq, keyed.rate_hz, RATE_HZ, samples) * tone(samples, 10e3)
    rows = np.clip((iq + noise(samples)).astype(np.complex64).view(np.float32), -0.9, 0.9)
    found = survey_samples(rows.view(np.complex64), RATE_HZ)
    assert sorted(round(e.center_hz, -3) for e in found) == [-20e3, 10e3]


@pytest.mark.parametrize("recipe", ["mixed", "bursts"])
def test_whatever_begins_ends_once_or_is_withdrawn(recipe):
    for seed in range(3):
        made = make_scene(SCENES[recipe], seconds=2.0, rate_hz=RATE_HZ, emitters=4, seed=70 + seed)
        open_ids, over = set(), set()
        for kind, emission in surveyed(made.iq, [50_000] * 9):
            assert emission.id not in over
            if kind == "begun":
                assert emission.id not in open_ids
                open_ids.add(emission.id)
            elif kind == "updated":
                assert emission.id in open_ids
            else:
                assert kind in ("ended", "withdrawn")
                assert kind == "ended" or emission.id in open_ids
                open_ids.discard(emission.id)
                over.add(emission.id)
        assert over and not open_ids


def test_the_spectra_of_each_slab_are_told():
    frames = []
    survey = Survey(RATE_HZ, on_frames=lambda power, first: frames.append((power.shape, first)))
    survey.push(noise(300_000))
    survey.flush()
    grid = survey.grid
    assert [first for _, first in frames] == [k * grid.slab_samples for k in range(len(frames))]
    assert all(shape[1] == grid.coarse_samples for shape, _ in frames)
    assert sum(shape[0] for shape, _ in frames) * grid.hop_samples > 300_000 - grid.fine_samples


def test_the_latest_samples_outlive_the_end_and_then_make_room():
    survey = Survey(RATE_HZ)
    iq = noise(200_000)
    survey.push(iq)
    survey.flush()
    np.testing.assert_array_equal(survey.history.read(0, 200_000)[0], iq)
    survey.push(iq[100_000:])
    survey.flush()
    np.testing.assert_array_equal(survey.history.read(0, 100_000)[0], iq[100_000:])


@pytest.mark.parametrize("lost", [1, 40_000, 400_000])
def test_what_is_there_again_behind_lost_samples_goes_on(lost):
    iq = noise(1_500_000) + 0.1 * tone(1_500_000, 40_000)
    iq[700_000:] += 0.1 * tone(800_000, -60_000)
    survey = Survey(RATE_HZ)
    events = survey.push(iq[:600_000]) + survey.skip(lost)
    events += survey.push(iq[600_000 + lost :]) + survey.flush()
    last, new = sorted((e.emission for e in events if e.kind == "ended"), key=lambda e: e.start_s)
    assert len(last.bursts) == 1
    assert (last.start_s, last.stop_s) == pytest.approx((0.0, 6.0), abs=0.02)
    slab_s = survey.grid.slab_samples / RATE_HZ
    heard_s = max(2.8, (600_000 + lost) / RATE_HZ)  # slabs that are not whole are not looked at
    assert heard_s - 0.02 <= new.start_s <= heard_s + slab_s
    assert new.stop_s == pytest.approx(6.0, abs=0.02)


def test_what_ends_while_samples_are_lost_has_ended_before():
    iq = noise(1_500_000)
    iq[:700_000] += 0.1 * tone(700_000, 40_000)
    survey = Survey(RATE_HZ)
    events = survey.push(iq[:600_000]) + survey.skip(300_000)
    events += survey.push(iq[900_000:]) + survey.flush()
    (emission,) = [e.emission for e in events if e.kind == "ended"]
    assert 2.4 - survey.grid.slab_samples / RATE_HZ <= emission.stop_s <= 2.4


def test_in_a_hurry_only_begins_and_ends_are_told():
    iq = noise(750_000) + 0.1 * tone(750_000, 40_000)
    survey = Survey(RATE_HZ)
    survey.hurried = True
    assert [e.kind for e in survey.push(iq) + survey.flush()] == ["begun", "ended"]
    assert survey.updates_skipped > 0


def test_an_event_is_told_before_the_next_emission_is_measured(monkeypatch):
    measure, measured = Survey._emission, []

    def counted(self, track):
        measured.append(track.number)
        return measure(self, track)

    monkeypatch.setattr(Survey, "_emission", counted)
    iq = noise(300_000) + 0.1 * tone(300_000, 40_000) + 0.1 * tone(300_000, -60_000)
    events = Survey(RATE_HZ).events(iq)
    for count in (1, 2):
        assert next(events).kind == "begun"
        assert len(measured) == count


def test_what_has_begun_is_told_before_what_lasts():
    iq = noise(1_000_000) + 0.1 * tone(1_000_000, 40_000)
    iq[500_000:] += 0.1 * tone(500_000, -60_000)
    events = Survey(RATE_HZ).push(iq)
    (at,) = [k for k, e in enumerate(events) if e.kind == "begun" and e.emission.center_hz < 0]
    new, lasting = events[at], events[at + 1]
    assert lasting.kind == "updated" and lasting.emission.center_hz > 0
    assert lasting.emission.stop_s == pytest.approx(new.emission.stop_s, abs=0.02)
