"""Client with tritonclient.http, JSON and binary tensors. Arguments: URL, folder of inputs. Prints answers as JSON."""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

url, folder = urlsplit(sys.argv[1]).netloc, Path(sys.argv[2])
record = json.loads((folder / "record.json").read_text())
client = triton.InferenceServerClient(url)


def infer(values: dict[str, object], is_binary: bool) -> list[str]:
    inputs = []
    for name, value in values.items():
        array = np.array([value], dtype=object if isinstance(value, str) else np.float64)
        inputs.append(triton.InferInput(name, [1], "BYTES" if isinstance(value, str) else "FP64"))
        inputs[-1].set_data_from_numpy(array, binary_data=is_binary)
    outputs = [triton.InferRequestedOutput("prediction", binary_data=is_binary)]
    found = client.infer("adult", inputs, outputs=outputs).as_numpy("prediction")
    return [each.decode() if isinstance(each, bytes) else str(each) for each in found.tolist()]


found = {
    "live": client.is_server_live(),
    "server ready": client.is_server_ready(),
    "ready": client.is_model_ready("adult"),
    "json": infer(record, is_binary=False),
    "binary": infer(record, is_binary=True),
}
try:
    infer({"age": 40.0}, is_binary=False)
except InferenceServerException as error:
    found["refused"] = str(error)
print(json.dumps(found))
