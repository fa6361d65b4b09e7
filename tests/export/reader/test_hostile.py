"""Malicious pickles: the reader must not run their code, and the audit must name it."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.export.errors import raises
from tests.export.reader.conftest import WriteZip, torch_zip

from fastmar_export.errors import HostileFile, TruncatedFile, UnreadableFile
from fastmar_export.reader import Limits, describe_call, read_torch_file, walk


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def command(marker: Path) -> bytes:
    return text(f"touch {marker}")


RUNS = {
    "REDUCE": (lambda c: b"\x80\x02cos\nsystem\n" + c + b"\x85R.", "os.system"),
    "posix": (lambda c: b"\x80\x02cposix\nsystem\n" + c + b"\x85R.", "posix.system"),
    "INST": (lambda c: b"(" + c + b"ios\nsystem\n.", "os.system"),
    "OBJ": (lambda c: b"(cos\nsystem\n" + c + b"o.", "os.system"),
    "NEWOBJ": (lambda c: b"\x80\x02csubprocess\nPopen\n" + c + b"\x85\x81.", "subprocess.Popen"),
    "NEWOBJ_EX": (lambda c: b"\x80\x04csubprocess\nPopen\n)}" + text("args") + c + b"s\x92.", "subprocess.Popen"),
    "STACK_GLOBAL": (lambda c: b"\x80\x04" + text("os") + text("system") + b"\x93" + c + b"\x85R.", "os.system"),
    "dotted": (lambda c: b"\x80\x04cfastai.imports\nos.system\n" + c + b"\x85R.", "fastai.imports.os.system"),
    "eval": (lambda c: b"c__builtin__\neval\n(" + text("1") + b"tR.", "builtins.eval"),
    "exec": (lambda c: b"c__builtin__\nexec\n(" + text("1") + b"tR.", "builtins.exec"),
    "thrown away": (lambda c: b"\x80\x02cos\nsystem\n" + c + b"\x85R0N.", "os.system"),
    "getattr": (
        lambda c: b"\x80\x02c__builtin__\ngetattr\ncos\n__dict__\n" + text("system") + b"\x86R" + c + b"\x85R.",
        "os.__dict__.system",
    ),
    "import": (lambda c: b"\x80\x02c__builtin__\n__import__\n" + text("os") + b"\x85R.", "builtins.__import__"),
    "subimport": (
        lambda c: b"\x80\x02ccloudpickle.cloudpickle\nsubimport\n" + text("evil") + b"\x85R.",
        "cloudpickle.cloudpickle.subimport",
    ),
    "partial": (lambda c: b"\x80\x02cfunctools\npartial\ncos\nsystem\n" + c + b"\x86R)R.", "functools.partial"),
    "sys.path": (lambda c: b"\x80\x02csys\npath\n" + text("/tmp") + b"a.", "sys.path.extend"),
    "sys.modules": (lambda c: b"\x80\x02csys\nmodules\n" + text("os") + b"Ns.", "sys.modules.update"),
    "class state": (lambda c: b"\x80\x02ctorch.nn\nModule\n}" + text("f") + b"Nsb.", "torch.nn.Module.__setstate__"),
    "set state": (
        lambda c: b"\x80\x02ccloudpickle.cloudpickle\n_class_setstate\nctorch.nn\nModule\n}\x86R.",
        "cloudpickle.cloudpickle._class_setstate",
    ),
    "extension": (lambda c: b"\x80\x02\x82\x05" + c + b"\x85R.", "copyreg.extension_5"),
    "user class": (lambda c: b"\x80\x02c__main__\nMine\n)\x81}b.", "__main__.Mine"),
    "nested load": (
        lambda c: b"\x80\x02ctorch.storage\n_load_from_bytes\nc_codecs\nencode\n" + c + b"\x85R\x85R.",
        "torch.storage._load_from_bytes",
    ),
    "bytes of an object": (lambda c: b"\x80\x02c__builtin__\nlist\ncos\nenviron\n\x85R.", "builtins.list"),
    "memmap": (lambda c: b"\x80\x02cnumpy\nmemmap\n" + c + b"\x85\x81.", "numpy.memmap"),
    "copyreg": (lambda c: b"\x80\x02ccopy_reg\n__newobj__\ncos\nsystem\n" + c + b"\x86R.", "os.system"),
    "pandas": (lambda c: b"\x80\x02cpandas\nread_pickle\n" + c + b"\x85R.", "pandas.read_pickle"),
}


@pytest.mark.parametrize("trick", RUNS)
def test_code_is_not_run_and_named_by_the_audit(trick: str, write_zip: WriteZip, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    make, path = RUNS[trick]
    file = read_torch_file(write_zip(make(command(marker))))
    assert not marker.exists()
    assert [call.path for call in file.calls] == [path]
    line = describe_call(file.calls[0])
    assert line.startswith(path)
    assert "byte " in line


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02cfastai.callback.fp16\nAMPMode\n" + text("fp16") + b"\x85R.",
        b"\x80\x02c__builtin__\ntype\nN\x85R.",
        b"\x80\x02cpyarrow.lib\ntype_for_alias\n" + text("large_string") + b"\x85R.",
        b"\x80\x02cpyarrow.lib\npy_buffer\n" + text("abc") + b"\x85R.",
        b"\x80\x02cpyarrow.lib\n_restore_array\n)\x85R.",
        b"\x80\x02cpandas._libs.interval\n__pyx_unpickle_IntervalMixin\n)R.",
    ],
    ids=["enum", "type(None)", "arrow type", "arrow buffer", "arrow array", "interval"],
)
def test_case_noise_amp_type(pickled: bytes, write_zip: WriteZip) -> None:
    assert read_torch_file(write_zip(pickled)).calls == []


@pytest.mark.parametrize("path", ["pandas.evil\n_restores", "fastai.callback.fp16\nOther", "pyarrow.lib\nrun"])
def test_other_functions_of_libraries_are_named_by_the_audit(path: str, write_zip: WriteZip) -> None:
    file = read_torch_file(write_zip(b"\x80\x02c" + path.encode() + b"\n" + text("x") + b"\x85R."))
    assert [call.path for call in file.calls] == [path.replace("\n", ".")]


def test_weights_are_not_training_rows(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(300, 200), tmp_path / "layer.pkl")
    torch.save(torch.nn.Linear(300, 200).state_dict(), tmp_path / "weights.pkl")
    assert read_torch_file(tmp_path / "layer.pkl").leaks == read_torch_file(tmp_path / "weights.pkl").leaks == []


def test_calls_of_a_reduce_method_are_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return eval, (f"open({str(marker)!r}, 'w')",)

    path = tmp_path / "evil.pkl"
    path.write_bytes(torch_zip(pickle.dumps({"dls": Evil(), "model": [Evil()]}, 2)))
    file = read_torch_file(path)
    assert not marker.exists()
    assert describe_call(file.calls[0]).startswith("builtins.eval(\"open('")
    assert len(file.calls) == 2


@pytest.mark.parametrize(
    "pickled",
    [
        b"Pos.system\n.", b"\x80\x02" + text("cmd") + b"Q.", b"\x80\x05\x97.", b"\x80\x05N\x98.", b"\x80\x09N.",
        b"", b".", b"N", b"(.", b"0.", b"h\x05.", b"g9\n.", b"t.", b"R.", b"]\x85R.", b"\x80\x02NN\x86R.", b"\xff.",
        b"]]s.", b"}]Ns.", b"\x8f(]\x90.", b"(]\x91.", b"X\xff\xff\xff\xffa.", b"\x8e" + b"\xff" * 8 + b".",
        b"\x96" + b"\xff" * 8 + b".", b"\x8b\xff\xff\xff\xff.", b"I" + b"9" * 5000 + b"\n.", b"Fx\n.", b"S'a\n.",
        b"c" + b"a" * 600 + b"\nb\n.", b"cos\n\xff\n)R.", b"]Na]b0N0N0.",
        b"\x80\x02cnumpy\ndtype\n" + text("f8") + b"\x85R(K\x03" + text("?") + b"NNNK\x00K\x00K\x00tb.",
    ],
    ids=repr,
)  # fmt: skip
def test_invalid_pickle_is_refused(pickled: bytes, write_zip: WriteZip) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_torch_file(write_zip(pickled))
    assert caught.value.fix


BOMBS = {
    "tuples that hold the next twice": b"\x80\x02N" + b"2\x86" * 40 + b".",
    "a deep tuple": b"\x80\x02N" + b"\x85" * 100_000 + b".",
    "such tuples as arguments": b"\x80\x02cos\nsystem\nN" + b"2\x86" * 40 + b"\x85R.",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "tuples as a key": b"\x80\x02}N" + b"2\x86" * 40 + b"Ns.",
    "tuples in a set": b"\x80\x04(N" + b"2\x86" * 40 + b"\x91.",
    "deep tuple as a key": b"\x80\x02}N" + b"\x85" * 100_000 + b"Ns.",
    "marks": b"(" * 100_000 + b".",
    "range": b"\x80\x02c__builtin__\nxrange\nJ\xff\xff\xff\x7f\x85R.",
    "long integers as keys": b"\x80\x02}\x8a\x10" + b"\x7f" * 16 + b"Ns.",
    "bytearray": b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "bytearrays": b"\x80\x02" + b"c__builtin__\nbytearray\nJ\xff\xff\xff\x01\x85R0" * 100 + b"N.",
    "copies of a list": b"\x80\x02](" + b"N" * 50_000 + b"eq\x01" + b"c__builtin__\nlist\nh\x01\x85R" * 9_000 + b".",
    "copies of bytes": b"\x80\x02" + text("a" * 100_000) + b"q\x01" + b"c_codecs\nencode\nh\x01\x85R" * 9_000 + b".",
    "states": b"\x80\x02c__main__\nA\n)\x81}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(9000))
    + b"uq\x01b" + b"}b" * 20_000 + b".",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused(bomb: str, write_zip: WriteZip) -> None:
    with pytest.raises((HostileFile, TruncatedFile)) as caught:
        read_torch_file(write_zip(BOMBS[bomb]))
    assert caught.value.fix


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02c__builtin__\nslice\nN" + b"2\x86" * 40 + b"\x85R.",
        b"\x80\x02ca\nb\n" + b")R" * 100_000 + b".",
        b"\x80\x02c__builtin__\ngetattr\nq\x010ca\nb\nq\x02"
        + (b"0h\x01h\x02" + text("c") + b"\x86Rq\x02") * 5_000
        + b".",
        b"\x80\x02ca\nb\n)R(" + b"N" * 5_000 + b"lb.",
    ],
    ids=["laughs in a slice", "deep calls", "deep getattr", "big state"],
)
def test_deep_and_shared_objects_are_walked_once(pickled: bytes, write_zip: WriteZip) -> None:
    file = read_torch_file(write_zip(pickled))
    nodes = list(walk(file.root))
    assert len(nodes[-1].where) < 10_000
    for call in file.calls[:100]:
        assert len(describe_call(call)) < 1_000


def test_limits(write_zip: WriteZip) -> None:
    path = write_zip(b"\x80\x02" + b"N0" * 50 + b"N.", {"extra": b""})
    for limits in (Limits(file_bytes=100), Limits(entries=2), Limits(pickle_bytes=50), Limits(opcodes=50)):
        with raises(HostileFile, "limit_exceeded"):
            read_torch_file(path, limits)
    assert read_torch_file(path).root is None


def test_unusual_zips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.pkl"
    whole = torch_zip(b"N.", {"data/0": b"abcd", "data/1": b"efgh"})
    # The directory's entries: sizes at 20 and 24, the place of the entry's own header at 42.
    first, last = whole.index(b"PK\x01\x02"), whole.rindex(b"PK\x01\x02")
    huge = b"\xff\xff\xff\x7f"
    cases = [
        ("compressed_zip_entry", torch_zip(b"N.", {"data/0": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED)),
        ("duplicate_zip_entry", whole.replace(b"data/1", b"data/0")),
        ("duplicate_zip_entry", torch_zip(b"N.", {"DATA.PKL": b"cos\nsystem\n."})),
        ("zip_entry_outside_folder", whole.replace(b"archive/data/1", b"brchive/data/1")),
        ("zip_with_prefix", whole[:4] + b"junk" + whole),
        ("overlapping_zip_entry", whole[: last + 42] + whole[first + 42 : first + 46] + whole[last + 46 :]),
        ("inconsistent_zip_entry", whole[: last + 24] + huge + whole[last + 28 :]),
        ("truncated_zip_entry", whole[: last + 20] + huge + huge + whole[last + 28 :]),
        ("wrong_checksum", whole.replace(b"N.", b"].", 1)),
        ("damaged_zip_directory", whole[:-10]),
        (
            "misplaced_zip_entry",
            whole.replace(b"PK\x03\x04", b"PK\x03\x05").replace(b"PK\x03\x05", b"PK\x03\x04", 1),
        ),
    ]
    for code, content in cases:
        path.write_bytes(content)
        with raises(UnreadableFile, code):
            read_torch_file(path)


def _tuples_of_one_hash(count: int) -> list[tuple[int, int]]:
    """Pairs of integers with equal hashes, found by inverting the steps of CPython's hash of tuples."""
    mask, p1, p2, p5 = (1 << 64) - 1, 11400714785074694791, 14029467366897019727, 2870177450012600261
    undo1, undo2 = pow(p1, -1, 1 << 64), pow(p2, -1, 1 << 64)

    def rotate(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & mask

    target = rotate((12345678901234567890 - (2 ^ (p5 ^ 3527539))) * undo1 & mask, 33)
    pairs: list[tuple[int, int]] = []
    first = 0
    while len(pairs) < count:
        first += 1
        mixed = rotate((p5 + first * p2) & mask, 31) * p1 & mask
        second = (target - mixed) * undo2 & mask
        second -= (1 << 64) if second >> 63 else 0
        if abs(second) < (1 << 61) - 1 and second != -1:
            pairs.append((first, second))
    assert len({hash(pair) for pair in pairs}) == 1
    return pairs


def _spelled(pair: tuple[int, int]) -> bytes:
    return b"J" + struct.pack("<i", pair[0]) + b"\x8a\x08" + struct.pack("<q", pair[1]) + b"\x86"


@pytest.mark.parametrize("container", ["dict", "set", "frozenset", "one by one", "over many dicts", "nested"])
def test_case_hostile_pickles_hash_collisions(container: str, write_zip: WriteZip) -> None:
    keys = [_spelled(pair) for pair in _tuples_of_one_hash(100)]
    pickled = {
        "dict": b"\x80\x04}(" + b"".join(key + b"N" for key in keys) + b"u.",
        "set": b"\x80\x04\x8f(" + b"".join(keys) + b"\x90.",
        "frozenset": b"\x80\x04(" + b"".join(keys) + b"\x91.",
        "one by one": b"\x80\x04}" + b"".join(key + b"Ns" for key in keys) + b".",
        "over many dicts": b"\x80\x04(" + b"".join(b"}" + key + b"Ns" for key in keys) + b"l.",
        "nested": b"\x80\x04}(" + b"".join(key + b"\x85N" for key in keys) + b"u.",
    }[container]
    with raises(HostileFile, "too_many_equal_hashes"):
        read_torch_file(write_zip(pickled))


def test_floats_with_equal_hashes_are_refused(write_zip: WriteZip) -> None:
    # hashes of floats are modulo 2**61 - 1
    powers = b"".join(b"G" + struct.pack(">d", 2.0 ** (61 * n)) + b"N" for n in range(17))
    with raises(HostileFile, "too_many_equal_hashes"):
        read_torch_file(write_zip(b"\x80\x04}(" + powers + b"u."))


def test_many_usual_keys_are_read(write_zip: WriteZip) -> None:
    keys = [*range(-1000, 1000), *(n / 7 for n in range(1000)), *((n, str(n)) for n in range(1000)), -1, -2, 2**61 - 1]
    assert read_torch_file(write_zip(pickle.dumps(dict.fromkeys(keys)))).root == dict.fromkeys(keys)


def test_repeated_comparison_of_long_keys_is_refused(write_zip: WriteZip) -> None:
    twice = text("k" * 1_000_000) + b"q\x000" + text("k" * 1_000_000) + b"q\x010"
    with raises(HostileFile, "memory_budget_exceeded"):
        read_torch_file(write_zip(b"\x80\x02" + twice + b"}h\x00Ns" + b"h\x01Ns" * 100_000 + b"."))


def test_repeated_hashing_of_tuples_is_refused(write_zip: WriteZip) -> None:
    key = b"(" + b"K\x01" * 90 + b"tq\x000"
    with raises(HostileFile, "memory_budget_exceeded"):
        read_torch_file(write_zip(b"\x80\x02" + key + b"}" + b"h\x00Ns" * 100_000 + b"."))


@pytest.mark.parametrize("opcodes", [b"}", b"]", b"\x8f", b"N\x85", b"(t", b"h\x00)R", b"h\x00)\x81"], ids=repr)
def test_many_small_objects_are_refused(opcodes: bytes, write_zip: WriteZip) -> None:
    many = opcodes * (3_000_000 // len(opcodes))
    with raises(HostileFile, "memory_budget_exceeded"):
        read_torch_file(write_zip(b"\x80\x04cos\nsystem\nq\x000(" + many + b"l."))
