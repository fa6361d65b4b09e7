"""Client with KServe's SDK, protocols v1 and v2. Arguments: URL, folder of inputs. Prints answers as JSON."""

import asyncio
import json
import sys
from pathlib import Path

from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


async def main(url: str, folder: Path) -> dict[str, object]:
    record = json.loads((folder / "record.json").read_text())
    inputs = [
        InferInput(name=name, shape=[1], datatype="BYTES" if isinstance(value, str) else "FP64", data=[value])
        for name, value in record.items()
    ]
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as v1:
        found: dict[str, object] = {
            "v1": await v1.infer(url, {"instances": [record]}, model_name="adult"),
            "v1 live": await v1.is_server_live(url),
            "v1 ready": await v1.is_model_ready(url, "adult"),
        }
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as v2:
        request = InferRequest(model_name="adult", infer_inputs=inputs)
        response = await v2.infer(url, request, model_name="adult")
        found |= {
            "v2": {output.name: list(output.data) for output in response.outputs},
            "v2 live": await v2.is_server_live(url),
            "v2 server ready": await v2.is_server_ready(url),
            "v2 ready": await v2.is_model_ready(url, "adult"),
        }
    return found


print(json.dumps(asyncio.run(main(sys.argv[1], Path(sys.argv[2])))))
