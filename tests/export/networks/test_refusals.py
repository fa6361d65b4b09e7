"""What is not rebuilt: refused by name, and nothing of it run."""

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
from tests.export.networks.makers import small_xresnet, unet


def kept(network: nn.Module, folder: Path) -> Any:
    torch.save(network, folder / "network.pkl", pickle_protocol=2)
    return read_torch_file(folder / "network.pkl").root


def double(module: nn.Module, inputs: Any, output: Any) -> Any:
    return output * 2


class Mine(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 3


class MyLinear(nn.Linear):
    """A subclass: it may compute anything."""


@pytest.mark.parametrize("layer", [Mine(), MyLinear(3, 3)])
def test_a_users_own_layer(layer: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModule, match=rf"model\.1 is .*{type(layer).__name__}(?s:.)*Fix:"):
        rebuild(kept(nn.Sequential(nn.ReLU(), layer), tmp_path))


@pytest.mark.parametrize("layer", [Lambda(torch.relu), PartialLambda(torch.flatten, start_dim=1)])
def test_a_layer_that_holds_a_function(layer: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModule, match="Lambda, which calls a function of the user's"):
        rebuild(kept(nn.Sequential(layer), tmp_path))


def test_hooks_that_change_what_a_layer_gives(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].register_forward_hook(double)
    with pytest.raises(UnsupportedModule, match=r"model\.0 is .*which carries forward hooks \(.*double\)"):
        rebuild(kept(network, tmp_path))


def test_hooks_of_fastai_outside_of_a_unet(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    hook = hook_output(network[0])
    with pytest.raises(UnsupportedModule, match=r"forward hooks"):
        rebuild(kept(network, tmp_path))
    hook.remove()


def test_a_foreign_hook_in_a_unets_encoder(loaders: Any, tmp_path: Path) -> None:
    network = unet(small_xresnet, cut=-4)(loaders).model
    rebuild(kept(network, tmp_path))
    network.layers[0][0].register_forward_hook(double)
    with pytest.raises(UnsupportedModule, match=r"model\.layers\.0\.0 is .*forward hooks \(.*double\)"):
        rebuild(kept(network, tmp_path))


def test_a_unet_whose_hook_was_exchanged(loaders: Any, tmp_path: Path) -> None:
    network = unet(small_xresnet, cut=-4)(loaders).model
    network.layers[4].hook.hook_func = double
    with pytest.raises(UnsupportedModule, match=r"model\.layers\.4\.hook is .*not fastai's own"):
        rebuild(kept(network, tmp_path))


def test_hooks_before_a_layer_but_weight_norm(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].register_forward_pre_hook(double)
    with pytest.raises(UnsupportedModule, match="forward pre hooks"):
        rebuild(kept(network, tmp_path))


def test_a_forward_on_the_instance(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].forward = torch.relu
    with pytest.raises(UnsupportedModule, match="`forward` was replaced"):
        rebuild(kept(network, tmp_path))


def test_newer_norms_can_not_be_in_a_file(tmp_path: Path) -> None:
    network = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="parametrized modules"):
        torch.save(network, tmp_path / "network.pkl")


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_folded_on_any_axis(dim: int | None, tmp_path: Path) -> None:
    network = weight_norm(nn.Conv2d(3, 4, 2), dim=dim).eval()
    network.weight_g.data.uniform_(0.5, 2)
    x = torch.rand(2, 3, 5, 5)
    rebuilt = rebuild(kept(network, tmp_path))
    assert sorted(dict(rebuilt.named_parameters())) == ["bias", "weight"]
    with torch.no_grad():
        assert torch.equal(rebuilt(x), network(x))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package of the user's that can be imported."""
    module = types.ModuleType("my_package")
    exec(  # the classes must name this package as theirs
        "from torch import nn\n"
        "class Twice(nn.Module):\n    def __init__(self): super().__init__(); self.how = shout\n"
        "    def forward(self, x): return self.how(x)\n"
        "def shout(x): return x * 2\n"
        "class Plain: pass\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "my_package", module)
    return module


def test_a_package_of_the_users_is_imported_only_where_it_is_asked_for(
    package: types.ModuleType, tmp_path: Path
) -> None:
    record = kept(nn.Sequential(package.Twice()), tmp_path)
    with pytest.raises(UnsupportedModule, match=r"my_package\.Twice"):
        rebuild(record)
    with pytest.raises(UnsupportedModule, match=r"my_package\.Twice"):
        rebuild(record, modules=("my_pack",))
    network = rebuild(record, modules=("my_package",))
    assert type(network[0]) is package.Twice
    assert torch.equal(network(torch.ones(2)), torch.full((2,), 2.0))


def test_what_is_not_rebuilt_is_refused_on_any_use(package: types.ModuleType, tmp_path: Path) -> None:
    layer = nn.ReLU()
    layer.extra = package.Plain()
    extra = rebuild(kept(layer, tmp_path)).extra
    for use in (bool, len, list, hash, float, lambda e: e == 1, lambda e: e.name, lambda e: e(1), lambda e: 2 * e):
        with pytest.raises(UnsupportedModule, match=r"model\.extra is my_package\.Plain"):
            use(extra)


def test_a_class_in_the_file_is_not_taken_for_the_one_whose_name_it_has(tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    pretender = type("ReLU", (nn.Module,), {"forward": lambda self, x: x - 1, "__module__": "torch.nn.modules.nothing"})
    torch.save(pretender(), tmp_path / "network.pkl", pickle_module=cloudpickle, pickle_protocol=2)
    with pytest.raises(UnsupportedModule, match=r"torch\.nn\.modules\.nothing\.ReLU"):
        rebuild(read_torch_file(tmp_path / "network.pkl").root)


def test_a_batch_norm_whose_statistics_are_lost_is_refused(tmp_path: Path) -> None:
    layer = nn.BatchNorm1d(2)
    del layer._buffers["running_mean"]
    with pytest.raises(UnsupportedModule, match="no running statistics"):
        rebuild(kept(layer, tmp_path))
