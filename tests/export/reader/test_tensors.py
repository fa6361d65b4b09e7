from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.export.errors import raises
from tests.export.reader.conftest import WriteZip

from fastmar_export.errors import HostileFile, TruncatedFile, UnreadableFile
from fastmar_export.reader import read_torch_file

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.float8_e4m3fn,
)  # fmt: skip


def round_trip(thing: Any, path: Path, protocol: int = 2) -> Any:
    torch.save(thing, path, pickle_protocol=protocol)
    return read_torch_file(path).root


def tensors(rebuild: Any = "_rebuild_tensor_v2", **changes: Any) -> bytes:
    """A pickle of one tensor with the given parts."""
    parts = {"offset": 0, "size": (2, 2), "stride": (2, 1), "grad": False, "key": "0", "count": 4} | changes

    class Storage:
        pass

    class Tensor:
        def __reduce__(self) -> Any:
            return getattr(torch._utils, rebuild), (
                Storage(), parts["offset"], parts["size"], parts["stride"], parts["grad"], None,
            )  # fmt: skip

    class Pickler(pickle._Pickler):  # type: ignore[name-defined]
        def persistent_id(self, thing: Any) -> Any:
            if isinstance(thing, Storage):
                return ("storage", torch.FloatStorage, parts["key"], "cpu", parts["count"])
            return None

    import io

    out = io.BytesIO()
    Pickler(out, 2).dump(Tensor())
    return out.getvalue()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("protocol", [2, 5])
def test_every_dtype(dtype: torch.dtype, protocol: int, tmp_path: Path) -> None:
    tensor = torch.arange(24).reshape(2, 3, 4).to(dtype)
    read = round_trip({"whole": tensor, "view": tensor[:, 1:, ::2], "turned": tensor.permute(2, 0, 1)}, tmp_path / "t",
                      protocol)  # fmt: skip
    loaded = torch.load(tmp_path / "t", weights_only=False)
    for name, expected in loaded.items():
        assert read[name].dtype == dtype
        assert read[name].stride() == expected.stride()
        assert torch.equal(read[name].view(torch.uint8) if dtype.itemsize == 1 else read[name],
                           expected.view(torch.uint8) if dtype.itemsize == 1 else expected)  # fmt: skip


def test_shared_storages_share_memory(tmp_path: Path) -> None:
    whole = torch.zeros(4)
    read = round_trip([whole, whole[1:3], whole], tmp_path / "t")
    read[1][0] = 7
    assert read[0].tolist() == [0, 7, 0, 0]
    assert read[0] is read[2]


def test_parameters_subclasses_and_bits(tmp_path: Path) -> None:
    class Picture(torch.Tensor):
        pass

    globals()["Picture"] = Picture
    Picture.__qualname__ = "Picture"
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    conjugated = torch.tensor([1 + 2j]).conj()
    things = [
        torch.nn.Parameter(torch.ones(2)),
        frozen,
        torch.ones(2).as_subclass(Picture),
        conjugated,
        torch.empty(0, 3),
    ]
    read = round_trip(things, tmp_path / "t")
    assert [type(tensor) for tensor in read] == [torch.nn.Parameter] * 2 + [torch.Tensor] * 3
    assert [tensor.requires_grad for tensor in read[:3]] == [True, False, False]
    assert torch.equal(read[3], conjugated)
    assert read[4].shape == (0, 3)


def test_dtypes_devices_and_sizes(tmp_path: Path) -> None:
    things = [torch.float16, torch.device("cuda", 1), torch.Size([2, 3])]
    assert round_trip(things, tmp_path / "t") == [torch.float16, torch.device("cuda", 1), (2, 3)]


def test_big_endian_files(write_zip: WriteZip) -> None:
    numbers = np.arange(4, dtype=">f4")
    path = write_zip(tensors(), {"data/0": numbers.tobytes(), "byteorder": b"big"})
    assert read_torch_file(path).root.flatten().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": -1}, {"offset": 1}, {"size": (-2, -2)}, {"size": (2, 3)}, {"stride": (3, 1)}, {"stride": (-2, 1)},
        {"size": (2**40, 2**40), "stride": (0, 0)}, {"size": (2**62,), "stride": (2**62,)}, {"offset": 2**63},
        {"size": (2**33, 1), "stride": (0, 1)}, {"count": 5}, {"count": -4}, {"count": "4"}, {"key": "1"}, {"grad": 2},
        {"key": "../../version"}, {"size": (1,) * 65, "stride": (1,) * 65}, {"size": [2], "stride": None},
        {"size": ((((2,),),),), "stride": (1,)},
    ],
    ids=repr,
)  # fmt: skip
def test_invalid_tensors_are_refused(changes: dict[str, Any], write_zip: WriteZip) -> None:
    path = write_zip(tensors(**changes), {"data/0": bytes(16)})
    with pytest.raises((HostileFile, TruncatedFile)) as caught:
        read_torch_file(path)
    assert caught.value.fix


def test_overlapping_views_within_bounds_are_read(write_zip: WriteZip) -> None:
    path = write_zip(tensors(size=(3, 2), stride=(1, 1)), {"data/0": np.arange(4, dtype="f4").tobytes()})
    assert read_torch_file(path).root.tolist() == [[0, 1], [1, 2], [2, 3]]


def test_quantised_tensors_are_refused(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8), tmp_path / "t")
    with raises(UnreadableFile, "unsupported_storage"):
        read_torch_file(tmp_path / "t")


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    dims = draw(st.integers(0, 4))
    sizes = st.integers(-1, 6) | st.integers(-(2**64), 2**64)
    return {
        "offset": draw(st.integers(-1, 70) | st.integers(-(2**64), 2**64)),
        "size": tuple(draw(sizes) for _ in range(dims)),
        "stride": tuple(draw(sizes) for _ in range(dims)),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("layouts")


@given(layout=layouts())
def test_any_layout_equals_torch_or_is_refused(layout: dict[str, Any], folder: Path) -> None:
    from tests.export.reader.conftest import torch_zip

    numbers = np.arange(64, dtype="f4")
    path = folder / "layout.pkl"
    path.write_bytes(torch_zip(tensors(count=64, **layout), {"data/0": numbers.tobytes()}))
    try:
        read = read_torch_file(path).root
    except UnreadableFile:
        return
    expected = torch.as_strided(torch.from_numpy(numbers), layout["size"], layout["stride"], layout["offset"])
    assert torch.equal(read, expected)
