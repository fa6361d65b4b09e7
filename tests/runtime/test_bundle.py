"""What an archive's parts may be: bounded, named once, within their folder."""

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
from tests.runtime import tiny
from tests.runtime import tiny_pictures as pictures


def archive(path, parts, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in parts:
            out.writestr(name, content)
    return BundleFiles(path)


def refused(files, name="spec.json"):
    with pytest.raises(BundleUnreadable) as caught:
        files.read(name)
    assert caught.value.fix
    return caught.value.message


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    files = archive(tmp_path / "bomb.mar", [("spec.json", b"{}"), ("model.onnx", bytes(40 << 20))])
    assert "unpacks to more than" in refused(files, "model.onnx")


def test_a_size_that_lies(tmp_path):
    path = tmp_path / "lies.mar"
    archive(path, [("spec.json", b" " * 3000)])
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02") + 24
    path.write_bytes(data[:at] + (10).to_bytes(4, "little") + data[at + 4 :])
    refused(BundleFiles(path))


def test_a_part_over_its_limit(tmp_path):
    files = archive(tmp_path / "large.mar", [("spec.json", b"x"), ("MAR-INF/MANIFEST.json", np.random.bytes(2 << 20))])
    assert "MANIFEST.json has 2,097,152 bytes" in refused(files)


def test_a_large_file_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("fastmar_contract.members.LIMITS", {"spec.json": 10})
    (tmp_path / "spec.json").write_bytes(b" " * 11)
    assert "over the limit of 10" in refused(BundleFiles(tmp_path))


def test_two_parts_of_one_name(tmp_path):
    assert "twice" in refused(archive(tmp_path / "two.mar", [("spec.json", b"{}"), ("spec.json", b"[]")]))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\..\\x"])
def test_parts_outside_of_the_folder(name, tmp_path):
    assert "outside of its folder" in refused(archive(tmp_path / "out.mar", [("spec.json", b"{}"), (name, b"")]))


def test_json_that_is_nested_deeply(tmp_path):
    files = archive(tmp_path / "deep.mar", [("spec.json", b"[" * 500 + b"]" * 500)])
    with pytest.raises(BundleUnreadable, match="levels"):
        files.json("spec.json")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x02\x00{(",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }".ljust(128) + b"x",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(128) + b"x" * 8,
    ],
)  # fmt: skip
def test_arrays_that_are_damaged(content, tmp_path):
    with pytest.raises(BundleUnreadable, match="is damaged"):
        archive(tmp_path / "a.mar", [("golden/x.npy", content)]).array("golden/x.npy")


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(order, tmp_path):
    buffer = io.BytesIO()
    array = np.asarray(np.arange(6.0).reshape(2, 3), order=order)
    np.save(buffer, array)
    read = archive(tmp_path / "a.mar", [("golden/x.npy", buffer.getvalue())]).array("golden/x.npy")
    assert (read == array).all()


WRONG = {
    "steps[2].means['age'] must be a number; got a list": ("steps", 2, "means", {"age": [], "hours": 1.0}),
    "steps[0].add_col must be true or false; got 1": ("steps", 0, "add_col", 1),
    "steps[1].vocabularies['grade'] must be a list; got 3": ("steps", 1, "vocabularies", {"grade": 3}),
    "steps[3] takes 'age' for a number, and no step": ("steps", 3, "cats", ["age"]),
    "steps don't fit the fields": ("steps", 3, "conts", ["age", "other"]),
    "steps[0] has an unknown part 'x'": ("steps", 0, "x", 1),
    "fields[3].kind must be the name of a kind; got 'x'": ("fields", 3, "kind", "x"),
    "fields[0].categories must be a list; got null": ("fields", 0, "categories", None),
    "fields[0].categories[0] must be text or a number; got a list": ("fields", 0, "categories", [[]]),
    "decode.vocab has 1 labels, and the graph has 2 outputs": ("decode", "vocab", ["x"]),
    "decode.activation must be one of": ("decode", "activation", "x"),
    "graph.inputs[0].shape must be a list; got 3": ("graph", "inputs", 0, "shape", 3),
    "name must be text; got 3": ("name", 3),
    "targets[0] must be text; got null": ("targets", [None]),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_part_of_the_spec_that_is_wrong_is_named(message, bundle):
    spec = orjson.loads((bundle / "spec.json").read_bytes())
    *path, value = WRONG[message]
    holder = spec
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    (bundle / "spec.json").write_bytes(orjson.dumps(spec))
    with pytest.raises(BundleUnreadable) as caught:
        Predictor.open(bundle)
    assert message in caught.value.message
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
def test_steps_of_pictures_open_them_first_and_end_with_a_tensor(steps):
    check_spec(pictures.spec())
    with pytest.raises(BundleUnreadable, match=r"spec\.json: steps"):
        check_spec(pictures.spec(steps=steps))


def test_a_table_has_no_steps_of_pictures():
    with pytest.raises(BundleUnreadable, match=r"spec\.json: steps"):
        check_spec(tiny.spec(steps=(pictures.OPENING, *tiny.STEPS)))


def test_mutants_of_archives_are_read_or_refused(tmp_path):
    from tests.runtime.fuzz_archives import make_archives, run

    for archive_path, inputs in make_archives(tmp_path):
        assert run(archive_path, inputs, 12, 0) == 0


def test_an_archive_without_its_own_answers_is_not_predicted_with(tmp_path, capsys):
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
