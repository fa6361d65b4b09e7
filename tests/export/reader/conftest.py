"""Learners made by fastai, and torch zips with given pickles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

WriteZip = Callable[..., Path]
COOKBOOK = Path(__file__).parents[4] / "shared/data/cookbook/adult_sample_model.pkl"


def torch_zip(
    pickled: bytes, entries: dict[str, bytes] | None = None, *, compression: int = zipfile.ZIP_STORED
) -> bytes:
    """A torch zip with the given pickle and entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        for name, content in (entries or {}).items():
            archive.writestr(f"archive/{name}", content)
    return out.getvalue()


@pytest.fixture
def write_zip(tmp_path: Path) -> WriteZip:
    def write(pickled: bytes, entries: dict[str, bytes] | None = None) -> Path:
        path = tmp_path / "made.pkl"
        path.write_bytes(torch_zip(pickled, entries))
        return path

    return write


@pytest.fixture(scope="session")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tabular.pkl, plain.pkl (by the standard library's pickle), leaky.pkl and vision.pkl."""
    from tests.export.reader.make_learners import make

    folder = tmp_path_factory.mktemp("learners")
    make(folder)
    return folder


@pytest.fixture(scope="session")
def cookbook() -> Path:
    if not COOKBOOK.exists():
        pytest.skip(f"the learner of TorchServe's cookbook is not at {COOKBOOK}")
    return COOKBOOK
