"""Requests and responses of the real `tritonclient.http`, without a server."""

from __future__ import annotations

import numpy as np
import pytest

from fastmar_runtime import payload
from tests.runtime import tiny

triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed", exc_type=ImportError)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_case_tritonclient_binary(binary_in, binary_out):
    predictor = tiny.predictor()
    record = tiny.record()
    inputs = []
    for name, datatype, dtype in (
        ("workclass", "BYTES", object),
        ("grade", "INT64", np.int64),
        ("vip", "BOOL", bool),
        ("age", "FP32", np.float32),
        ("hours", "FP64", np.float64),
    ):
        tensor = triton.InferInput(name, [2], datatype)
        tensor.set_data_from_numpy(np.array([record[name]] * 2, dtype), binary_data=binary_in)
        inputs.append(tensor)
    names = ("prediction", "probabilities", "warnings")
    outputs = binary_out is not None and [triton.InferRequestedOutput(n, binary_data=binary_out) for n in names]
    body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs or None)
    headers = {} if length is None else {"inference-header-content-length": str(length)}
    request = payload.read(bytes(body), "application/octet-stream", predictor.spec, headers=headers, v2=True)
    assert request.records == [record] * 2
    answers = predictor.predict(request.records)
    response = payload.write(request, answers, predictor.spec)
    size = response.headers.get("Inference-Header-Content-Length")
    assert (size is not None) == (binary_out is not False)
    result = triton.InferenceServerClient.parse_response_body(response.body, header_length=size and int(size))
    labels = [x.decode() if isinstance(x, bytes) else x for x in result.as_numpy("prediction").tolist()]
    assert labels == [answer["prediction"] for answer in answers]
    expected = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(result.as_numpy("probabilities"), expected, rtol=1e-6)
