"""Scoring on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from fastmar_cli.main import main
from fastmar_runtime import predictor
from fastmar_serving.targets import ArchiveTarget
from tests.archives import tiny_archive
from tests.bulk.test_files import read, score, table, write

HAS_CUDA = predictor.CUDA in ort.get_available_providers()


def test_score_requests_cuda_and_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ONNX Runtime has no CUDA, the session runs on the processor."""
    requested: list[Any] = []
    providers = predictor.providers

    def recorded(gpu: int | None) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(ort, "get_available_providers", lambda: [predictor.CUDA, predictor.CPU])
            requested.append(providers(gpu))
        return providers(gpu)

    monkeypatch.setattr(predictor, "providers", recorded)
    path = write(tmp_path / "in.csv", table())
    main(["score", str(tiny_archive(tmp_path)), str(path), "-o", str(tmp_path / "out.csv")])
    assert requested[-1] == [(predictor.CUDA, {"device_id": 0, "use_tf32": 0}), predictor.CPU]


@pytest.mark.skipif(not HAS_CUDA, reason="this build of ONNX Runtime has no CUDA")
def test_answers_of_a_gpu(tmp_path: Path) -> None:
    archive = str(tiny_archive(tmp_path))
    path = write(tmp_path / "in.parquet", table())
    found = []
    for gpu in (None, 0):
        target = ArchiveTarget(archive, None, gpu)
        score(target.predictor, path, tmp_path / f"{gpu}.parquet", columns=["probability"])
        found.append([row["probability"] or np.nan for row in read(tmp_path / f"{gpu}.parquet")])
    assert target.predictor._session.get_providers()[0] == predictor.CUDA
    np.testing.assert_allclose(*found, atol=1e-5)  # float32 in another order
