"""Picture learners: refused learners, dropped transforms, notices, and options."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import fastai.callback.progress  # noqa: F401 - gives learners `no_bar`
import numpy as np
import pytest
import torch
import yaml
from fastai.data.block import CategoryBlock, DataBlock, RegressionBlock
from fastai.data.core import Datasets
from fastai.data.transforms import ToTensor
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat, MSELossFlat
from fastai.vision.augment import RandTransform, RatioResize, Resize, aug_transforms
from fastai.vision.core import PILImage
from fastai.vision.data import BBoxBlock, BBoxLblBlock, ImageBlock
from fasttransform import Transform
from PIL import Image

from fastmar_export.errors import ExportError, UnsupportedLearner, UnsupportedLoss, UnsupportedTransform
from fastmar_export.exporter import Options, export_learner
from fastmar_export.inspection import inspect_pickle, supported_table
from fastmar_export.learner import open_learner
from fastmar_export.modalities import modality_of
from fastmar_export.reader import read_torch_file
from fastmar_runtime.golden import check_golden, read_golden
from fastmar_runtime.predictor import Predictor
from tests.export.errors import raises
from tests.export.modalities.vision.test_conversion import converted
from tests.export.pictures import Config, dls_of, encoded, odd_pictures, pixels, small_learner, tiny_learner


class MyResize(Resize):
    """A user's subclass, which may compute anything."""


class Halve(Transform):
    order = 2

    def encodes(self, x: PILImage) -> PILImage:
        return x


class Shake(RandTransform):
    """A training augmentation: the default split_idx of a RandTransform is 0."""

    order = 2

    def encodes(self, x: PILImage) -> PILImage:
        return x


class Always(RandTransform):
    split_idx, order = None, 2

    def encodes(self, x: PILImage) -> PILImage:
        return x


def as_tensor(number: int) -> Any:
    return torch.tensor([float(number)])


class MyImage(PILImage):
    """A picture class that may open files differently."""


def export(learn: Any, folder: Path, **options: Any) -> Any:
    learn.export(folder / "learner.pkl")
    return export_learner(folder / "learner.pkl", Options("model", output=folder, force=True, **options))


@pytest.mark.parametrize(
    ("config", "where", "name", "code"),
    [
        (Config([MyResize(64)]), "dls.after_item[0]", "MyResize", None),
        (Config([Resize(64), Halve()]), "dls.after_item[1]", "Halve", None),
        (Config([Resize(64), Always()]), "dls.after_item[1]", "Always", None),
        (Config([Resize(64)], [Halve()]), "dls.after_batch[", "Halve", None),
        (Config([Resize(64, p=0.5)]), "dls.after_item[0]", "Resize", "random_transform"),
        (Config([Resize(64)], cls=MyImage), "dls.tls[0].tfms[", "MyImage.create", "unsupported_picture_class"),
    ],
)
def test_unknown_transforms_are_refused(
    config: Config, where: str, name: str, code: str | None, tmp_path: Path
) -> None:
    learn = tiny_learner(config, tmp_path / "pictures")
    with raises(UnsupportedTransform, code) as caught:
        converted(learn, tmp_path)
    assert caught.value.where.startswith(where)
    assert caught.value.path.endswith(f".{name}")


def test_training_transforms_are_dropped(tmp_path: Path) -> None:
    learn = tiny_learner(Config([Resize(64), Shake()], aug_transforms()), tmp_path / "pictures")
    dropped = converted(learn, tmp_path).dropped
    reasons = {entry["what"].rpartition(".")[2]: entry["reason"] for entry in dropped}
    assert "split_idx 0" in reasons["Shake"]
    assert "light" in reasons["Brightness"]
    assert any(entry["what"].startswith("dls.tls[0].tfms[") for entry in dropped), "the function that finds a file"


