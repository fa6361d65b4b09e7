"""A model's answer for the eye: one sentence, bars, shares of a picture, and what the model remarks on the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastmar_web.presentation import Presentation, filled, percent, rounded, trimmed

JSON = dict[str, Any]
BARS = 10  # of many labels; the others are left out
_SHOWN = ("index", "points_model", "name", "warnings")  # parts of answers that are in the others, or beside the fields


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the chart: a name, its number in words, the bar's length (0 to 100), whether it is the answer."""

    name: str
    text: str
    length: float
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """What the model says of a part of the record: its column, the column's title, and the words."""

    field: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer that has no place of its own: its title, and its value, which may be JSON."""

    title: str
    text: str
    is_json: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer for the eye.

    Attributes:
        sentence: the answer.
        bars: the chart; empty where there is nothing to compare.
        caption: what the chart shows.
        left_out: labels that are not in the chart.
        remarks: on the record.
        overlay: points or a mask, for the picture: ``{"points": ...}`` or ``{"mask": ..., "classes": ...}``.
        rest: what else is in the answer.
    """

    sentence: str
    bars: tuple[Bar, ...] = ()
    caption: str = ""
    left_out: int = 0
    remarks: tuple[Remark, ...] = ()
    overlay: JSON | None = None
    rest: tuple[Part, ...] = ()

    @property
    def short(self) -> str:
        """The sentence for small places: without "Prediction:", which is clear there."""
        return self.sentence.removeprefix("Prediction: ")

    @property
    def points(self) -> bool:
        """Whether the bars are places, which have no length."""
        return bool(self.overlay and self.overlay.get("points"))


def cells(answer: JSON) -> JSON:
    """The answer for a table's row: ``{"prediction", "probability"}``."""
    prediction, shares = answer.get("prediction"), answer.get("probabilities")
    if isinstance(prediction, dict):
        named = [each for each in prediction.get("classes", []) if each.get("name") is not None]
        return {"prediction": "; ".join(f"{each['name']} {each['pixels']}" for each in named), "probability": ""}
    if isinstance(prediction, list):
        return {"prediction": "; ".join(map(str, prediction)), "probability": ""}
    share = shares.get(prediction, "") if isinstance(shares, dict) else ""
    return {"prediction": prediction, "probability": share}


def shown(answer: JSON, schema: JSON, presentation: Presentation) -> Shown:
    """`answer` for the eye."""
    rest = tuple(_part(presentation.label(name), value) for name, value in answer.items() if _is_left(name, answer))
    return replace(_prediction(answer, schema, presentation), rest=rest)


def _prediction(answer: JSON, schema: JSON, presentation: Presentation) -> Shown:
    prediction = answer.get("prediction")
    remarks = tuple(_remarks(answer, presentation))
    shares = _shares(answer)
    if shares is not None:
        if isinstance(prediction, list):
            return _labels(prediction, shares, presentation, remarks)
        return _label(str(prediction), shares, presentation, remarks)
    if isinstance(prediction, dict) and "mask" in prediction:
        return _mask(prediction, presentation, remarks)
    if "points_model" in answer and isinstance(prediction, list):
        return _points(prediction, remarks)
    if "prediction" not in answer:
        return Shown("The model has answered.", remarks=remarks)
    if _is_nested(prediction):
        return Shown(f"Prediction: {_short(json.dumps(prediction, ensure_ascii=False))}", remarks=remarks)
    return _numbers(prediction, [str(target) for target in schema.get("targets", [])], presentation, remarks)


def _label(label: str, shares: dict[str, float], texts: Presentation, remarks: tuple[Remark, ...]) -> Shown:
    values = {"name": texts.answer(label), "percent": percent(shares.get(label, 0.0))}
    sentence = filled(texts.answer_sentence(label), values)
    bars, left_out = _chart(shares, {label}, texts)
    return Shown(sentence, bars, "How sure the model is", left_out, remarks)


def _labels(labels: list[Any], shares: dict[str, float], texts: Presentation, remarks: tuple[Remark, ...]) -> Shown:
    chosen = [str(label) for label in labels]
    names = [f"{texts.answer(label)} ({percent(shares.get(label, 0.0))} sure)" for label in chosen]
    sentence = f"Prediction: {listed(names) or 'none of the labels'}"
    bars, left_out = _chart(shares, set(chosen), texts)
    return Shown(sentence, bars, "How sure the model is of each", left_out, remarks)


def _chart(shares: dict[str, float], chosen: set[str], texts: Presentation) -> tuple[tuple[Bar, ...], int]:
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    bars = tuple(
        Bar(texts.answer(label), percent(share), round(100 * min(max(share, 0.0), 1.0), 2), label in chosen)
        for label, share in ordered[:BARS]
    )
    return bars, len(ordered) - len(bars)


