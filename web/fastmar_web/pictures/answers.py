"""Parts of answers to pictures: overlays, and the values by which answers are filtered, sorted and saved."""

from __future__ import annotations

from typing import Any

from fastmar_web.presentation import Presentation, format_percent

JSON = dict[str, Any]


def points_overlay(points: list[Any], schema: JSON, texts: Presentation) -> JSON:
    """Points for the picture.

    Returns:
        ``{"points", "names", "classes", "raw"}``: points in pixels; what is written beside each, its name or number;
        the legend; and see `is_raw`.
    """
    names = [texts.answer(str(number)) for number in range(1, len(points) + 1)]
    legend = [
        {"index": index, "name": _point_name(name, index), "share": f"{x:.1f}, {y:.1f}"}
        for index, (name, (x, y)) in enumerate(zip(names, points, strict=True))
    ]
    return {"points": points, "names": names, "classes": legend, "raw": is_raw(schema)}


def _point_name(name: str, index: int) -> str:
    """The name of a point in a list; `name` is its number if it has no name."""
    return f"Point {name}" if name == str(index + 1) else name


def mask_overlay(mask: JSON, shares: list[tuple[str, int, float]], schema: JSON) -> JSON:
    """A mask for the picture.

    Args:
        mask: the prediction.
        shares: name, index and share of the seen pixels, of each class that occurs.
        schema: the schema of the model.

    Returns:
        ``{"mask", "width", "height", "classes", "unseen", "raw"}``: the PNG in base64 and its size; the legend; the
        value of pixels that the model did not see, or None; and see `is_raw`.
    """
    # These pixels were cropped, so the model did not see them.
    unseen = next((each["index"] for each in mask.get("classes", []) if each.get("name") is None), None)
    legend = [{"index": index, "name": name, "share": format_percent(share)} for name, index, share in shares]
    overlay = {key: mask.get(key) for key in ("mask", "width", "height")}
    return overlay | {"classes": legend, "unseen": unseen, "raw": is_raw(schema)}


def is_raw(schema: JSON) -> bool:
    """Whether the model sees the pixels of a file as they are stored, without the EXIF orientation of a photo."""
    image = schema.get("record", {}).get("properties", {}).get("image", {}).get("x-fastmar", {})
    return not image.get("exif_transpose")


def facets(answer: JSON, texts: Presentation) -> JSON:
    """The values by which answers are filtered and sorted.

    Returns:
        ``{"labels", "confidence"}``: names of the predicted labels, or of the classes of a mask; and the probability of
        a label, or None.
    """
    prediction, shares = answer.get("prediction"), answer.get("probabilities")
    if isinstance(prediction, dict):
        found = [each["name"] for each in named_classes(prediction)]
    elif isinstance(shares, dict):
        found = prediction if isinstance(prediction, list) else [prediction]
    else:
        found = []
    confidence = shares.get(prediction) if isinstance(shares, dict) and isinstance(prediction, str) else None
    return {"labels": [texts.answer(str(label)) for label in found], "confidence": confidence}


def table_cells(answer: JSON) -> JSON:
    """The answer for a table's row: ``{"prediction", "probability"}``."""
    prediction, shares = answer.get("prediction"), answer.get("probabilities")
    if isinstance(prediction, dict):
        named = (f"{each['name']} {each['pixels']}" for each in named_classes(prediction))
        return {"prediction": "; ".join(named), "probability": ""}
    if isinstance(prediction, list):
        return {"prediction": "; ".join(map(str, prediction)), "probability": ""}
    share = shares.get(prediction, "") if isinstance(shares, dict) else ""
    return {"prediction": prediction, "probability": share}


def named_classes(mask: JSON) -> list[JSON]:
    """The classes of a mask, without the pixels that the model did not see."""
    return [each for each in mask.get("classes", []) if each.get("name") is not None]
