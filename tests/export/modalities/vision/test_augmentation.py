"""Test-time augmentation: numbers that replace random ones, refusals and notices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.data.block import CategoryBlock
from fastai.vision.augment import Brightness, Flip, FlipItem, Hue, Resize, Rotate, aug_transforms
from fastai.vision.data import PointBlock
from tests.export.errors import raises
from tests.export.pictures import Case, Config, make_learner, small_learner

from fastmar_export.errors import ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_export.modalities.vision.augmentation.draws import Draws
from fastmar_export.networks.augmentation import SampleGrid, affine_copy, dihedral, flip
from fastmar_export.networks.sampling import Sampling


@pytest.mark.parametrize("copies", [1, 2, 4, 7])
def test_draws_are_evenly_spread(copies: int) -> None:
    draws = [Draws(copy, copies, "some.Transform") for copy in range(copies)]
    for _ in range(5):
        expected = [(number + 0.5) / copies for number in range(copies)]
        assert sorted(each.random() for each in draws) == pytest.approx(expected)
    assert {each.randint(3, 4) for each in draws} <= {3, 4}


def test_transforms_draw_different_numbers() -> None:
    orders = {tuple(Draws(copy, 8, name).random() for copy in range(8)) for name in ("Flip", "Rotate", "Zoom")}
    assert len(orders) == 3


@pytest.mark.parametrize("matrix", [flip(-1), flip(1), *map(dihedral, range(8))])
@pytest.mark.parametrize("out", [(24, 24), (12, 12), (40, 40)])
def test_flips_and_turns_are_fast(matrix: Any, out: tuple[int, int]) -> None:
    """They need no sampling, and equal it."""
    pictures = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    sampling = Sampling()
    fast = affine_copy(matrix, [], sampling, (24, 24), out)
    assert not any(isinstance(module, SampleGrid) for module in fast.modules())
    almost = matrix + torch.tensor([[0, 0, 1e-9], [0, 0, 0], [0, 0, 0]])
    slow = affine_copy(almost, [], sampling, (24, 24), out)
    assert any(isinstance(module, SampleGrid) for module in slow.modules())
    assert torch.allclose(fast(pictures), slow(pictures), atol=1e-4)


def export(config: Config, folder: Path, block: Any = CategoryBlock, label: Any = "cat", **options: Any) -> Any:
    learn = make_learner(Case(block, lambda path: label, config, make=small_learner), folder / "pictures")
    learn.export(folder / "learner.pkl")
    return export_learner(folder / "learner.pkl", Options("model", output=folder, **{"tta": 2, **options}))


VARIED = Config([Resize(48)], [Flip()])


@pytest.mark.parametrize(
    ("config", "options", "code"),
    [
        (VARIED, {"tta": 0}, "tta_copies"),
        (VARIED, {"tta": 1000}, "tta_copies"),
        (VARIED, {"tta_beta": 1.5}, "tta_beta_invalid"),
        (VARIED, {"tta": None, "tta_beta": 0.5}, "tta_missing"),
        (VARIED, {"tta": None, "tta_use_max": True}, "tta_missing"),
        (Config([], [Flip()]), {}, "tta_without_size"),
        (Config([Resize(48, method="squish"), FlipItem()], [Hue()]), {}, "tta_without_augmentation"),
    ],
)
def test_refusals(config: Config, options: dict[str, Any], code: str, tmp_path: Path) -> None:
    with raises(ExportError, code):
        export(config, tmp_path, **options)
    assert not (tmp_path / "model.mar").exists()


def test_points_are_refused(tmp_path: Path) -> None:
    with raises(ExportError, "tta_not_applicable", "points"):
        export(VARIED, tmp_path, PointBlock, torch.tensor([[10.0, 20.0]]))


def test_the_notice_names_what_is_left_out(tmp_path: Path) -> None:
    item = [Resize(48, method="squish"), FlipItem()]
    batch = [Rotate(draw=lambda x: x.new_zeros(x.size(0))), Brightness(draw=0.6, p=1.0), Flip(), Hue()]
    spec = export(Config(item, batch), tmp_path, tta_beta=0.5).spec
    [notice] = [each for each in spec.notices if each["code"] == "test_time_augmentation"]
    assert notice["message"].endswith("Left out: FlipItem, rotate_mat, Hue.")
    assert spec.layers[0] == {"layer": "copies", "copies": 2, "beta": 0.5, "use_max": False}
    assert spec.decode["activation"] == "identity"
    dropped = {entry["what"].rpartition(".")[2] for entry in spec.dropped}
    assert "Hue" in dropped
    assert "Brightness" not in dropped


def test_an_ordinary_learner_varies_in_its_layers_only(tmp_path: Path) -> None:
    spec = export(Config([Resize(48, method="squish")], aug_transforms()), tmp_path, tta_use_max=True).spec
    assert spec.inputs[0].shape == ("batch", 3, 48, 48)
    assert [step["step"] for step in spec.steps] == ["pil_image", "resize", "to_tensor"]
