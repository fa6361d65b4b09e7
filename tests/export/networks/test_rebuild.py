"""Networks rebuilt from a learner's file have the same operations as fastai's, so the outputs must be equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from fastmar_export.networks import export_graph, rebuild
from fastmar_export.networks.graph import DEEP, check_graph
from tests.conftest import MEASURED
from tests.export.networks.makers import NETS, answer, make_learner, pictures, recorded

pytestmark = [  # warnings about fastai's calls
    pytest.mark.filterwarnings("ignore:.*torch.nn.utils.weight_norm:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The parameter 'pretrained' is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:Arguments other than a weight enum:UserWarning"),
]

PLAIN = ("small unet", "small xresnet18", "fastai's layers", "timm convnext_atto", "small vision transformer")


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("name", "plain"), [(name, False) for name in NETS] + [(name, True) for name in PLAIN])
def test_rebuilt_network_equals_fastai(name: str, plain: bool, loaders: Any, tmp_path: Path) -> None:
    learn = make_learner(NETS[name], loaders)
    x = pictures(NETS[name], 3)
    theirs = answer(learn.model, x)
    assert float(theirs.std(0).max()) > 1e-3 * float(theirs.abs().max())  # outputs depend on the picture
    network = rebuild(recorded(learn, tmp_path, plain))
    assert not [type(layer) for layer in network.modules() if type(layer).__module__.startswith("fastai")]
    assert torch.equal(answer(network, x), theirs)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if net.quick else pytest.mark.slow) for name, net in NETS.items()]
)
def test_graph_equals_network(name: str, loaders: Any, tmp_path: Path, record_property: Any) -> None:
    learn = make_learner(NETS[name], loaders)
    network = rebuild(recorded(learn, tmp_path))
    x = pictures(NETS[name], 5)
    theirs = answer(learn.model, x).numpy()
    graph, expected = export_graph(network, {"image": x[:2].numpy()}, ["image"])
    assert np.array_equal(expected, answer(network, x[:2]).numpy())
    assert graph.inputs[0].shape == ("batch", *x.shape[1:])
    assert graph.outputs[0].shape == ("batch", *theirs.shape[1:])
    session = onnxruntime.InferenceSession(graph.model)
    differences = [
        check_graph(session.run(None, {"image": x[:batch].numpy()})[0], theirs[:batch], DEEP) for batch in (1, 2, 5)
    ]
    record_property(MEASURED, max(differences))
