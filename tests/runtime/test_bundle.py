"""Reading bundles: limits of members, damaged files, inconsistent specs."""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np
import orjson
import pytest

from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import check_spec
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.validation import MAX_DEPTH
from tests.runtime import tiny
from tests.runtime import tiny_pictures as pictures


def archive(path, parts, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in parts:
            out.writestr(name, content)
    return BundleFiles(path)


def refusal(files, name="spec.json"):
    """The code of the error of reading a member."""
    with pytest.raises(BundleUnreadable) as caught:
        files.read(name)
    assert caught.value.fix
    return caught.value.code


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    files = archive(tmp_path / "bomb.mar", [("spec.json", b"{}"), ("model.onnx", bytes(40 << 20))])
    assert refusal(files, "model.onnx") == "compression_ratio"


def test_a_wrong_declared_size(tmp_path):
    path = tmp_path / "wrong-size.mar"
    archive(path, [("spec.json", b" " * 3000)])
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02") + 24
    path.write_bytes(data[:at] + (10).to_bytes(4, "little") + data[at + 4 :])
    assert refusal(BundleFiles(path)) in ("wrong_member_size", "bundle_damaged")


def test_a_member_over_its_limit(tmp_path):
    files = archive(tmp_path / "large.mar", [("spec.json", b"x"), ("MAR-INF/MANIFEST.json", np.random.bytes(2 << 20))])
    assert refusal(files) == "member_too_large"


def test_a_file_over_its_limit_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("fastmar_contract.members.LIMITS", {"spec.json": 10})
    (tmp_path / "spec.json").write_bytes(b" " * 11)
    assert refusal(BundleFiles(tmp_path)) == "member_too_large"


def test_a_repeated_member(tmp_path):
    files = archive(tmp_path / "two.mar", [("spec.json", b"{}"), ("spec.json", b"[]")])
    assert refusal(files) == "repeated_member"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\..\\x"])
def test_members_outside_of_the_folder(name, tmp_path):
    files = archive(tmp_path / "out.mar", [("spec.json", b"{}"), (name, b"")])
    assert refusal(files) == "member_outside_folder"


def test_deeply_nested_json(tmp_path):
    files = archive(tmp_path / "deep.mar", [("spec.json", b"[" * 500 + b"]" * 500)])
    with pytest.raises(BundleUnreadable) as caught:
        files.json("spec.json")
    assert str(MAX_DEPTH) in caught.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x02\x00{(",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }".ljust(128) + b"x",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(128) + b"x" * 8,
    ],
)  # fmt: skip
def test_damaged_arrays(content, tmp_path):
    files = archive(tmp_path / "a.mar", [("golden/x.npy", content)])
    with pytest.raises(BundleUnreadable) as caught:
        files.array("golden/x.npy")
    assert caught.value.code == "array_damaged"


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(order, tmp_path):
    buffer = io.BytesIO()
    array = np.asarray(np.arange(6.0).reshape(2, 3), order=order)
    np.save(buffer, array)
    read = archive(tmp_path / "a.mar", [("golden/x.npy", buffer.getvalue())]).array("golden/x.npy")
    assert (read == array).all()


INVALID = {
    "steps[2].means['age']": ("steps", 2, "means", {"age": [], "hours": 1.0}),
    "steps[0].add_col": ("steps", 0, "add_col", 1),
    "steps[1].vocabularies['grade']": ("steps", 1, "vocabularies", {"grade": 3}),
    "steps[3] needs numbers in 'age'": ("steps", 3, "cats", ["age"]),
    "'other'": ("steps", 3, "conts", ["age", "other"]),
    "steps[0] has an unknown part 'x'": ("steps", 0, "x", 1),
    "fields[3].kind": ("fields", 3, "kind", "x"),
    "fields[0].categories must be a list": ("fields", 0, "categories", None),
    "fields[0].categories[0]": ("fields", 0, "categories", [[]]),
    "decode.vocab": ("decode", "vocab", ["x"]),
    "decode.activation": ("decode", "activation", "x"),
    "graph.inputs[0].shape": ("graph", "inputs", 0, "shape", 3),
    " name ": ("name", 3),
    "targets[0]": ("targets", [None]),
}


@pytest.mark.parametrize("fact", INVALID)
def test_errors_name_the_invalid_part_of_the_spec(fact, bundle):
    spec = orjson.loads((bundle / "spec.json").read_bytes())
    *path, value = INVALID[fact]
    holder = spec
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    (bundle / "spec.json").write_bytes(orjson.dumps(spec))
    with pytest.raises(BundleUnreadable) as caught:
        Predictor.open(bundle)
    assert fact in caught.value.message
    assert caught.value.message.startswith("spec.json")


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (pictures.OPENING,),
        (pictures.RESIZE, pictures.TO_TENSOR),
        (pictures.OPENING, pictures.TO_TENSOR, pictures.RESIZE),
        (pictures.OPENING, pictures.TO_TENSOR, pictures.TO_TENSOR),
        (pictures.OPENING, pictures.OPENING, pictures.TO_TENSOR),
        (pictures.OPENING, tiny.STEPS[0], pictures.TO_TENSOR),
    ],
)
def test_an_invalid_order_of_picture_steps(steps):
    check_spec(pictures.spec())
    with pytest.raises(BundleUnreadable) as caught:
        check_spec(pictures.spec(steps=steps))
    assert "spec.json: steps" in caught.value.message


def test_a_picture_step_in_a_table_model():
    with pytest.raises(BundleUnreadable) as caught:
        check_spec(tiny.spec(steps=(pictures.OPENING, *tiny.STEPS)))
    assert "spec.json: steps" in caught.value.message


def test_mutated_archives_are_read_or_refused(tmp_path):
    from tests.runtime.fuzz_archives import make_archives, run

    for archive_path, inputs in make_archives(tmp_path):
        assert run(archive_path, inputs, 12, 0) == 0


def test_predict_refuses_an_archive_with_changed_golden_answers(tmp_path, capsys):
    from fastmar_cli.main import main
    from tests.archives import changed, tiny_archive

    path = tiny_archive(tmp_path)
    record = tmp_path / "record.json"
    record.write_bytes(orjson.dumps(tiny.record()))
    assert main(["predict", str(path), str(record), "--json"]) == 0
    capsys.readouterr()
    answers = orjson.loads(BundleFiles(path).read("golden/answers.json"))
    answers[0]["probabilities"] = {"<50k": 0.5, ">=50k": 0.5}
    other = changed(path, golden__answers=answers)
    assert main(["predict", str(other), str(record), "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "GoldenMismatch" in printed.err
