"""The fields of a form, and the choices of a field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fastmar_web.forms.dates import DATES, date_input_value
from fastmar_web.presentation import format_number, plain_number

NO_VALUE = "(no value)"  # the empty option of a select box
YES = "yes"  # value of a checked checkbox, in forms and links
_YEARS = (1000, 2999)


@dataclass(frozen=True, slots=True)
class Choice:
    """A known category.

    Attributes:
        key: its text in forms and links: unique, and without surrounding white space.
        label: the text that is shown.
        value: the value for the model.
    """

    key: str
    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """The field of one column.

    Attributes:
        id: id of its element in the page.
        name: name of the column, and of the parameter in forms and links.
        label, help, unit: texts that are shown.
        widget: "select", "suggest" (free text with suggestions), "checkbox", "number", "date", "datetime-local",
            "json", "textarea", "text".
        default: text of the default.
        choices: options of select and suggest.
        is_searchable: whether a select box gets a search.
        is_clearable: whether an emptied search chooses no value, and not the previous value again.
        nullable: whether the value may be null.
        optional: whether an empty field is left out of the record.
        has_blank: whether a select box has an option for no value.
        types: JSON types of the value; empty for columns of tables.
        minimum, maximum, step: limits from ui.yaml or the JSON Schema, as texts; may be empty.
        arrow_step: change of a number by an arrow key.
        usual_range: range of the reference data, if the export had some.
        training: typical value (mean or median) and standard deviation of the training data, if they are known.
        slider: range of the slider beside a number; None without a slider.
        likely_range: a range in which many numbers are, for random examples; None if it is unknown.
        hidden: whether it is sent with its default and not shown.
        numeric: whether the known categories of a suggest are numbers, so that entered text is converted to one.
    """

    id: str
    name: str
    label: str
    widget: str
    default: str = ""
    help: str = ""
    unit: str = ""
    choices: tuple[Choice, ...] = ()
    is_searchable: bool = False
    is_clearable: bool = False
    nullable: bool = False
    minimum: str = ""
    maximum: str = ""
    step: str = ""
    arrow_step: str = "1"
    usual_range: tuple[float, float] | None = None
    training: tuple[float, float] | None = None
    slider: tuple[float, float] | None = None
    likely_range: tuple[float, float] | None = None
    hidden: bool = False
    numeric: bool = False
    optional: bool = False
    has_blank: bool = True
    types: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the default and the limits of a number are whole: then other values probably are, too."""
        known = [self.default, *(self.usual_range or ())]
        return self.widget == "number" and all(_is_whole(value) for value in known)

    @property
    def is_year(self) -> bool:
        """Whether a number is probably a year: whole, and in a range of 1000 to 2999."""
        low, high = self.usual_range or self.likely_range or (0.0, 0.0)
        return self.is_whole and low >= _YEARS[0] and high <= _YEARS[1]

    @property
    def number_hint(self) -> str:
        """How to enter a number, and in which range it is, as far as that is known."""
        if self.numeric:
            numbers = [choice.value for choice in self.choices]
            return f"{self.label} is a number from {plain_number(min(numbers))} to {plain_number(max(numbers))}."
        if self.minimum and self.maximum:
            text = f" from {self.minimum} to {self.maximum}"
        elif self.usual_range:
            text = ", usually from {} to {}".format(*map(self.number_text, self.usual_range))
        else:
            text = f" such as {self.default}" if self.default else ""
        return f"Enter digits, without letters or commas. {self.label} is a number{text}."

    def number_text(self, value: float) -> str:
        """A number of this field as a sentence shows it; a year has no thousands separator."""
        text = format_number(value)
        return text.replace(",", "") if self.is_year else text

    @property
    def typical_text(self) -> str:
        """The default as the page shows it."""
        if self.widget == "checkbox":
            return "yes" if self.default else "no"
        if self.widget != "select":
            return self.default
        first = NO_VALUE if self.has_blank or not self.choices else self.choices[0].label
        return next((choice.label for choice in self.choices if choice.key == self.default), first)

    def choice(self, text: str) -> Choice | None:
        """The category with this key, value or label; surrounding white space is ignored."""
        if not text:
            return None
        for spelling in (text, text.strip()):
            for match in (
                next((c for c in self.choices if c.key == spelling), None),
                next((c for c in self.choices if isinstance(c.value, str) and c.value == spelling), None),
                next((c for c in self.choices if c.label == spelling), None),
            ):
                if match:
                    return match
        return None

    def key_of(self, value: Any) -> str:
        """The text of a record's value in forms and links."""
        same = next((c for c in self.choices if type(c.value) is type(value) and c.value == value), None)
        same = same or next((c for c in self.choices if c.value == value), None)
        if same or value is None:
            return same.key if same else ""
        if self.widget == "checkbox":
            return YES if value else ""
        if self.widget == "json" or isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, str) and (found := self.choice(value)):
            return found.key
        if self.widget in DATES:
            return date_input_value(self.widget, str(value)) or str(value)
        if isinstance(value, bool):
            return str(int(value)) if self.widget == "number" else str(value)
        return plain_number(value) if isinstance(value, int | float) else str(value)


def _is_whole(value: float | str) -> bool:
    try:
        return float(value).is_integer()
    except ValueError:
        return False
