"""Views of answers for the pages: a sentence, a chart, an overlay for the picture, and remarks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastmar_contract.summary import listed_items
from fastmar_web.pictures.answers import mask_overlay, named_classes, points_overlay
from fastmar_web.presentation import Presentation, display_text, fill_template, format_number, format_percent

JSON = dict[str, Any]
MAX_BARS = 10  # of a chart
MAX_POINTS = 50  # of a chart
COLOURS = 6  # of labels; with more labels, several have the same colour
_SHOWN_ELSEWHERE = ("index", "points_model", "name", "warnings", "generated")  # parts of answers


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart: its name, its value as text, its length (0 to 100), whether it is predicted, and its colour.

    The colours of labels are numbers from 0; other bars have none.
    """

    name: str
    text: str
    length: float
    chosen: bool = False
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning of the model: its column, the label of the column, its code and text."""

    field: str
    title: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """Another part of an answer: its title, and its value as text or JSON."""

    title: str
    text: str
    is_json: bool


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer as a page shows it.

    Attributes:
        sentence: the prediction as a sentence.
        bars: the chart; empty for predictions without probabilities.
        caption: the caption of the chart.
        left_out: number of bars that the chart leaves out.
        remarks: warnings about the record.
        overlay: points or a mask, drawn over the picture: ``{"points": ...}`` or ``{"mask": ..., "classes": ...}``.
        rest: other parts of the answer.
        headline: the predicted label or number, shown large; empty for other answers.
        share: the probability of the label, beside it.
        colour: the colour of the label; see `Bar`.
    """

    sentence: str
    bars: tuple[Bar, ...] = ()
    caption: str = ""
    left_out: int = 0
    remarks: tuple[Remark, ...] = ()
    overlay: JSON | None = None
    rest: tuple[Part, ...] = ()
    headline: str = ""
    share: str = ""
    colour: int | None = None

    @property
    def short(self) -> str:
        """The sentence without "Prediction:", for the card of a picture."""
        return self.sentence.removeprefix("Prediction: ")

    @property
    def points(self) -> bool:
        """Whether the rows of the chart are points, which have no bar."""
        return bool(self.overlay and self.overlay.get("points"))


def answer_view(answer: JSON, schema: JSON, presentation: Presentation) -> AnswerView:
    """The view of an answer."""
    rest = tuple(_part(presentation.label(name), value) for name, value in answer.items() if _is_other(name, answer))
    return replace(_prediction(answer, schema, presentation), rest=rest)


def _prediction(answer: JSON, schema: JSON, presentation: Presentation) -> AnswerView:
    prediction = answer.get("prediction")
    remarks = tuple(_remarks(answer, presentation))
    shares = _shares(answer)
    if shares is not None:
        if isinstance(prediction, list):
            return _labels(prediction, shares, labels_of(schema), presentation, remarks)
        return _label(str(prediction), shares, labels_of(schema), presentation, remarks)
    if isinstance(prediction, dict) and "mask" in prediction:
        return _mask(prediction, schema, presentation, remarks)
    if "points_model" in answer and isinstance(prediction, list):
        return _points(prediction, schema, presentation, remarks)
    if (items := listed_items(answer)) is not None:
        return _items(items, remarks)
    if "generated" in answer:
        return AnswerView(str(answer["text"]), remarks=remarks)
    if "prediction" not in answer:
        return AnswerView("The model answered.", remarks=remarks)
    if _is_nested(prediction):
        return AnswerView(f"Prediction: {_short(json.dumps(prediction, ensure_ascii=False))}", remarks=remarks)
    return _numbers(prediction, [str(target) for target in schema.get("targets", [])], presentation, remarks)


def labels_of(schema: JSON) -> dict[str, int]:
    """The number of each label of a model; empty if it has none."""
    prediction = (schema.get("answer") or {}).get("properties", {}).get("prediction") or {}
    return {str(label): number for number, label in enumerate(prediction.get("enum") or ())}


def _label(
    label: str, shares: dict[str, float], labels: dict[str, int], texts: Presentation, remarks: tuple[Remark, ...]
) -> AnswerView:
    name, percent = texts.answer(label), format_percent(shares.get(label, 0.0))
    sentence = fill_template(texts.answer_sentence(label), {"name": name, "percent": percent})
    bars, left_out = _chart(shares, {label}, labels, texts)
    view = AnswerView(sentence, bars, "How sure the model is", left_out, remarks)
    return replace(view, headline=name, share=percent, colour=_colour(label, labels))


def _colour(label: str, labels: dict[str, int]) -> int | None:
    return labels[label] % COLOURS if label in labels else None


def _labels(
    predicted: list[Any],
    shares: dict[str, float],
    labels: dict[str, int],
    texts: Presentation,
    remarks: tuple[Remark, ...],
) -> AnswerView:
    chosen = [str(label) for label in predicted]
    names = [f"{texts.answer(label)} ({format_percent(shares.get(label, 0.0))} sure)" for label in chosen]
    sentence = f"Prediction: {join_names(names) or 'none of the labels'}"
    bars, left_out = _chart(shares, set(chosen), labels, texts)
    return AnswerView(sentence, bars, "How sure the model is of each", left_out, remarks)