def test_ratio_resize_has_a_notice(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    learn = tiny_learner(Config([Resize(64)]), folder)
    learn.dls = dls_of(Config([RatioResize(48)]), folder)
    conversion = converted(learn, tmp_path)
    assert [notice["code"] for notice in conversion.notices] == ["ratio_resize"]
    assert conversion.dynamic_axes == {"image": {2: "height", 3: "width"}}


def test_boxes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(pixels(60, 50)).save(tmp_path / "a.png")
    block = DataBlock(
        (ImageBlock, BBoxBlock, BBoxLblBlock),
        get_y=[lambda path: [[1.0, 2.0, 30.0, 40.0]], lambda path: ["cat"]],
        n_inp=1,
        item_tfms=[Resize(32)],
        splitter=lambda items: ([0, 1], [2, 3]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dls = block.dataloaders([tmp_path / "a.png"] * 4, bs=2, num_workers=0)
    learn = Learner(dls, torch.nn.Linear(2, 2), loss_func=MSELossFlat())
    with raises(UnsupportedTransform, "boxes", "TensorBBox"):
        converted(learn, tmp_path)


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    files = dls_of(Config([Resize(32)]), folder).train_ds.items
    block = DataBlock(
        (ImageBlock, ImageBlock, RegressionBlock),
        get_x=[lambda p: p, lambda p: p],
        get_y=lambda p: 1.0,
        n_inp=2,
        item_tfms=[Resize(32)],
        splitter=lambda items: ([0, 1], [2, 3]),
    )
    dls = block.dataloaders(list(files)[:4], bs=2, num_workers=0)
    with raises(UnsupportedLearner, "several_inputs", "2"):
        converted(Learner(dls, torch.nn.Linear(2, 2), loss_func=MSELossFlat()), tmp_path)


def test_learner_with_another_input_is_refused(tmp_path: Path) -> None:
    sets = Datasets(list(range(4)), tfms=[[as_tensor], [as_tensor]], splits=[[0, 1], [2, 3]])
    dls = sets.dataloaders(bs=2, after_item=[ToTensor], num_workers=0)
    Learner(dls, torch.nn.Linear(1, 1), loss_func=MSELossFlat()).export(tmp_path / "learner.pkl")
    with raises(UnsupportedLearner, "unknown_modality", "fastai.data.core.Datasets", "(as_tensor)"):
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))


def test_mask_needs_a_loss_with_classes(tmp_path: Path) -> None:
    from fastai.vision.data import MaskBlock

    from tests.export.pictures import mask_of

    folder = tmp_path / "pictures"
    dls = dls_of(Config([Resize(32)]), folder, MaskBlock(codes=np.array(["a", "b", "c"])), mask_of)
    network = torch.nn.Conv2d(3, 3, 1)
    with raises(UnsupportedLoss, "loss_axis"):
        export(Learner(dls, network, loss_func=CrossEntropyLossFlat()), tmp_path)
    with raises(UnsupportedLoss, "unknown_activation") as caught:
        export(Learner(dls, network, loss_func=torch.nn.functional.cross_entropy), tmp_path)
    assert "--activation" in caught.value.fix
    assert export(Learner(dls, network, loss_func=CrossEntropyLossFlat(axis=1)), tmp_path).spec.targets == ("mask",)


def test_archive_of_a_picture_learner(tmp_path: Path) -> None:
    learn = tiny_learner(Config([Resize(64)], aug_transforms()), tmp_path / "pictures")
    result = export(learn, tmp_path, exif_transpose=True)
    again = tmp_path / "again"
    again.mkdir()
    assert export_learner(
        tmp_path / "learner.pkl", Options("model", output=again, exif_transpose=True)
    ).path.read_bytes() == (result.path.read_bytes())
    assert result.spec.steps[0]["exif_transpose"] is True
    with zipfile.ZipFile(result.path) as archive:
        names = archive.namelist()
        settings = yaml.safe_load(archive.read("model-config.yaml"))
    assert "fastmar_handler.py" in names
    assert settings["fastmar"]["threads"] == 0
    assert settings["fastmar"]["raw_bodies"] is True
    assert settings["batchSize"] == 8
    predictor = Predictor.open(result.path)
    assert predictor.files is not None
    assert check_golden(predictor, read_golden(predictor.files, ["image"])) <= 1e-4
    upright = predictor.predict([odd_pictures()["turned by EXIF"]])[0]
    with_exif_ignored = export(learn, tmp_path).path
    assert Predictor.open(with_exif_ignored).predict([odd_pictures()["turned by EXIF"]])[0] != upright


def test_graph_for_any_size_accepts_different_sizes(tmp_path: Path) -> None:
    dls = dls_of(Config(), tmp_path / "pictures")
    result = export(small_learner(dls, None), tmp_path)
    assert result.spec.inputs[0].shape == ("batch", 3, "height", "width")
    answers = Predictor.open(result.path).predict([b"bad", *odd_pictures().values()])
    assert all("prediction" in answer for answer in answers[2:] if "error" not in answer)
    refused = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert set(refused) <= {"not_a_picture", "bad_shape"}, refused
    assert len(refused) <= 2


def test_network_for_one_size_is_refused_without_resize(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        export(tiny_learner(Config(), tmp_path / "pictures"), tmp_path)
    assert "Resize" in f"{caught.value.message} {caught.value.fix}"


def test_inspection_lists_the_result_for_each_transform(tmp_path: Path) -> None:
    learn = tiny_learner(Config([Resize(64), Halve()], aug_transforms()), tmp_path / "pictures")
    learn.export(tmp_path / "learner.pkl")
    facts = inspect_pickle(tmp_path / "learner.pkl")
    becomes = {entry["class"].rpartition(".")[2]: entry["becomes"] for entry in facts["transforms"]}
    assert facts["kind"] == "vision"
    assert becomes["Resize"] == "step resize"
    assert becomes["Flip"] == "layer affine"
    assert becomes["Halve"] is None
    assert becomes["Brightness"].startswith("nothing")
    assert any("Halve" in problem for problem in facts["problems"])
    assert modality_of(open_learner(read_torch_file(tmp_path / "learner.pkl").root)).name == "vision"
    assert len({path for path, _, _ in supported_table()}) > 30


def masked(tmp_path: Path, network: Any, loss: Any, codes: int = 2, **options: Any) -> Any:
    from fastai.vision.data import MaskBlock

    from tests.export.pictures import mask_of

    names = np.array(["ground", "thing", "other"][:codes])
    dls = dls_of(Config([Resize(32)]), tmp_path / "pictures", MaskBlock(codes=names), mask_of)
    return export(Learner(dls, network, loss_func=loss), tmp_path, **options)


def test_mask_of_one_class_has_a_default_threshold(tmp_path: Path) -> None:
    network = torch.nn.Conv2d(3, 1, 1)
    with torch.no_grad():
        network.weight.fill_(0)
        network.bias.fill_(1.0)  # a sigmoid of 0.73 everywhere
    result = masked(tmp_path, network, torch.nn.BCEWithLogitsLoss(), activation="sigmoid")
    assert result.spec.decode["threshold"] == 0.5
    assert [notice["code"] for notice in result.spec.notices] == ["threshold_assumed"]
    [answer] = Predictor.open(result.path).predict([next(iter(odd_pictures().values()))])
    assert [entry["name"] for entry in answer["prediction"]["classes"]] == ["thing"]


def test_mask_with_label_smoothing_has_a_notice(tmp_path: Path) -> None:
    from fastai.losses import LabelSmoothingCrossEntropyFlat

    result = masked(tmp_path, torch.nn.Conv2d(3, 3, 1), LabelSmoothingCrossEntropyFlat(axis=1), codes=3)
    assert [notice["code"] for notice in result.spec.notices] == ["mask_axis"]


class TanhLoss(torch.nn.Module):
    def forward(self, out: Any, target: Any) -> Any:
        return ((out.tanh() - target) ** 2).mean()

    def activation(self, out: Any) -> Any:
        return out.tanh()


@pytest.mark.parametrize(("requested", "code"), [(None, "unknown_activation"), ("sigmoid", "activation_for_points")])
def test_points_with_an_activation_are_refused(requested: str | None, code: str, tmp_path: Path) -> None:
    from fastai.vision.data import PointBlock

    dls = dls_of(Config([Resize(32)]), tmp_path / "pictures", PointBlock, lambda path: torch.tensor([[10.0, 20.0]]))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2))
    loss = torch.nn.MSELoss() if requested else TanhLoss()
    with raises(UnsupportedLoss, code):
        export(Learner(dls, network, loss_func=loss), tmp_path, activation=requested)


