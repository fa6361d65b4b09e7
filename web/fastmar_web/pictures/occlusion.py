"""The view of an explanation of a picture: an overlay with the effects of its parts."""

from __future__ import annotations

from typing import Any

from fastmar_web.effects import largest_effect
from fastmar_web.pictures.answers import is_raw
from fastmar_web.presentation import Presentation

JSON = dict[str, Any]
SUPPORTS, OPPOSES = 0, 1  # numbers of colours of overlays; see overlay.js


def occlusion_overlay(explanation: JSON, schema: JSON, texts: Presentation) -> JSON:
    """The effects of the cells of a grid on the answer.

    Returns:
        ``{"area", "grid", "raw", "classes"}``: the area in pixels of the picture; effects from -1 to 1 for the largest
        one; whether the pixels are those of the file, without its EXIF orientation; and the legend.
    """
    is_share = "probabilities" in explanation["answer"]
    largest = largest_effect((effect for row in explanation["grid"] for effect in row), is_share=is_share)
    outcome = str(explanation["outcome"])
    named = f"“{texts.answer(outcome)}”" if is_share else f"a larger {texts.label(outcome)}"
    return {
        "area": explanation["area"],
        "grid": [[round(effect / largest, 3) for effect in row] for row in explanation["grid"]],
        "raw": is_raw(schema),
        "classes": [
            {"index": SUPPORTS, "name": f"supports {named}", "share": ""},
            {"index": OPPOSES, "name": "opposes it", "share": ""},
        ],
    }
