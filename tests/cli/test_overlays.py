"""Pictures of answers: the right colours in the right places, and files under the inputs' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastmar_cli import overlays
from fastmar_cli.gallery import Gallery, GalleryUnwritable
from fastmar_cli.overlays import LARGEST, LEGEND_WIDTH, SMALLEST, Caption, colour
from fastmar_contract import summary as shown
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
def test_a_mask_is_half_transparent_over_the_picture_with_a_legend(dtype: Any) -> None:
    mask = np.zeros((300, 400), dtype)
    mask[:, 200:] = 3
    sheet = overlays.over_mask(picture(), Image.fromarray(mask), [(0, "sky", 0.5), (3, "sea", 0.5)])
    assert sheet.size == (400 + LEGEND_WIDTH, 300)
    assert near(sheet.getpixel((100, 150)), half(colour(0)))
    assert near(sheet.getpixel((300, 150)), half(colour(3)))
    legend = np.asarray(sheet.crop((400, 0, sheet.width, 60)).convert("L"))
    assert (legend < 100).sum() > 50, "no letters"


def test_where_the_model_did_not_look_the_picture_is_dim() -> None:
    mask = np.full((300, 400), 255, np.uint8)
    mask[:, :200] = 1
    sheet = overlays.over_mask(picture(), Image.fromarray(mask), [(1, "sea", 1.0)], unseen=255)
    assert near(sheet.getpixel((100, 150)), half(colour(1)))
    assert near(sheet.getpixel((300, 150)), (64, 64, 64))


def test_small_masks_are_enlarged_large_ones_made_smaller() -> None:
    for size, seen in (((32, 64), (160, 320)), ((6400, 3200), (1600, 800)), ((500, 400), (500, 400))):
        sheet = overlays.over_mask(picture((50, 50)), Image.new("L", size), [(0, "all", 1.0)])
        assert (sheet.width - LEGEND_WIDTH, sheet.height) == seen
        assert SMALLEST <= max(seen) <= LARGEST


def test_a_thousand_classes_have_colours_and_a_legend_that_ends() -> None:
    classes = [(i, f"class {i} " * 9, 0.001) for i in range(1000)]
    sheet = overlays.over_mask(picture(), Image.fromarray(np.arange(1000, dtype=np.uint16).reshape(25, 40)), classes)
    assert sheet.height < 1200
    assert len({colour(i) for i in range(256)}) > 200


def test_points_are_drawn_where_they_are() -> None:
    sheet = overlays.with_points(picture(), [[100, 50], [300, 200], [-50, 100]])
    assert sheet.size == (400, 300)
    assert near(sheet.getpixel((100, 50)), colour(0))
    assert near(sheet.getpixel((300, 200)), colour(1))
    assert near(sheet.getpixel((1, 100)), GREY)  # hollow: it lies outside
    large = overlays.with_points(picture((4000, 3000)), [[1000, 500]])
    assert large.size == (1600, 1200)
    assert near(large.getpixel((400, 200)), colour(0))


def test_a_contact_sheet_shows_every_picture_and_what_was_refused() -> None:
    pictures = [picture((300, 100)), None] * 5
    captions = [Caption("a" * 90, "sea 90%"), Caption("b.png", "refused", refused=True)] * 5
    sheet = overlays.contact_sheet(pictures, captions)
    pixels = np.asarray(sheet).reshape(-1, 3)
    assert (pixels == overlays.WARNING).all(axis=1).sum() > 1000
    assert (pixels == GREY).all(axis=1).sum() == pytest.approx(5 * 176 * 59, rel=0.05)


def test_photos_are_shown_as_the_model_sees_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    picture((90, 50)).save(tmp_path / "a.jpg", exif=exif)
    points = {"prediction": [[25.0, 80.0]], "points_model": [[1.0, 2.0]], "warnings": []}
    upright = {}
    for turned in (False, True):
        gallery = Gallery(tmp_path / str(turned), upright=turned)
        gallery.add(tmp_path / "a.jpg", points)
        [path] = gallery.finish()
        with Image.open(path) as written:
            upright[turned] = written.size[1] > written.size[0]
    assert upright == {False: False, True: True}


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


@pytest.mark.parametrize("upright", [True, False])
def test_a_picture_that_the_model_turned_is_turned(upright: bool, tmp_path: Path) -> None:
    """Also where the server of an older archive does not say so, and a mask's shape does."""
    sent = Image.new("RGB", (40, 20), (255, 0, 0))
    sent.paste((0, 0, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    sent.save(tmp_path / "a.png", exif=exif)
    gallery = Gallery(tmp_path / "out", upright=upright)
    gallery.add(tmp_path / "a.png", mask_answer(np.zeros((40, 20), np.uint8), {0: "sky"}))
    [path] = gallery.finish()
    with Image.open(path) as sheet:
        above, below = sheet.getpixel((80, 80)), sheet.getpixel((80, 240))
    assert above[2] > above[0]
    assert below[0] > below[2]


def test_many_labels_go_on_several_sheets(tmp_path: Path) -> None:
    picture((40, 30)).save(tmp_path / "a.png")
    gallery = Gallery(tmp_path / "out")
    for _ in range(61):
        gallery.add(tmp_path / "a.png", {"prediction": ["sea", "sky"], "probabilities": {}, "warnings": []})
    assert [path.name for path in gallery.finish()] == ["answers.png", "answers-2.png"]


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryUnwritable, match="can't be written"):
        Gallery(tmp_path / "file")


def test_answers_in_words() -> None:
    mask = np.full((10, 10), 255, np.uint8)
    mask[:4] = 1
    mask[:1] = 0
    words = {
        "sky": {"prediction": "sky"},
        "1.5": {"prediction": 1.5},
        "a, b": {"prediction": ["a", "b"]},
        "none": {"prediction": []},
        "(1, 2), (3, 4)": {"prediction": [[1.1, 2.1], [3.0, 4.0]], "points_model": []},
        "(1, 2), (1, 2), (1, 2), (1, 2), ... (9 points)": {"prediction": [[1.0, 2.0]] * 9, "points_model": []},
        "sea 75.0%, sky 25.0%": mask_answer(mask, {0: "sky", 1: "sea", 255: None}),
    }
    assert {shown.describe_prediction(answer): answer for answer in words.values()} == words