def one_size(tmp_path: Path) -> Any:
    """A learner without Resize, whose network only accepts pictures of 80 x 70 pixels."""
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 80 * 70, 2))
    return Learner(dls_of(Config([]), tmp_path / "pictures"), network, loss_func=CrossEntropyLossFlat())


def grows(tmp_path: Path) -> Any:
    """A learner without Resize, whose network has two outputs for 80 x 70 pixels and more for larger pictures."""
    layers = [torch.nn.Conv2d(3, 1, 40, stride=40), torch.nn.Flatten()]
    return Learner(
        dls_of(Config([]), tmp_path / "pictures"), torch.nn.Sequential(*layers), loss_func=CrossEntropyLossFlat()
    )


@pytest.mark.parametrize("make", [one_size, grows])
def test_network_for_one_size_is_exported_with_picture_size(make: Any, tmp_path: Path) -> None:
    learn = make(tmp_path)
    with pytest.raises(ExportError) as caught:
        export(learn, tmp_path)
    assert "--picture-size" in caught.value.fix
    result = export(learn, tmp_path, picture_size=(80, 70))
    assert result.spec.inputs[0].shape == ("batch", 3, 70, 80)
    fits, other = Image.fromarray(pixels(80, 70)), Image.fromarray(pixels(81, 70))
    answer, refused = Predictor.open(result.path).predict([encoded(fits), encoded(other)])
    with learn.no_bar(), learn.no_logging():
        label, _, probabilities = learn.predict(PILImage.create(encoded(fits)))
    assert answer["prediction"] == label
    assert list(answer["probabilities"].values()) == pytest.approx(probabilities.tolist(), abs=1e-6)
    assert refused["error"]["code"] == "bad_shape"
    assert "80 x 70" in refused["error"]["fix"]


