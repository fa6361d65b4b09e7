"""Answers in a few words, for a table's row or a picture's caption."""

from __future__ import annotations

from typing import Any

from fastmar_contract.agreement import is_mask

POINTS = 4  # that are written out


def describe_prediction(answer: dict[str, Any]) -> str:
    """What is predicted: a label, several, numbers, points, or the classes of a mask with their shares."""
    value = answer["prediction"]
    if is_mask(answer):
        shares = mask_shares(value)
        return ", ".join(f"{name} {share:.1%}" for _, name, share in shares) or "nothing"
    if is_points(answer):
        told = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in value[:POINTS])
        return told + (f", ... ({len(value)} points)" if len(value) > POINTS else "")
    if isinstance(value, list):
        return ", ".join(map(_number, value)) or "none"
    return _number(value)


def top_labels(answer: dict[str, Any], count: int) -> list[tuple[str, float]]:
    """The labels with the largest probabilities."""
    return sorted(answer.get("probabilities", {}).items(), key=lambda item: -item[1])[:count]


def is_points(answer: dict[str, Any]) -> bool:
    """Whether the answer is places in the picture."""
    return "points_model" in answer


def mask_shares(mask: dict[str, Any]) -> list[tuple[int, str, float]]:
    """Index, name and share of the pixels that the model saw, of each class in a mask; the largest first."""
    seen = [entry for entry in mask["classes"] if entry["name"] is not None]
    total = sum(entry["pixels"] for entry in seen) or 1
    shares = [(entry["index"], entry["name"], entry["pixels"] / total) for entry in seen]
    return sorted(shares, key=lambda share: -share[2])


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
