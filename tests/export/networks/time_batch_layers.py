"""Prints the time of batch transforms, relative to a resnet18, in ONNX Runtime with one thread.

python -m tests.export.networks.time_batch_layers
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import onnxruntime
import torchvision.models as tv
from torch import nn

from fastmar_export.networks import export_graph
from fastmar_export.networks.batch_layers import Affine, IntToFloatTensor, Normalize, RandomResizedCropGPU

CHAINS = {
    "bytes to floats, normalise": (nn.Identity(), (224, 224)),
    "augmented, not resized": (Affine(input_size=(224, 224)), (224, 224)),
    "256 to 224": (Affine((224, 224), input_size=(256, 256)), (256, 256)),
    "460 to 224": (Affine((224, 224), input_size=(460, 460)), (460, 460)),
    "460 to 128, averaged first": (Affine((128, 128), input_size=(460, 460)), (460, 460)),
    "460 to 224, centre crop": (RandomResizedCropGPU((224, 224), input_size=(460, 500)), (460, 500)),
    "any size, not resized": (Affine(), None),
    "any size, 460 to 224": (Affine((224, 224)), None),
}


def milliseconds(network: nn.Module, sample: np.ndarray, *, any_size: bool = False) -> float:
    dynamic_axes = {"image": {2: "height", 3: "width"}} if any_size else {}
    graph, _ = export_graph(network.eval(), {"image": sample}, ["image"], dynamic_axes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.model, options)
    times = []
    for _ in range(12):
        started = perf_counter()
        session.run(None, {"image": sample[:1]})
        times.append(perf_counter() - started)
    return 1000 * min(times)


def main() -> None:
    network = milliseconds(tv.resnet18(), np.zeros((2, 3, 224, 224), np.float32))
    print(f"{'resnet18 at 224':32}{network:8.2f} ms")
    for name, (layer, size) in CHAINS.items():
        sample = np.zeros((2, 3, *(size or (460, 460))), np.uint8)
        chain = nn.Sequential(IntToFloatTensor(), layer, Normalize([0.5] * 3, [0.25] * 3))
        cost = milliseconds(chain, sample, any_size=not size)
        print(f"{name:32}{cost:8.2f} ms {cost / network:6.0%} of the network")


if __name__ == "__main__":
    main()
