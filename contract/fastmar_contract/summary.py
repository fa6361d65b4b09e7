"""Short texts for answers, for the row of a table or the caption of a picture."""

from __future__ import annotations

from typing import Any

from fastmar_contract.agreement import is_mask

MAX_POINTS = 4  # in a text
MAX_ITEMS = 3  # in a text


def describe_prediction(answer: dict[str, Any]) -> str:
    """The prediction as text: a label, several labels, numbers, points, or the classes of a mask with their shares.

    For a list of items, the first items; for a generated text, the whole text; for an encoding, its size.
    """
    if (items := listed_items(answer)) is not None:
        first = ", ".join(_number(entry["item"]) for entry in items[:MAX_ITEMS])
        return first + (f", ... ({len(items)} items)" if len(items) > MAX_ITEMS else "") or "no items"
    if "generated" in answer:
        return str(answer["text"])
    if "embedding" in answer:
        return f"{len(answer['embedding'])} numbers"
    value = answer["prediction"]
    if is_mask(answer):
        shares = mask_shares(value)
        return ", ".join(f"{name} {share:.1%}" for _, name, share in shares) or "nothing"
    if is_points(answer):
        points = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in value[:MAX_POINTS])
        return points + (f", ... ({len(value)} points)" if len(value) > MAX_POINTS else "")
    if isinstance(value, list):
        return ", ".join(map(_number, value)) or "none"
    return _number(value)


def listed_items(answer: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The entries of a list of items; None for another answer."""
    return next((answer[name] for name in ("recommendations", "similar") if name in answer), None)


def top_labels(answer: dict[str, Any], count: int) -> list[tuple[str, float]]:
    """The labels with the largest probabilities."""
    return sorted(answer.get("probabilities", {}).items(), key=lambda item: -item[1])[:count]


def is_points(answer: dict[str, Any]) -> bool:
    """Whether the prediction is points in the picture."""
    return "points_model" in answer


def mask_shares(mask: dict[str, Any]) -> list[tuple[int, str, float]]:
    """Index, name and share of each class in a mask, the largest first; only pixels that the model saw count."""
    known = [entry for entry in mask["classes"] if entry["name"] is not None]
    total = sum(entry["pixels"] for entry in known) or 1
    shares = [(entry["index"], entry["name"], entry["pixels"] / total) for entry in known]
    return sorted(shares, key=lambda share: -share[2])


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
