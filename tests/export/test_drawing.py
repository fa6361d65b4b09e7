"""Drawings of answers: colours, positions, and names of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastmar import drawing
from fastmar.drawing import LARGEST, LEGEND_WIDTH, SMALLEST, Caption, colour
from fastmar.gallery import Gallery, GalleryUnwritable
from fastmar_contract import summary
from fastmar_runtime.masks import png

GREY = (128, 128, 128)


def picture(size: tuple[int, int] = (400, 300)) -> Image.Image:
    return Image.new("RGB", size, GREY)


def mask_answer(mask: Any, names: dict[int, str | None]) -> dict[str, Any]:
    values, counts = np.unique(mask, return_counts=True)
    classes = [{"index": int(v), "name": names[int(v)], "pixels": int(c)} for v, c in zip(values, counts, strict=True)]
    height, width = mask.shape
    return {"prediction": {"mask": png(mask), "width": width, "height": height, "classes": classes}, "warnings": []}


def near(pixel: Any, expected: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(pixel, expected, strict=True)) <= 2


def half(rgb: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple((part + 128) // 2 for part in rgb)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mask_is_translucent_over_the_picture_with_a_legend(dtype: Any) -> None:
    mask = np.zeros((300, 400), dtype)
    mask[:, 200:] = 3
    sheet = drawing.over_mask(picture(), Image.fromarray(mask), [(0, "sky", 0.5), (3, "sea", 0.5)])
    assert sheet.size == (400 + LEGEND_WIDTH, 300)
    assert near(sheet.getpixel((100, 150)), half(colour(0)))
    assert near(sheet.getpixel((300, 150)), half(colour(3)))
    legend = np.asarray(sheet.crop((400, 0, sheet.width, 60)).convert("L"))
    assert (legend < 100).sum() > 50, "no text"


def test_picture_is_dimmed_outside_of_the_area_that_the_model_saw() -> None:
    mask = np.full((300, 400), 255, np.uint8)
    mask[:, :200] = 1
    sheet = drawing.over_mask(picture(), Image.fromarray(mask), [(1, "sea", 1.0)], unseen=255)
    assert near(sheet.getpixel((100, 150)), half(colour(1)))
    assert near(sheet.getpixel((300, 150)), (64, 64, 64))


def test_small_masks_are_enlarged_and_large_ones_reduced() -> None:
    for size, shown in (((32, 64), (160, 320)), ((6400, 3200), (1600, 800)), ((500, 400), (500, 400))):
        sheet = drawing.over_mask(picture((50, 50)), Image.new("L", size), [(0, "all", 1.0)])
        assert (sheet.width - LEGEND_WIDTH, sheet.height) == shown
        assert SMALLEST <= max(shown) <= LARGEST


def test_a_thousand_classes_have_colours_and_a_limited_legend() -> None:
    classes = [(i, f"class {i} " * 9, 0.001) for i in range(1000)]
    sheet = drawing.over_mask(picture(), Image.fromarray(np.arange(1000, dtype=np.uint16).reshape(25, 40)), classes)
    assert sheet.height < 1200
    assert len({colour(i) for i in range(256)}) > 200


def test_points_are_drawn_at_their_positions() -> None:
    sheet = drawing.with_points(picture(), [[100, 50], [300, 200], [-50, 100]])
    assert sheet.size == (400, 300)
    assert near(sheet.getpixel((100, 50)), colour(0))
    assert near(sheet.getpixel((300, 200)), colour(1))
    assert near(sheet.getpixel((1, 100)), GREY)  # hollow: the point is outside of the picture
    large = drawing.with_points(picture((4000, 3000)), [[1000, 500]])
    assert large.size == (1600, 1200)
    assert near(large.getpixel((400, 200)), colour(0))


def test_contact_sheet_shows_pictures_and_refusals() -> None:
    pictures = [picture((300, 100)), None] * 5
    captions = [Caption("a" * 90, "sea 90%"), Caption("b.png", "refused", refused=True)] * 5
    sheet = drawing.contact_sheet(pictures, captions)
    pixels = np.asarray(sheet).reshape(-1, 3)
    assert (pixels == drawing.WARNING).all(axis=1).sum() > 1000
    assert (pixels == GREY).all(axis=1).sum() == pytest.approx(5 * 176 * 59, rel=0.05)


def test_exif_orientation_is_applied_if_the_model_applies_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by a quarter
    picture((90, 50)).save(tmp_path / "a.jpg", exif=exif)
    points = {"prediction": [[25.0, 80.0]], "points_model": [[1.0, 2.0]], "warnings": []}
    is_portrait = {}
    for apply_exif in (False, True):
        gallery = Gallery(tmp_path / str(apply_exif), apply_exif=apply_exif)
        gallery.add(tmp_path / "a.jpg", points)
        [path] = gallery.finish()
        with Image.open(path) as written:
            is_portrait[apply_exif] = written.size[1] > written.size[0]
    assert is_portrait == {False: False, True: True}


def test_files_are_named_after_the_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    other = tmp_path / "other"
    other.mkdir()
    for path in (tmp_path / "a.jpg", tmp_path / "a.png", other / "a.png", tmp_path / "b.png"):
        picture((40, 30)).save(path)
    (tmp_path / "bad.png").write_bytes(b"")
    gallery = Gallery(folder)
    mask = mask_answer(np.zeros((30, 40), np.uint8), {0: "sky"})
    points = {"prediction": [[1.0, 2.0]], "points_model": [[1.0, 2.0]], "warnings": []}
    for path, answer in (
        (tmp_path / "a.jpg", mask),
        (tmp_path / "a.png", points),
        (other / "a.png", mask),
        (tmp_path / "b.png", {"prediction": "sea", "index": 0, "probabilities": {"sea": 0.9}, "warnings": []}),
        (tmp_path / "bad.png", {"error": {"message": "m", "fix": "f"}}),
        (tmp_path / "bad.png", mask),
    ):
        gallery.add(path, answer)
    written = gallery.finish()
    names = ["a.png", "a.png.png", "a.png-2.png", "bad.png", "answers.png"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    for path in written:
        Image.open(path).verify()


@pytest.mark.parametrize("apply_exif", [True, False])
def test_exif_orientation_is_applied_to_a_picture_with_a_rotated_mask(apply_exif: bool, tmp_path: Path) -> None:
    """Servers of older archives don't report it; then the shape of the mask tells."""
    sent = Image.new("RGB", (40, 20), (255, 0, 0))
    sent.paste((0, 0, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by a quarter
    sent.save(tmp_path / "a.png", exif=exif)
    gallery = Gallery(tmp_path / "out", apply_exif=apply_exif)
    gallery.add(tmp_path / "a.png", mask_answer(np.zeros((40, 20), np.uint8), {0: "sky"}))
    [path] = gallery.finish()
    with Image.open(path) as sheet:
        above, below = sheet.getpixel((80, 80)), sheet.getpixel((80, 240))
    assert above[2] > above[0]
    assert below[0] > below[2]


def test_many_labels_fill_several_sheets(tmp_path: Path) -> None:
    picture((40, 30)).save(tmp_path / "a.png")
    gallery = Gallery(tmp_path / "out")
    for _ in range(61):
        gallery.add(tmp_path / "a.png", {"prediction": ["sea", "sky"], "probabilities": {}, "warnings": []})
    assert [path.name for path in gallery.finish()] == ["answers.png", "answers-2.png"]


def test_refuses_a_file_as_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryUnwritable):
        Gallery(tmp_path / "file")


def test_answers_as_text() -> None:
    mask = np.full((10, 10), 255, np.uint8)
    mask[:4] = 1
    mask[:1] = 0
    expected = {
        "sky": {"prediction": "sky"},
        "1.5": {"prediction": 1.5},
        "a, b": {"prediction": ["a", "b"]},
        "none": {"prediction": []},
        "(1, 2), (3, 4)": {"prediction": [[1.1, 2.1], [3.0, 4.0]], "points_model": []},
        "(1, 2), (1, 2), (1, 2), (1, 2), ... (9 points)": {"prediction": [[1.0, 2.0]] * 9, "points_model": []},
        "sea 75.0%, sky 25.0%": mask_answer(mask, {0: "sky", 1: "sea", 255: None}),
    }
    assert {summary.describe_prediction(answer): answer for answer in expected.values()} == expected
