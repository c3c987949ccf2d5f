# SPDX-License-Identifier: GPL-3.0-or-later
"""One way to write a number in all commands, and errors that name the option as it is typed."""

import pytest

from gr_tsddae.command import NumberError, Parser, exit_status, number, sentence, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("200000", 200e3), ("200e3", 200e3), ("200k", 200e3), ("200K", 200e3), ("2.4M", 2.4e6),
        ("-80e3", -80e3), ("-80k", -80e3), ("+1", 1), ("433.92M", 433.92e6), ("1.1G", 1.1e9),
        ("433.92MHz", 433.92e6), ("12 kHz", 12e3), (".5", 0.5), ("-.5", -0.5), ("5.", 5.0),
        (2.5, 2.5), (10, 10.0), (1e-07, 1e-7), ("inf", float("inf")), ("-inf", float("-inf")),
    ],
)  # fmt: skip
def test_numbers(text, value):
    assert number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "k", "200q", "200m", "1e", "infinite", "0x10", "1k5", "1,5"])
def test_what_is_no_number(text):
    with pytest.raises(NumberError, match=r"is no number; write 200000, 200e3, 200k or 2\.4M"):
        number(text)


@pytest.mark.parametrize("text", ["-80e3", "-80k", "-8e4", "-.08M", "-80000"])
def test_a_negative_number_is_no_option(text):
    parser = Parser()
    parser.add_argument("--offset", type=number)
    parser.add_argument("--band", type=number, nargs=2)
    assert parser.parse_args(["--offset", text]).offset == pytest.approx(-80e3)
    assert parser.parse_args(["--band", text, "80k"]).band == pytest.approx([-80e3, 80e3])


def test_the_message_names_option_and_value(capsys):
    parser = Parser()
    parser.add_argument("--rate", type=number)
    with pytest.raises(SystemExit):
        parser.parse_args(["--rate", "200q"])
    assert "argument --rate: '200q' is no number; write" in capsys.readouterr().err


def test_errors_name_the_option_as_it_is_typed():
    said = sentence(ValueError("symbol_rate_hz is -1:\n it must be above 0"))
    assert said == "--symbol-rate is -1: it must be above 0"
    assert sentence(ValueError("give dtype= one of cf32")) == "give --dtype one of cf32"
    assert sentence(ValueError("but dtype='ci8' was given")) == "but --dtype 'ci8' was given"
    assert sentence(ValueError("options.sample_rate_hz")) == "options.sample_rate_hz"


def test_the_exit_status_tells_what_happened(capsys):
    def fail():
        raise OSError("sample_rate_hz=5.0 is too low\nfor this")

    def interrupt():
        raise KeyboardInterrupt

    assert (exit_status(str), exit_status(fail), exit_status(interrupt)) == (0, 1, 130)
    assert capsys.readouterr() == ("", "error: --rate 5.0 is too low for this\n")
    with pytest.raises(ZeroDivisionError):  # a fault of the program keeps its traceback
        exit_status(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("text", "value"), [("1024", 1024), ("1k", 1000), ("1e3", 1000), ("-5", -5)]
)
def test_whole_numbers(text, value):
    assert whole(text) == value and type(whole(text)) is int


@pytest.mark.parametrize("text", ["1.5", "inf", "nan"])
def test_what_is_no_whole_number(text):
    with pytest.raises(NumberError, match=r"is no whole number; write 1024 or 1k"):
        whole(text)
    with pytest.raises(NumberError, match="is no number"):
        whole("one")
