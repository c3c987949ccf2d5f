# SPDX-License-Identifier: GPL-3.0-or-later
"""RML2016 pickles: as published, damaged, laid out otherwise, and hostile."""

import builtins
import collections
import gzip
import operator
import os
import pickle
import random
import re
import struct
import tracemalloc

import numpy as np
import pytest

from gr_tsddae.data import DatasetError, open_dataset

KEYS = [("QPSK", -4), ("QPSK", 18), ("AM-DSB", -20), ("8PSK", 0)]


@pytest.fixture(scope="module")
def windows():
    values = np.random.default_rng(1)
    return {
        key: values.normal(size=(3 + i, 2, 128)).astype(np.float32) for i, key in enumerate(KEYS)
    }


def python2(windows, protocol):
    """The bytes that Python 2 wrote: data as `str`, which Python 3 takes for ASCII unless told."""
    if protocol == 0:
        text = b"(dp0\n"
        for (name, level), rows in windows.items():
            shape = b"".join(b"I%d\n" % n for n in rows.shape)
            text += (
                b"(S'%s'\np1\nI%d\ntp2\ncnumpy.core.multiarray\n_reconstruct\np3\n"
                b"(cnumpy\nndarray\np4\n(I0\ntp5\nS'b'\np6\ntp7\nRp8\n(I1\n(%stp9\n"
                b"cnumpy\ndtype\np10\n(S'f4'\np11\nI0\nI1\ntp12\nRp13\n"
                b"(I3\nS'<'\np14\nNNNI-1\nI-1\nI0\ntp15\nbI00\nS%s\np16\ntp17\nbs"
                % (name.encode(), level, shape, repr(rows.tobytes())[1:].encode())
            )
        return text + b"."
    text = b"\x80\x02}q\x00("
    for (name, level), rows in windows.items():
        shape = b"".join(b"J" + struct.pack("<i", n) for n in rows.shape)
        data = rows.tobytes()
        text += b"U" + bytes([len(name)]) + name.encode() + b"J" + struct.pack("<i", level)
        text += b"\x86cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        text += b"(K\x01" + shape + b"\x87cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        text += b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        text += b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    return text + b"u."


def forms(windows):
    """Every way the dictionary has been, or can be, written."""
    yield from ((f"python2-{p}", python2(windows, p)) for p in (0, 2))
    yield from ((f"python3-{p}", pickle.dumps(windows, p)) for p in range(6))


def read_bytes(folder, content, kind="rml2016.10a"):
    path = folder / "file.pkl"
    path.write_bytes(content)
    return open_dataset(kind, path)


def assert_holds(dataset, windows):
    """Each key's windows are in the dataset, under its class and level, in order."""
    assert len(dataset) == sum(map(len, windows.values()))
    for (name, level), rows in windows.items():
        here = (dataset.label == dataset.classes.index(name)) & (dataset.level_db == level)
        assert dataset.rows(np.flatnonzero(here)).dtype == np.float32
        np.testing.assert_array_equal(dataset.rows(here), rows)


def test_python_2_pickles_of_these_tests_are_such(windows):
    for protocol in (0, 2):
        with pytest.raises(UnicodeDecodeError):
            pickle.loads(python2(windows, protocol))
        found = pickle.loads(python2(windows, protocol), encoding="latin1")
        assert all(np.array_equal(found[key], windows[key]) for key in KEYS)


@pytest.mark.parametrize("form", range(8))
def test_reads_every_protocol(tmp_path, windows, form):
    _, content = list(forms(windows))[form]
    dataset = read_bytes(tmp_path, content)
    assert dataset.classes == ("8PSK", "AM-DSB", "QPSK")
    assert_holds(dataset, windows)
    assert dataset.samples_per_symbol == 8 and dataset.licence == "CC-BY-NC-SA-4.0"
    assert dataset.group is None and dataset.skipped == {}


def test_reads_gzip_and_numpy_2_and_other_arrays(tmp_path, windows):
    assert_holds(read_bytes(tmp_path, gzip.compress(python2(windows, 2))), windows)
    plain = pickle.dumps(windows, 2)
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):  # of numpy 1 and 2
        pickled, count = re.subn(rb"numpy\._?core\.multiarray", module, plain)
        assert count
        assert_holds(read_bytes(tmp_path, pickled), windows)
    other = {
        (name, np.int64(level)): np.asfortranarray(rows.astype(">f8"))
        for (name, level), rows in windows.items()
    }
    for protocol in (2, 4, 5):
        assert_holds(read_bytes(tmp_path, pickle.dumps(other, protocol)), windows)