def test_picture_size_is_refused_for_a_learner_with_resize(tmp_path: Path) -> None:
    learn = tiny_learner(Config([Resize(64)]), tmp_path / "pictures")
    with raises(ExportError, "picture_size_not_applicable"):
        export(learn, tmp_path, picture_size=(64, 64))


def test_invalid_max_pixels_is_refused(tmp_path: Path) -> None:
    any_size = small_learner(dls_of(Config([]), tmp_path / "pictures"), None)
    for pixels_ in (-1, 0, 7679):
        with raises(ExportError, "max_pixels_too_low", str(pixels_)):
            export(any_size, tmp_path, max_pixels=pixels_)
    one = tiny_learner(Config([Resize(64)]), tmp_path / "pictures")
    with raises(ExportError, "max_pixels_not_applicable"):
        export(one, tmp_path, max_pixels=10_000)


def test_networks_for_any_size_have_a_pixel_limit(tmp_path: Path) -> None:
    learn = small_learner(dls_of(Config([]), tmp_path / "pictures"), None)
    assert export(learn, tmp_path).spec.steps[-1] == {"step": "to_tensor", "max_pixels": 4_000_000, "max_side": 4000}
    result = export(learn, tmp_path, max_pixels=10_000)
    wide, large, fits = (encoded(Image.new("RGB", size)) for size in ((201, 4), (110, 100), (100, 100)))
    codes = [answer.get("error", {}).get("code") for answer in Predictor.open(result.path).predict([wide, large, fits])]
    assert codes == ["too_many_pixels", "too_many_pixels", None]


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("second", [RegressionBlock, CategoryBlock])
def test_case_multitarget_cat_reg(outputs: int, second: Any, tmp_path: Path) -> None:
    files = [tmp_path / f"{'ab'[i % 2]}_{i}.png" for i in range(8)]
    for number, file in enumerate(files):
        Image.fromarray(pixels(40, 40, seed=number)).save(file)
    get_y = [lambda path: path.name[0], lambda path: float(path.stem[2:])]
    blocks = (ImageBlock, CategoryBlock, second)
    dls = DataBlock(blocks, n_inp=1, get_y=get_y, item_tfms=Resize(32)).dataloaders(files, bs=2, num_workers=0)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, outputs))
    last = "RegressionSetup" if second is RegressionBlock else "Categorize"
    with raises(UnsupportedLearner, "several_targets", "2", f"Categorize, {last}"):
        export(Learner(dls, network, loss_func=CrossEntropyLossFlat()), tmp_path)
