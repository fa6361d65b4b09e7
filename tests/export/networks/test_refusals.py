"""Networks with unsupported layers or attributes: they are refused, and none of their code is run."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.callback.hook import hook_output
from fastai.layers import Lambda, PartialLambda
from torch import nn
from torch.nn.utils import weight_norm

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks import rebuild
from fastmar_export.reader import read_torch_file
from tests.export.errors import raises
from tests.export.networks.makers import small_xresnet, unet


def saved(network: nn.Module, folder: Path) -> Any:
    """The record of a network in a file of `torch.save`."""
    torch.save(network, folder / "network.pkl", pickle_protocol=2)
    return read_torch_file(folder / "network.pkl").root


def double(module: nn.Module, inputs: Any, output: Any) -> Any:
    return output * 2


class Mine(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 3


class MyLinear(nn.Linear):
    """A subclass, which may compute anything."""


@pytest.mark.parametrize("layer", [Mine(), MyLinear(3, 3)])
def test_custom_layer_is_refused(layer: nn.Module, tmp_path: Path) -> None:
    with raises(UnsupportedModule) as caught:
        rebuild(saved(nn.Sequential(nn.ReLU(), layer), tmp_path))
    assert caught.value.where == "model.1"
    assert caught.value.path.endswith(type(layer).__name__)


@pytest.mark.parametrize("layer", [Lambda(torch.relu), PartialLambda(torch.flatten, start_dim=1)])
def test_layer_that_calls_a_function_is_refused(layer: nn.Module, tmp_path: Path) -> None:
    with raises(UnsupportedModule, "layer_calls_function", "Lambda"):
        rebuild(saved(nn.Sequential(layer), tmp_path))


def test_forward_hook_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].register_forward_hook(double)
    with raises(UnsupportedModule, "layer_hooks", "forward hooks", "double") as caught:
        rebuild(saved(network, tmp_path))
    assert caught.value.where == "model.0"


def test_hook_of_fastai_outside_a_unet_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    hook = hook_output(network[0])
    with raises(UnsupportedModule, "layer_hooks", "forward hooks"):
        rebuild(saved(network, tmp_path))
    hook.remove()


def test_foreign_hook_in_the_encoder_of_a_unet_is_refused(loaders: Any, tmp_path: Path) -> None:
    network = unet(small_xresnet, cut=-4)(loaders).model
    rebuild(saved(network, tmp_path))
    network.layers[0][0].register_forward_hook(double)
    with raises(UnsupportedModule, "layer_hooks", "forward hooks", "double") as caught:
        rebuild(saved(network, tmp_path))
    assert caught.value.where == "model.layers.0.0"


def test_unet_with_a_replaced_hook_is_refused(loaders: Any, tmp_path: Path) -> None:
    network = unet(small_xresnet, cut=-4)(loaders).model
    network.layers[4].hook.hook_func = double
    with raises(UnsupportedModule, "foreign_hook") as caught:
        rebuild(saved(network, tmp_path))
    assert caught.value.where == "model.layers.4.hook"


def test_forward_pre_hook_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].register_forward_pre_hook(double)
    with raises(UnsupportedModule, "layer_hooks", "forward pre hooks"):
        rebuild(saved(network, tmp_path))


def test_forward_on_the_instance_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].forward = torch.relu
    with raises(UnsupportedModule, "forward_replaced"):
        rebuild(saved(network, tmp_path))


def test_torch_cannot_pickle_parametrized_norms(tmp_path: Path) -> None:
    network = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2))
    with pytest.raises(RuntimeError):
        torch.save(network, tmp_path / "network.pkl")


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_folded_for_any_axis(dim: int | None, tmp_path: Path) -> None:
    network = weight_norm(nn.Conv2d(3, 4, 2), dim=dim).eval()
    network.weight_g.data.uniform_(0.5, 2)
    x = torch.rand(2, 3, 5, 5)
    rebuilt = rebuild(saved(network, tmp_path))
    assert sorted(dict(rebuilt.named_parameters())) == ["bias", "weight"]
    with torch.no_grad():
        assert torch.equal(rebuilt(x), network(x))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package of the user's that can be imported."""
    module = types.ModuleType("my_package")
    exec(  # in this way the classes have the package as their module
        "from torch import nn\n"
        "class Twice(nn.Module):\n    def __init__(self): super().__init__(); self.how = shout\n"
        "    def forward(self, x): return self.how(x)\n"
        "def shout(x): return x * 2\n"
        "class Plain: pass\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "my_package", module)
    return module


def test_package_of_the_user_is_imported_only_on_request(package: types.ModuleType, tmp_path: Path) -> None:
    record = saved(nn.Sequential(package.Twice()), tmp_path)
    for modules in ((), ("my_pack",)):
        with raises(UnsupportedModule) as caught:
            rebuild(record, modules=modules)
        assert caught.value.path == "my_package.Twice"
    network = rebuild(record, modules=("my_package",))
    assert type(network[0]) is package.Twice
    assert torch.equal(network(torch.ones(2)), torch.full((2,), 2.0))


def test_any_use_of_an_unsupported_attribute_is_refused(package: types.ModuleType, tmp_path: Path) -> None:
    layer = nn.ReLU()
    layer.extra = package.Plain()
    extra = rebuild(saved(layer, tmp_path)).extra
    for use in (bool, len, list, hash, float, lambda e: e == 1, lambda e: e.name, lambda e: e(1), lambda e: 2 * e):
        with raises(UnsupportedModule) as caught:
            use(extra)
        assert (caught.value.where, caught.value.path) == ("model.extra", "my_package.Plain")


def test_class_pickled_by_value_is_not_replaced_by_an_allowed_class_of_its_name(tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    pretender = type("ReLU", (nn.Module,), {"forward": lambda self, x: x - 1, "__module__": "torch.nn.modules.nothing"})
    torch.save(pretender(), tmp_path / "network.pkl", pickle_module=cloudpickle, pickle_protocol=2)
    with raises(UnsupportedModule) as caught:
        rebuild(read_torch_file(tmp_path / "network.pkl").root)
    assert caught.value.path == "torch.nn.modules.nothing.ReLU"


def test_batch_norm_without_statistics_is_refused(tmp_path: Path) -> None:
    layer = nn.BatchNorm1d(2)
    del layer._buffers["running_mean"]
    with raises(UnsupportedModule, "no_running_statistics"):
        rebuild(saved(layer, tmp_path))