def _chart(
    shares: dict[str, float], chosen: set[str], labels: dict[str, int], texts: Presentation
) -> tuple[tuple[Bar, ...], int]:
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    bars = tuple(
        Bar(
            texts.answer(label),
            format_percent(share),
            round(100 * min(max(share, 0.0), 1.0), 2),
            label in chosen,
            _colour(label, labels),
        )
        for label, share in ordered[:MAX_BARS]
    )
    return bars, len(ordered) - len(bars)


def _numbers(prediction: Any, targets: list[str], texts: Presentation, remarks: tuple[Remark, ...]) -> AnswerView:
    unit = f" {texts.unit}" if texts.unit else ""
    if not isinstance(prediction, list):
        value = _value(prediction)
        sentence = fill_template(
            texts.sentence or "Prediction: {prediction} {unit}", {"prediction": value, "unit": texts.unit}
        )
        return AnswerView(sentence, remarks=remarks, headline=f"{value}{unit}" if _is_number(prediction) else "")
    values = [_value(value) for value in prediction]
    if len(targets) == len(values):
        values = [f"{texts.label(name)} {value}{unit}" for name, value in zip(targets, values, strict=True)]
    short = ", ".join(values[:MAX_BARS]) + (f" and {len(values) - MAX_BARS} more" if len(values) > MAX_BARS else "")
    sentence = fill_template(texts.sentence or "Prediction: {prediction}", {"prediction": short, "unit": texts.unit})
    return AnswerView(sentence, remarks=remarks)


def _points(points: list[Any], schema: JSON, texts: Presentation, remarks: tuple[Remark, ...]) -> AnswerView:
    short = "1 point" if len(points) == 1 else f"{len(points)} points"
    overlay = points_overlay(points, schema, texts)
    bars = tuple(Bar(each["name"], each["share"], 0.0) for each in overlay["classes"][:MAX_POINTS])
    caption = "Position in pixels from the left and from the top"
    return AnswerView(f"Prediction: {short}", bars, caption, max(0, len(points) - MAX_POINTS), remarks, overlay)


def _mask(mask: JSON, schema: JSON, texts: Presentation, remarks: tuple[Remark, ...]) -> AnswerView:
    classes = sorted(named_classes(mask), key=lambda each: -int(each["pixels"]))
    seen = sum(each["pixels"] for each in classes) or 1
    shares = [(texts.answer(str(each["name"])), each["index"], each["pixels"] / seen) for each in classes]
    parts = [f"{name} {format_percent(share)}" for name, _, share in shares[:3]]
    short = ", ".join(parts) + (f" and {len(shares) - 3} more" if len(shares) > 3 else "")
    bars = tuple(Bar(name, format_percent(share), round(100 * share, 2)) for name, _, share in shares[:MAX_BARS])
    overlay = mask_overlay(mask, shares, schema)
    left_out = len(shares) - len(bars)
    return AnswerView(f"Prediction: {short}", bars, "Share of the area that the model sees", left_out, remarks, overlay)


def _items(items: list[JSON], remarks: tuple[Remark, ...]) -> AnswerView:
    """A list of items, the best first. An item is followed by its number, a prediction or a similarity."""
    numbers = [[*item.values()][-1] for item in items]
    largest = max(numbers, default=0)
    bars = tuple(
        Bar(display_text(item["item"]), format_number(number), 100 * max(0, number) / largest if largest > 0 else 0)
        for item, number in zip(items, numbers, strict=True)
    )
    if not items:
        return AnswerView("There are no more items.", remarks=remarks)
    first, kind = ("Most similar", "Similarity") if "similarity" in items[0] else ("The best", "Prediction")
    return AnswerView(f"{first}: {display_text(items[0]['item'])}", bars, kind, remarks=remarks)


def _is_other(name: str, answer: JSON) -> bool:
    """Whether a part of an answer is shown nowhere else."""
    if listed_items(answer) is not None or (name == "text" and "generated" in answer):
        return False
    if name == "prediction":
        return _is_nested(answer[name]) and "points_model" not in answer
    if name == "probabilities":
        return _shares(answer) is None
    return name not in _SHOWN_ELSEWHERE


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
    """A number, a text, true, false or null as it is shown."""
    return format_number(value) if _is_number(value) else display_text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _remarks(answer: JSON, texts: Presentation) -> list[Remark]:
    """The warnings of an answer."""
    return [
        Remark(
            str(warning.get("field") or ""),
            texts.label(str(warning.get("field") or "")),
            str(warning.get("code") or ""),
            _warning_text(warning),
        )
        for warning in answer.get("warnings") or []
    ]


def _warning_text(warning: JSON) -> str:
    value = display_text(warning.get("value"))
    if warning.get("code") == "unknown_category":
        if warning.get("value") is None:
            return "The value is missing; the model treats it as unknown."
        return f"“{_short(value)}” is new to the model, which treats it as unknown."
    message = str(warning.get("message") or warning.get("code") or "")
    return message[:1].upper() + message[1:]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def join_names(names: Sequence[str]) -> str:
    """One name, "a and b", or "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
