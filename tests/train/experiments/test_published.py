# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside our scores is what the paper prints."""

from gr_tsddae.train.experiments.published import compared, sweep_text, table_1, table_2


def test_table_1_by_network_and_protocol():
    assert compared("rml2016.10a", "iqformer", "scratch") == {"average": 64.05, "best": 93.77}
    assert compared("techrec", "amc-net", "scratch") == {"average": 88.71, "best": 98.66}
    assert compared("rml2016.10b", "spectrum-fm", "finetuned") == {"average": 53.12, "best": 76.28}
    assert compared("rml2018.01a", "tsnet-base", "25-shot") == {"average": 43.95, "best": 67.43}
    for network, protocol in (("spectrum-fm", "scratch"), ("lsm", "finetuned"),
                              ("tsnet-nano", "finetuned"), ("tsnet-base", "scratch")):  # fmt: skip
        assert compared("rml2016.10a", network, protocol) == {}
    assert compared("npz", "cnn2", "scratch") == {}


def test_rows_that_the_paper_has():
    assert table_1("rml2016.10a", "TS-DDAE (25-shot)") == {"average": 48.91, "best": 73.91}
    assert table_1("icarus", "TS-DDAE")["AUC 10 dB"] == "over 0.9"
    assert table_1("icarus", "from scratch") == table_1("npz", "TS-DDAE") == {}
    assert table_2("techrec", "w/o spectral") == {"average": 37.48, "best": 47.58}
    assert table_2("rml2018.01a", "TS-DDAE") == {}
    assert "best with 5" in sweep_text("layers", "techrec")
    assert "near 0.5" in sweep_text("ratio", "rml2016.10a")
    assert sweep_text("ratio", "npz") == ""
