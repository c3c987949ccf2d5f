# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of parts, and the votes of parts, are those of the network."""

import torch

from gr_tsddae import nets
from gr_tsddae.nets.lsm import LSM, LSMConfig
from gr_tsddae.train.learn.parts import PartLogits, judged, one_part, parts_of


def test_a_network_without_parts_has_one():
    tiny = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}
    classifier = nets.create("tsnet-nano", class_count=2, **tiny).eval()
    rows = torch.randn(7, 2, 32)
    found = parts_of(classifier, rows, batch=3)
    assert found.shape == (7, 1, 16)
    torch.testing.assert_close(judged(classifier, found), classifier(rows))
    before = torch.get_rng_state()
    assert torch.equal(one_part(found), found[:, 0])
    assert torch.equal(torch.get_rng_state(), before), "one part needs no drawing"


def test_parts_are_drawn_and_all_of_them_vote():
    torch.manual_seed(1)
    classifier = LSM(LSMConfig(width=8, layers=1, class_layers=1, heads=2), class_count=3).eval()
    rows = torch.randn(5, 2, 128)
    found = parts_of(classifier, rows, batch=2)  # (5, M, E)
    assert found.shape[1] > 1
    torch.testing.assert_close(judged(classifier, found), classifier(rows))
    torch.testing.assert_close(
        classifier.vote(PartLogits(classifier)(rows)), classifier(rows), rtol=1e-4, atol=1e-5
    )
    drawn = torch.stack([one_part(found) for _ in range(200)])
    for window in range(5):
        met = {tuple(part.tolist()) for part in drawn[:, window]}
        assert met == {tuple(part.tolist()) for part in found[window]}
