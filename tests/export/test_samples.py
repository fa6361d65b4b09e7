"""Sample pictures of an archive: small copies of reference pictures, without metadata."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from fastmar_export.bundle import Bundle
from fastmar_export.errors import ExportError
from fastmar_export.modalities.vision.samples import MAX_SAMPLES, SIZE, add_samples, check_samples
from fastmar_export.options import Options
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.samples import read_samples
from tests.runtime import tiny_pictures

GOLDEN = GoldenRecords([], [], {})
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
ROTATED, MAKER, PLACE = 0x0112, 0x010F, 0x8825


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Large photos with EXIF data in a subfolder for each label; the first file of each is damaged."""
    for label, colour in COLOURS.items():
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.jpg").write_bytes(b"damaged")
        exif = Image.Exif()
        exif[MAKER], exif[ROTATED], exif[PLACE] = "A camera", 6, {1: "N"}
        for number in (1, 2, 3):
            Image.new("RGB", (640, 400), colour).save(tmp_path / label / f"{number}.jpg", exif=exif, comment=b"secret")
    return tmp_path


def made(folder: Path, count: int, **opening: object) -> list[Image.Image]:
    steps = ({**tiny_pictures.OPENING, "max_pixels": 10**6, **opening}, tiny_pictures.RESIZE, tiny_pictures.TO_TENSOR)
    options = Options("m", reference=folder, with_samples=count)
    check_samples(options)
    bundle = Bundle(tiny_pictures.spec(steps=steps), b"", GOLDEN)
    samples = add_samples(bundle, options).samples
    assert samples == add_samples(bundle, options).samples, "the bytes are the same each time"
    return [Image.open(io.BytesIO(data)) for data in samples]


def test_they_are_small_and_have_no_metadata(folder: Path) -> None:
    images = made(folder, 3)
    assert [image.format for image in images] == ["JPEG"] * 3
    for image in images:
        assert image.size == (SIZE, SIZE * 400 // 640)
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_they_come_from_all_subfolders(folder: Path) -> None:
    means = [image.resize((1, 1)).getpixel((0, 0)) for image in made(folder, 3)]
    for mean, colour in zip(means, COLOURS.values(), strict=True):
        assert mean == pytest.approx(colour, abs=3)


def test_they_are_what_the_model_sees(folder: Path) -> None:
    [image] = made(folder, 1, exif_transpose=True, mode="L")
    assert image.mode == "L"
    assert image.height > image.width


def test_there_are_at_most_as_many_as_pictures(folder: Path) -> None:
    assert len(made(folder, MAX_SAMPLES)) == 9


@pytest.mark.parametrize(
    ("count", "reference", "code"),
    [
        (0, ".", "invalid_sample_count"),
        (MAX_SAMPLES + 1, ".", "invalid_sample_count"),
        (3, None, "samples_without_pictures"),
        (3, "rows.csv", "samples_without_pictures"),
    ],
)
def test_invalid_options(tmp_path: Path, count: int, reference: str | None, code: str) -> None:
    path = None if reference is None else tmp_path / reference
    with pytest.raises(ExportError) as caught:
        check_samples(Options("m", reference=path, with_samples=count))
    assert caught.value.code == code


def test_a_folder_without_readable_pictures(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(b"damaged")
    with pytest.raises(ExportError) as caught:
        made(tmp_path, 3)
    assert caught.value.code == "no_samples"


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"samples": 3}', b"not json"])
def test_damaged_samples_are_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "samples.json").write_bytes(content)
    with pytest.raises(BundleUnreadable):
        read_samples(BundleFiles(tmp_path))
