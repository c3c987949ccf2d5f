"""The recipe of the air: classes, repeatability, devices, powers, outliers."""

import pytest
import torch

from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import RECIPES, air, draw, draw_random, named
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.air.outliers import JUDGES, LEARNED
from gr_tsddae.synth.air.recipe import SENDERS

NAMES = (
    "noise, carrier, OOK, AM-DSB, AM-SSB, FM, 2-FSK, 4-FSK, GFSK, BPSK, QPSK, OQPSK, pi/4-DQPSK, "
    "8PSK, QAM16, QAM64, OFDM, LoRa, pulses"
)
EVERY_SENDER = {**SENDERS, **LEARNED, **JUDGES}


def windows(name, snr_db=10.0, batch=8, seed=0):
    """Complex windows of one class, (B, 1024)."""
    label = torch.full((batch,), air.CLASSES.index(name))
    generator = torch.Generator().manual_seed(seed)
    level = torch.full((batch,), float(snr_db))
    return to_complex(draw(RECIPES["air"], label, level, window_samples=1024, generator=generator))


def test_the_classes_are_the_agreed_ones():
    assert ", ".join(air.CLASSES) == NAMES
    assert RECIPES["air"].bandwidth_multiple == 4.0
    assert RECIPES["air"].samples_per_symbol is None


def test_receiving_follows_the_generator_to_its_device():
    expected = windows("QPSK")
    with torch.device("meta"):
        label = torch.full((8,), air.CLASSES.index("QPSK"), device="cpu")
        level = torch.full((8,), 10.0, device="cpu")
        generator = torch.Generator("cpu").manual_seed(0)
        rows = draw(RECIPES["air"], label, level, window_samples=1024, generator=generator)
        assert torch.equal(to_complex(rows), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_draws_on_a_gpu():
    generator = torch.Generator("cuda").manual_seed(1)
    rows, label, _ = draw_random("air-open", 400, window_samples=1024, generator=generator)
    assert rows.device.type == label.device.type == "cuda" and rows.isfinite().all()


def test_outliers_are_in_the_open_recipe_alone():
    generator = torch.Generator().manual_seed(1)
    rows, label, level_db = draw_random("air-open", 400, window_samples=1024, generator=generator)
    assert 10 < (label == air.OUTLIER).sum() < 60
    assert set(label.tolist()) == {air.OUTLIER, *range(len(air.CLASSES))}
    assert level_db.min() >= 0 and level_db.max() <= 36
    assert rows.isfinite().all()
    _, label, _ = draw_random("air", 100, window_samples=256, generator=generator)
    assert label.min() >= 0


def test_hard_classes_are_drawn_twice_as_often():
    generator = torch.Generator().manual_seed(1)
    _, label, _ = draw_random("air-open", 1000, window_samples=64, generator=generator)
    count = label[label >= 0].bincount(minlength=len(air.CLASSES)).float()
    hard = torch.tensor([name in RECIPES["air-open"].twice for name in air.CLASSES])
    assert 1.7 < (count[hard].mean() / count[~hard].mean()).item() < 2.4


def test_what_judges_is_never_learned():
    assert not LEARNED.keys() & JUDGES.keys()
    assert not (LEARNED.keys() | JUDGES.keys()) & set(air.CLASSES)
    assert {"PAM4", "16APSK", "DSB without carrier", "DSSS", "time code", "MFSK"} == JUDGES.keys()


def test_labels_out_of_range_are_refused():
    generator = torch.Generator()
    with pytest.raises(ValueError, match=r"0\.\.18"):
        air.draw(torch.tensor([19]), torch.zeros(1), window_samples=64, generator=generator)


def test_recipes_of_different_classes_take_no_turns():
    with pytest.raises(ValueError, match="different classes"):
        named("air+live")
    assert len(named("air+air-open")) == 2


def test_windows_of_one_emission_share_what_is_one_value_per_row():
    dice = Dice(6, torch.Generator().manual_seed(1), together=3)
    for values in (dice.uniform(), dice.integers(1000, 1), dice.pick((1, 2, 3, 5, 8))):
        assert values.shape == (6, 1)
        assert (values[:3] == values[0]).all() and (values[3:] == values[3]).all()
    assert dice.uniform(count=4).unique().numel() == 24  # content is drawn per window


@pytest.mark.parametrize("name", sorted(EVERY_SENDER))
def test_every_sender_can_send_several_windows_of_an_emission(name):
    sent = EVERY_SENDER[name](Dice(6, torch.Generator().manual_seed(4), together=3))
    assert sent.iq.shape == (6, SOURCE_SAMPLES)
    alone = EVERY_SENDER[name](Dice(6, torch.Generator().manual_seed(4), together=1))
    again = EVERY_SENDER[name](Dice(6, torch.Generator().manual_seed(4)))
    assert torch.equal(alone.iq, again.iq)
