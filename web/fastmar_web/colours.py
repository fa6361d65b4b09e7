"""The colours of a page with an accent from ui.yaml, with enough contrast in light and dark.

Contrast is the contrast ratio of WCAG 2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

from __future__ import annotations

from dataclasses import dataclass

CONTRAST = 4.5  # the least contrast of text: WCAG 2, level AA
_STEP = 0.04  # by which an accent is made darker or lighter
_BLACK, _WHITE = "#000000", "#ffffff"


@dataclass(frozen=True, slots=True)
class Scheme:
    """The colours of style.css that an accent is seen on, and how it is adapted to them.

    Attributes:
        backgrounds: the colours behind the accent; the first is that of cards.
        towards: the colour that raises the contrast.
        on_accent: the text on a button.
        tint: the share of the accent in a tinted background.
        strong: the share of `towards` in the colour of links under the pointer.
    """

    backgrounds: tuple[str, ...]
    towards: str
    on_accent: str
    tint: float
    strong: float


LIGHT = Scheme(("#ffffff", "#f6f6f4", "#f1f1ee"), _BLACK, _WHITE, 0.1, 0.2)
DARK = Scheme(("#1b1d22", "#121317", "#23262c"), _WHITE, "#10131f", 0.16, 0.3)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mix(one: str, other: str, share: float) -> str:
    """A colour between two, with this share of the other."""
    parts = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(255 * (a + (b - a) * share)):02x}" for a, b in parts)


def palette(accent: str, scheme: Scheme) -> dict[str, str]:
    """The variables of style.css for an accent, which becomes darker or lighter where its contrast is too low."""
    share = 0.0
    while True:
        colour = mix(accent, scheme.towards, min(share, 1.0))
        tint = mix(scheme.backgrounds[0], colour, scheme.tint)
        seen_on = (*scheme.backgrounds, tint, scheme.on_accent)
        if share >= 1 or min(contrast(colour, each) for each in seen_on) >= CONTRAST:
            break
        share += _STEP
    strong = mix(colour, scheme.towards, scheme.strong)
    return {"accent": colour, "accent-strong": strong, "on-accent": scheme.on_accent, "tint": tint}


def stylesheet(accent: str) -> str:
    """CSS that replaces the accent of style.css."""
    light, dark = (_rule(palette(accent, scheme)) for scheme in (LIGHT, DARK))
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"


def _rule(colours: dict[str, str]) -> str:
    return ":root { " + " ".join(f"--{name}: {colour};" for name, colour in colours.items()) + " }"


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