def test_reads_in_any_order_and_repeatedly(tmp_path, windows):
    dataset = read_bytes(tmp_path, python2(windows, 2), "rml2016.04c")
    everything = dataset.rows()
    order = np.random.default_rng(2).integers(0, len(dataset), 50)
    np.testing.assert_array_equal(dataset.rows(order), everything[order])
    part = dataset.select(order[:7])
    np.testing.assert_array_equal(part.rows(), everything[order[:7]])
    assert dataset.rows(np.zeros(0, np.int64)).shape == (0, 2, 128)


def test_arrays_are_not_copied(tmp_path):
    rows = np.ones((4096, 2, 128), np.float32)  # 4 MiB a key
    content = python2({("QPSK", level): rows for level in range(4)}, 2)
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    tracemalloc.start()
    open_dataset("rml2016.10a", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * len(content)


def test_unusable_windows_are_left_out_and_counted(tmp_path, windows):
    bad = {key: rows.copy() for key, rows in windows.items()}
    bad["QPSK", 18][1, 0, 5] = np.nan
    bad["QPSK", 18][2, 1, 0] = -np.inf
    bad["8PSK", 0][4] = 0
    dataset = read_bytes(tmp_path, pickle.dumps(bad, 2))
    assert dataset.skipped == {"not finite": 2, "all zero": 1}
    bad["QPSK", 18] = windows["QPSK", 18][[0, 3]]
    bad["8PSK", 0] = np.delete(windows["8PSK", 0], 4, axis=0)
    assert_holds(dataset, bad)


@pytest.mark.parametrize("form", range(8))
def test_a_file_cut_short_is_said_to_be(tmp_path, windows, form):
    _, content = list(forms(windows))[form]
    for cut in {1, 2, 10, 60, len(content) // 2, len(content) - 1000, len(content) - 1}:
        with pytest.raises(DatasetError, match=r"file\.pkl (ends too early|is no pickle)"):
            read_bytes(tmp_path, content[:cut])
    with pytest.raises(DatasetError, match="ends too early"):
        read_bytes(tmp_path, gzip.compress(content)[:-200])


def test_damage_gives_one_error_or_windows(tmp_path, windows):
    dice = random.Random(3)
    small = {("QPSK", 0): windows["QPSK", -4][:1]}
    refused = 0
    for content in (python2(small, 0), *(pickle.dumps(small, p) for p in (0, 2, 4, 5))):
        for _ in range(60):
            bad = bytearray(content)
            for _ in range(dice.choice((1, 1, 5))):
                bad[dice.randrange(200)] = dice.randrange(256)
            try:
                read_bytes(tmp_path, bytes(bad))
            except DatasetError:
                refused += 1
    assert refused > 200


class Frame:
    """Something that is no array."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"BZh91AY&SY", "bzip2 archive; unpack it first"),
        (b"PK\x03\x04....", "zip archive; unpack it first"),
        (b"\0" * 257 + b"ustar  \0" + b"\0" * 300, "tar archive; unpack it first"),
        (
            gzip.compress(b"\0" * 257 + b"ustar\0" + b"\0" * 300, mtime=0),
            "tar archive; unpack it first",
        ),
        (b"\x89HDF\r\n\x1a\n", "rml2018.01a"),
        (pickle.dumps([1, 2]), "holds a list"),
        (pickle.dumps({}), "holds no windows"),
        (pickle.dumps({("QPSK", 0): 5}), "not a numeric array"),
        (pickle.dumps({"QPSK": np.ones((2, 2, 128), "f4")}), "keys must be"),
        (pickle.dumps({("QPSK", 0.5): np.ones((2, 2, 128), "f4")}), "keys must be"),
        (pickle.dumps({(0, "QPSK"): np.ones((2, 2, 128), "f4")}), "keys must be"),
        (pickle.dumps({("", 0): np.ones((2, 2, 128), "f4")}), "keys must be"),
        (pickle.dumps({("QPSK", 5000): np.ones((2, 2, 128), "f4")}), "5000 dB"),
        (pickle.dumps({("QPSK", 0): np.ones((2, 128, 2), "f4")}), r"\(2, 128, 2\)"),
        (pickle.dumps({("QPSK", 0): np.ones((2, 2, 1024), "f4")}), r"\(2, 2, 1024\)"),
        (pickle.dumps({("QPSK", 0): np.ones((2, 2, 128), "i2")}), "int16"),
        (pickle.dumps({("QPSK", 0): np.ones((2, 2, 128), "c8")}), "dtype 'c8'"),
        (pickle.dumps({("QPSK", 0): np.zeros((2, 2, 128), "f4")}), "no usable window"),
        (pickle.dumps({("QPSK", 0): np.array([Frame()], object)}), "no array needs|dtype 'O8'"),
        (pickle.dumps({("QPSK", 0): np.zeros(3, [("a", "f4")])}), "dtype 'V4'"),
        (pickle.dumps({("QPSK", 0): np.zeros(3, "M8[s]")}), "dtype 'M8'"),
        (pickle.dumps(collections.OrderedDict()), r"'collections\.OrderedDict'"),
    ],
)
def test_other_contents_are_named(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message) as error:
        read_bytes(tmp_path, content)
    assert "file.pkl" in str(error.value) and "\n" not in str(error.value)


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        open_dataset("rml2016.10a", tmp_path / "absent.pkl")
    with pytest.raises(DatasetError, match="directory"):
        open_dataset("rml2016.10a", tmp_path)


def test_am_ssb_is_not_in_10b(tmp_path):
    content = pickle.dumps({("AM-SSB", 0): np.ones((2, 2, 128), "f4")})
    with pytest.raises(DatasetError, match=r"rml2016\.10a or rml2016\.04c"):
        read_bytes(tmp_path, content, "rml2016.10b")
    assert len(read_bytes(tmp_path, content, "rml2016.10a")) == 2


# --- hostile files ---


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def by_name(module, name, *arguments):
    """Protocol 4: a global found by (dotted) name, called with text."""
    call = b"".join(map(short, arguments))
    return b"\x80\x04" + short(module) + short(name) + b"\x93(" + call + b"tR."


def working_exploits(marker):
    code = f"open({str(marker)!r}, 'w').close()"
    for protocol in range(6):
        yield f"system-{protocol}", pickle.dumps(Calls(os.system, f"touch {marker}"), protocol)
        yield f"exec-{protocol}", pickle.dumps(Calls(builtins.exec, code), protocol)
    yield "eval", by_name("builtins", "eval", code)
    yield "python 2 names", b"c__builtin__\neval\n(V" + code.encode() + b"\ntR."
    yield (
        "runstring",
        b"\x80\x04"
        + short("numpy.testing._private.utils")
        + short("runstring")
        + b"\x93"
        + short(code)
        + b"}\x86R.",
    )
    yield "inst", b"(S'touch %s'\nios\nsystem\n." % str(marker).encode()
    yield "obj", b"(cos\nsystem\nS'touch %s'\no." % str(marker).encode()
    yield (
        "as a key",
        b"\x80\x02}cos\nsystem\nU" + short(f"touch {marker}")[1:] + b"\x85RK\x01s.",
    )
    yield (
        "in an array's state",
        pickle.dumps(
            {("QPSK", 0): np.array([Calls(os.system, f"touch {marker}")], dtype=object)}, 2
        ),
    )


@pytest.mark.parametrize("number", range(19))
def test_no_exploit_runs(tmp_path, number):
    marker = tmp_path / "ran"
    name, content = list(working_exploits(marker))[number]
    with pytest.raises(DatasetError) as error:
        read_bytes(tmp_path, content)
    assert not marker.exists() and "\n" not in str(error.value)
    pickle.loads(content)  # it is a real one
    assert marker.exists(), name


FROM_NUMPY = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(operator.attrgetter("system")),
        pickle.dumps(operator.methodcaller("system", "true")),
        b"cnumpy\n__builtins__\n.",
        b"\x80\x04" + short("numpy.core.multiarray") + short("_reconstruct.__globals__") + b"\x93.",
        by_name("pickle", "sys.modules.__class__", "x"),
        pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system"), 4),
        b"\x80\x04" + short("numpy.core") + short("multiarray._reconstruct") + b"\x93.",
        by_name("numpy.f2py.diagnose", "run_command", "true"),
        by_name("numpy", "load", "/etc/hostname"),
        by_name("numpy", "poly1d", "1"),
        by_name("numpy", "ndarray", "1"),  # allowed as an argument, never called
        by_name("gr_tsddae.data.readers.array_pickle", "_Array"),
        b"cnumpy\ndtype\n}U\x08__code__Nsb.",  # attributes of an allowed function
        b"cnumpy\ndtype\nN}U\x0c__defaults__Ns\x86b.",
        b"cnumpy\nndarray\n)\x81.",
        b"cnumpy\nndarray\n)}\x92.",
        b"Pname\n.",
        b"N\x51.",
        b"\x82\x01.",
        b"\x80\x05\x97.",
        FROM_NUMPY + b"(cbuiltins\nbytearray\n(I0\ntS'b'\ntR.",
        FROM_NUMPY + b"(cnumpy\nndarray\n(I999999999999\ntS'b'\ntR.",
        FROM_NUMPY + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I99999999999\ntcnumpy\ndtype\n"
        b"(S'f4'\nI0\nI1\ntRI00\nS''\ntb.",
        b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\n(I1\nI2\nt(tNI-1\nI-1\nI0\ntb.",
        b"c_codecs\nencode\n(Vtext\nVrot13\ntR.",
        b"c_codecs\ndecode\n(Vtext\nVhex\ntR.",
    ],
)
def test_what_no_array_needs_is_refused(tmp_path, content):
    with pytest.raises(DatasetError, match=r"no pickle of numeric arrays|ends too early"):
        read_bytes(tmp_path, content)


def declared(instruction, form, count):
    return b"\x80\x05" + instruction + struct.pack(form, count)


def nested_key():
    tuples = b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(100))
    return b"\x80\x02}" + tuples + b"K\x01s."


def text_encoded_often():
    big = b"\x80\x04\x8d" + struct.pack("<Q", 1 << 20) + b"x" * (1 << 20) + b"\x94"
    return big + b"(" + b"c_codecs\nencode\nh\x00\x8c\x06latin1\x86R" * 1000 + b"t."


def array_under_many_keys():
    rows = np.ones((1000, 2, 128), np.float32)
    return pickle.dumps({("QPSK", level): rows for level in range(-100, 100)}, 4)


def data_in_many_arrays():
    data = np.ones((1000, 2, 128), np.float32).tobytes()
    text = b"\x80\x04B" + struct.pack("<I", len(data)) + data + b"\x940}"
    for level in range(100):
        text += short("QPSK") + b"K" + bytes([level]) + b"\x86cnumpy.core.numeric\n_frombuffer\n("
        text += b"h\x00cnumpy\ndtype\n" + short("f4") + b"\x89\x88\x87R"
        text += b"(M\xe8\x03K\x02K\x80t" + short("C") + b"tRs"
    return text + b"."


@pytest.mark.parametrize(
    "content",
    [
        declared(b"B", "<I", 0xFFFFFFFF),
        declared(b"\x8e", "<Q", 1 << 34),
        declared(b"\x8e", "<Q", 1 << 62),
        declared(b"\x8d", "<Q", 1 << 34),
        declared(b"\x96", "<Q", 1 << 34),
        declared(b"\x95", "<Q", 1 << 34),
        declared(b"X", "<I", 0xFFFFFFFF),
        declared(b"\x8b", "<i", 0x7FFFFFFF),
        b"\x80\x02Nr\xff\xff\xff\x0f.",  # a memo table of 4 GiB in the machine written in C
        gzip.compress(b"\x80\x05\x8e" + struct.pack("<Q", 1 << 40) + b"\0" * (1 << 20), mtime=0),
        nested_key(),
        text_encoded_often(),
        array_under_many_keys(),
        data_in_many_arrays(),
    ],
)
def test_a_small_file_cannot_fill_the_memory(tmp_path, content):
    tracemalloc.start()
    with pytest.raises(DatasetError):
        read_bytes(tmp_path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