def _numbers(prediction: Any, targets: list[str], texts: Presentation, remarks: tuple[Remark, ...]) -> Shown:
    unit = f" {texts.unit}" if texts.unit else ""
    if not isinstance(prediction, list):
        value = _value(prediction)
        sentence = filled(
            texts.sentence or "Prediction: {prediction} {unit}", {"prediction": value, "unit": texts.unit}
        )
        return Shown(sentence, remarks=remarks)
    values = [_value(value) for value in prediction]
    if len(targets) == len(values):
        values = [f"{texts.label(name)} {value}{unit}" for name, value in zip(targets, values, strict=True)]
    short = ", ".join(values[:BARS]) + (f" and {len(values) - BARS} more" if len(values) > BARS else "")
    sentence = filled(texts.sentence or "Prediction: {prediction}", {"prediction": short, "unit": texts.unit})
    return Shown(sentence, remarks=remarks)


def _points(points: list[Any], remarks: tuple[Remark, ...]) -> Shown:
    short = "1 point" if len(points) == 1 else f"{len(points)} points"
    bars = tuple(Bar(f"Point {n}", f"{x:.1f}, {y:.1f}", 0.0) for n, (x, y) in enumerate(points[:50], 1))
    caption = "Where, in pixels from the left and from the top"
    return Shown(f"Prediction: {short}", bars, caption, max(0, len(points) - 50), remarks, {"points": points})


def _mask(mask: JSON, texts: Presentation, remarks: tuple[Remark, ...]) -> Shown:
    classes = sorted((each for each in mask.get("classes", [])), key=lambda each: -int(each["pixels"]))
    named = [(texts.answer(str(each["name"])), each) for each in classes if each.get("name") is not None]
    unseen = next((each for each in classes if each.get("name") is None), None)  # cut away before the model saw it
    seen = sum(each["pixels"] for _, each in named) or 1
    shares = [(name, each["index"], each["pixels"] / seen) for name, each in named]
    legend = [{"index": index, "name": name, "share": percent(share)} for name, index, share in shares]
    parts = [f"{name} {percent(share)}" for name, _, share in shares[:3]]
    short = ", ".join(parts) + (f" and {len(shares) - 3} more" if len(shares) > 3 else "")
    bars = tuple(Bar(name, percent(share), round(100 * share, 2)) for name, _, share in shares[:BARS])
    overlay = {key: mask.get(key) for key in ("mask", "width", "height")} | {"classes": legend}
    overlay["unseen"] = unseen["index"] if unseen else None
    left_out = len(shares) - len(bars)
    return Shown(f"Prediction: {short}", bars, "Share of what the model sees", left_out, remarks, overlay)


def _is_left(name: str, answer: JSON) -> bool:
    """Whether a part of an answer is shown nowhere else."""
    if name == "prediction":
        return _is_nested(answer[name]) and "points_model" not in answer
    if name == "probabilities":
        return _shares(answer) is None
    return name not in _SHOWN


def _is_nested(value: Any) -> bool:
    """Whether a value is more than numbers or texts side by side."""
    if isinstance(value, list):
        return any(isinstance(item, list | dict) for item in value)
    return isinstance(value, dict) and "mask" not in value


def _shares(answer: JSON) -> dict[str, float] | None:
    """The probability of each label; None where the answer has none."""
    shares = answer.get("probabilities")
    if isinstance(shares, dict) and all(isinstance(share, int | float) for share in shares.values()):
        return shares
    return None


def _part(title: str, value: Any) -> Part:
    if isinstance(value, list | dict):
        return Part(title, json.dumps(value, ensure_ascii=False, indent=2), is_json=True)
    return Part(title, _value(value), is_json=False)


def _value(value: Any) -> str:
    """A number, a text, true, false or null for the eye."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return rounded(value) if is_number else trimmed(value)


def _remarks(answer: JSON, texts: Presentation) -> list[Remark]:
    """The model's warnings, in the page's words."""
    return [
        Remark(str(warning.get("field") or ""), texts.label(str(warning.get("field") or "")), _worded(warning))
        for warning in answer.get("warnings") or []
    ]


def _worded(warning: JSON) -> str:
    value = trimmed(warning.get("value"))
    if warning.get("code") == "unknown_category":
        if warning.get("value") is None:
            return "No value was given; the model knows none like that."
        return f"“{_short(value)}” is new to the model, which takes it as unknown."
    message = str(warning.get("message") or warning.get("code") or "")
    return message[:1].upper() + message[1:]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names: Sequence[str]) -> str:
    """One name, "a and b", or "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
