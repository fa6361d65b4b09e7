"""`Model.form`: a form in a notebook. It predicts in this process, while values change.

Fields and answers are those of the web app's pages (`fastmar_web`), as widgets of ipywidgets.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
from PIL import Image

from fastmar import drawing
from fastmar_contract.agreement import is_mask
from fastmar_contract.errors import RecordError
from fastmar_contract.summary import is_points, mask_shares
from fastmar_web.answers import AnswerView, answer_view
from fastmar_web.forms.dates import date_of
from fastmar_web.forms.fields import NO_VALUE, YES, Field
from fastmar_web.forms.form import make_form
from fastmar_web.forms.values import from_post
from fastmar_web.pictures.answers import is_raw
from fastmar_web.presentation import Presentation, plain_number

if TYPE_CHECKING:
    from fastmar.model import Model

PICTURE = "picture"  # name of the field of a picture model
SLIDER_STEPS = 200  # of a slider whose step is not configured
_WIDTH = "26em"


class Form(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """The form of a model: fields on the left, the answer on the right.

    Attributes:
        fields: the widgets by column; for a picture model a `FileUpload` named "picture".
        record: the record of the fields, or the bytes of the picture; None while a value is not valid.
        answer: the answer to `record`; None if there is none. A mask has the size of the picture.
    """

    def __init__(self, model: Model) -> None:
        """Use `Model.form` instead."""
        self.record: dict[str, Any] | bytes | None = None
        self.answer: dict[str, Any] | None = None
        self._model = model
        self._texts = Presentation(model.schema)
        self._form = make_form(model.schema, self._texts)
        self._shown = ipywidgets.HTML(layout=ipywidgets.Layout(margin="0 0 0 2em", min_width=_WIDTH))
        visible = [each for group in self._form.groups for each in group.fields]
        self.fields: dict[str, Any] = {each.name: _widget(each) for each in visible}
        self._read: Callable[[], str] = self._read_fields
        self._is_of_pictures = model.schema["kind"] == "vision"
        if self._is_of_pictures:
            self.fields = {PICTURE: ipywidgets.FileUpload(accept="image/*", description="Picture")}
            self._read = self._read_picture
        for widget in self.fields.values():
            widget.observe(lambda _: self.update(), names="value")
        super().__init__([ipywidgets.VBox(list(self.fields.values())), self._shown])
        self.update()

    def update(self) -> None:
        """Predict for the values of the fields, and show the answer."""
        self.record, self.answer = None, None
        problems = self._read()
        if self.record is None:
            self._shown.value = problems
            return
        try:
            self.answer = self._model.predict(self.record, mask_size="original" if self._is_of_pictures else None)
        except RecordError as error:
            self._shown.value = _paragraph(error.message) + _paragraph(f"Fix: {error.fix}")
            return
        view = answer_view(self.answer, self._model.schema, self._texts)
        self._shown.value = self._picture() + _answer(view)

    def _picture(self) -> str:
        """The picture as the model sees it, with the points or the mask of its answer."""
        if not isinstance(self.record, bytes):
            return ""
        picture = drawing.open_picture(io.BytesIO(self.record), apply_exif=not is_raw(self._model.schema))
        return _overlay(picture.convert("RGB"), self.answer or {}) if picture else ""

    def _read_fields(self) -> str:
        """Set `record`, or return HTML with what is not valid."""
        filled = from_post(self._form, {name: _text(widget) for name, widget in self.fields.items()})
        if not filled.problems:
            self.record = filled.record
        labels = {name: self._form.fields[name].label for name in filled.problems}
        return "".join(_paragraph(f"{labels[name]}: {found.text}") for name, found in filled.problems.items())

    def _read_picture(self) -> str:
        files = self.fields[PICTURE].value
        if files:
            self.record = bytes(files[-1]["content"])
        return _paragraph("Choose a picture.")


def _widget(each: Field) -> Any:
    """The widget of a field, with its default."""
    shared = {
        "description": f"{each.label} ({each.unit})" if each.unit else each.label,
        "tooltip": each.help,
        "layout": ipywidgets.Layout(width=_WIDTH),
        "style": {"description_width": "11em"},
    }
    if each.widget == "select":
        blank = [(NO_VALUE, "")] if each.has_blank else []
        options = blank + [(choice.label, choice.key) for choice in each.choices]
        value = each.default if each.default in [key for _, key in options] else options[0][1]
        return ipywidgets.Dropdown(options=options, value=value, **shared)
    if each.widget == "suggest":
        return ipywidgets.Combobox(options=[choice.key for choice in each.choices], value=each.default, **shared)
    if each.widget == "checkbox":
        return ipywidgets.Checkbox(value=each.default == YES, indent=True, **shared)
    if each.widget in ("textarea", "json"):
        return ipywidgets.Textarea(value=each.default, rows=6, **shared)
    if each.widget == "date":
        moment = date_of(each.default)
        return ipywidgets.DatePicker(value=moment.date() if moment else None, **shared)
    if each.widget == "number" and each.slider and each.default and not each.nullable:
        low, high = each.slider
        step = float(each.step or (high - low) / SLIDER_STEPS)
        return ipywidgets.FloatSlider(float(each.default), min=low, max=high, step=step, readout_format=".6g", **shared)
    return ipywidgets.Text(value=each.default, **shared)


def _text(widget: Any) -> str:
    """The text of a field's value, as the web app's pages send it."""
    if isinstance(widget, ipywidgets.Checkbox):
        return YES if widget.value else ""
    if isinstance(widget, ipywidgets.FloatSlider):
        return plain_number(widget.value)
    return "" if widget.value is None else str(widget.value)


def _answer(view: AnswerView) -> str:
    parts = [f"<h3 style='margin-top:0'>{escape(view.sentence)}</h3>"]
    parts += [
        f"<div style='display:flex; gap:0.5em; font-weight:{'bold' if bar.chosen else 'normal'}'>"
        f"<span style='width:9em; overflow:hidden; text-overflow:ellipsis'>{escape(bar.name)}</span>"
        f"<span style='width:12em'><span style='display:block; height:1em; margin-top:0.4em; background:#3f51b5; "
        f"width:{bar.length:.1f}%'></span></span><span>{escape(bar.text)}</span></div>"
        for bar in view.bars
    ]
    parts += [_paragraph(f"{part.title}: {part.text}") for part in view.rest]
    parts += [_paragraph(f"{remark.title}: {remark.text}") for remark in view.remarks]
    return "".join(parts)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _overlay(picture: Image.Image, answer: dict[str, Any]) -> str:
    """The picture, with the points or the mask of its answer."""
    if is_points(answer):
        picture = drawing.with_points(picture, answer["prediction"])
    elif is_mask(answer):
        mask = answer["prediction"]
        picture = drawing.over_mask(picture, drawing.mask_of(mask), mask_shares(mask), drawing.unseen_of(mask))
    picture.thumbnail((400, 400))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
