"""Text has a contrast of 4.5 or more on its background, in light and dark, also with an accent from ui.yaml."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st

import fastmar_web
from fastmar_web.colours import CONTRAST, DARK, LIGHT, Scheme, contrast, palette
from tests.browser import Chromium
from tests.web.conftest import problems, strict_page
from tests.web.fake import FakeClient

STATIC = Path(fastmar_web.__file__).parent / "static"
SCHEMES = {"light": LIGHT, "dark": DARK}
NEUTRAL = ("page", "card", "sunk")
TEXTS = {  # colour of a text: what it is on
    "ink": (*NEUTRAL, "tint", "bad-tint", "odd-tint"),
    "soft": NEUTRAL,
    "accent": (*NEUTRAL, "tint"),
    "accent-strong": (*NEUTRAL, "tint"),
    "on-accent": ("accent", "accent-strong"),
    "bad": (*NEUTRAL, "bad-tint"),
    "odd": (*NEUTRAL, "odd-tint"),
    "good": (*NEUTRAL, "good-tint"),
}
# Linear RGB as it is seen without one kind of cone: Machado, Oliveira and Fernandes, 2009, severity 1.
VISION = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)
    ),
}  # fmt: skip
XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))  # of linear RGB
WHITE = (0.95047, 1.0, 1.08883)
DISTINCT = 10  # distance in CIELAB from which two colours are taken as different: 2.3 is just noticeable
APART = 35  # from the colours of errors, warnings and success, with normal vision
LOGO = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="


def variables(name: str) -> dict[str, dict[str, str]]:
    """The colours of a stylesheet, light and dark."""
    light, dark = (STATIC / name).read_text("utf-8").split("@media (prefers-color-scheme: dark)", 1)
    dark = dark[: dark.index("\n}")]
    found = [dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", text)) for text in (light, dark)]
    return {"light": found[0], "dark": found[0] | found[1]}


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21), ("#767676", "#ffffff", 4.54), ("#0000ff", "#ffffff", 8.59), ("#ff0000", "#ffffff", 4)],
)
def test_the_ratio_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_texts_have_enough_contrast(scheme: str) -> None:
    colours = variables("style.css")[scheme]
    low = {
        f"{text} on {background}": round(ratio, 2)
        for text, backgrounds in TEXTS.items()
        for background in backgrounds
        if (ratio := contrast(colours[text], colours[background])) < CONTRAST
    }
    assert not low
    assert contrast(colours["edge"], colours["card"]) >= 3  # of a field, which is not text


@pytest.mark.parametrize("scheme", SCHEMES)
def test_labels_have_enough_contrast(scheme: str) -> None:
    card = variables("style.css")[scheme]["card"]
    labels = variables("form.css")[scheme]
    assert len(labels) == 6
    assert min(contrast(colour, card) for colour in labels.values()) >= CONTRAST


def times(matrix: Any, vector: Any) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(colour: str, vision: str) -> tuple[float, float, float]:
    """A colour in CIELAB, as it is seen."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    seen = [min(max(part, 0.0), 1.0) for part in times(VISION[vision], linear)]
    scaled = [part / white for part, white in zip(times(XYZ, seen), WHITE, strict=True)]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_labels_differ_from_each_other_and_from_errors_and_warnings(scheme: str, vision: str) -> None:
    def distance(one: str, other: str) -> float:
        return math.dist(lab(one, vision), lab(other, vision))

    labels = [*variables("form.css")[scheme].values()]
    states = [variables("style.css")[scheme][name] for name in ("bad", "odd", "good")]
    assert min(distance(*pair) for pair in itertools.combinations(labels, 2)) >= DISTINCT
    nearest = min(distance(*pair) for pair in itertools.product(labels, states))
    assert nearest >= (APART if vision == "normal" else DISTINCT)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_accents_are_adapted_to_the_backgrounds_of_the_stylesheet(scheme: str) -> None:
    colours = variables("style.css")[scheme]
    assert SCHEMES[scheme].backgrounds == tuple(colours[name] for name in ("card", "page", "sunk"))


@given(st.integers(0, 0xFFFFFF).map("#{:06x}".format), st.sampled_from([LIGHT, DARK]))
@example("#ffffff", LIGHT)
@example("#000000", DARK)
@example("#ffff00", LIGHT)
def test_any_accent_has_enough_contrast(accent: str, scheme: Scheme) -> None:
    found = palette(accent, scheme)
    for background in (*scheme.backgrounds, found["tint"], found["on-accent"]):
        assert contrast(found["accent"], background) >= CONTRAST
        assert contrast(found["accent-strong"], background) >= CONTRAST


def test_an_accent_with_enough_contrast_is_not_changed() -> None:
    assert palette("#0b6e80", LIGHT)["accent"] == "#0b6e80"
    assert palette("#7fd3e3", DARK)["accent"] == "#7fd3e3"


def test_a_page_has_the_accent_and_the_logo_of_its_model(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["people"]["ui"] = {"accent": "#0b6e80", "logo": LOGO}
    page = web.get("/models/people").text
    assert '<link rel="stylesheet" href="/models/people/theme.css">' in page
    assert f'<img src="{LOGO}" alt=""' in page
    assert f'<img src="{LOGO}" alt=""' in web.get("/").text
    css = web.get("/models/people/theme.css")
    assert css.mimetype == "text/css"
    assert "--accent: #0b6e80;" in css.text
    assert "theme.css" not in web.get("/models/fruit").text


@pytest.mark.parametrize(
    "ui",
    [
        {"accent": "red; } body { display: none", "logo": "https://example.org/logo.svg"},
        {"accent": 7, "logo": 'data:text/html,<script>alert(1)</script>"'},
        {"accent": "#12345", "logo": ["x"]},
    ],
)
def test_other_accents_and_logos_are_ignored(web: FlaskClient, fake: FakeClient, ui: Any) -> None:
    fake.schemas["people"]["ui"] = ui
    page = web.get("/models/people").text
    assert "theme.css" not in page
    assert "<img" not in page
    assert web.get("/models/people/theme.css").text == ""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("accent", ["#ffff00", "#301010"])
def test_axe_finds_enough_contrast_with_an_accent(
    chromium: Chromium, address: str, fake: FakeClient, axe: str, scheme: str, accent: str
) -> None:
    fake.schemas["people"]["ui"] = {"accent": accent, "logo": LOGO}
    with strict_page(chromium.new_context(color_scheme=scheme)) as page:
        page.goto(f"{address}/models/people")
        page.get_by_role("button", name="Predict").click()
        page.locator("#answer .sentence").wait_for()
        shown = page.evaluate("getComputedStyle(document.querySelector('.primary')).backgroundColor")
        assert shown != "rgb(59, 91, 219)"  # that of style.css
        assert not problems(page, axe)


@pytest.mark.parametrize("path", ["", "models/people", "models/fruit", "models/people/table"])
def test_a_page_is_small_and_uses_one_host(chromium: Chromium, address: str, path: str) -> None:
    """All files of a page, without compression."""
    sizes: dict[str, int] = {}
    with strict_page(chromium.new_context()) as page:
        page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
        page.goto(f"{address}/{path}", wait_until="networkidle")
        fonts = page.evaluate("[...document.fonts].map(({ family, status }) => `${family} ${status}`)")
        assert fonts == ["Inter loaded"]
    assert all(url.startswith(address) for url in sizes)
    assert sum(sizes.values()) < 150_000, sizes
