"""The page of a model of collaborative filtering: a rating of an item by a user, or a list of items for one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastmar_client.item_lists import RECOMMEND, SIMILAR
from fastmar_web.answers import AnswerView
from fastmar_web.errors import PageError
from fastmar_web.form_page import FormPage
from fastmar_web.forms import Form
from fastmar_web.page import JSON
from fastmar_web.values import FilledForm

ITEMS = 10  # of a list
_HELP = {
    "item": "Leave it empty for the items with the best predictions for the user.",
    "user": "Leave it empty for the items that are most similar to the item.",
}


class RecommenderPage(FormPage):
    """A form with a user and an item, one of which may be empty. See `Page`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._form = _with_help(self._form, self.schema["recommender"])

    def _predict(self, filled: FilledForm) -> tuple[AnswerView | None, PageError | None]:
        filled.record = _list_record(filled.record, self.schema["recommender"])
        return super()._predict(filled)


def _with_help(form: Form, recommender: JSON) -> Form:
    """`form` with a help text at the user and the item, for those without one in `ui.yaml`."""
    helps = {recommender[part]: text for part, text in _HELP.items()}
    fields = {name: replace(each, help=each.help or helps.get(name, "")) for name, each in form.fields.items()}
    groups = tuple(replace(group, fields=tuple(fields[each.name] for each in group.fields)) for group in form.groups)
    return replace(form, fields=fields, groups=groups)


def _list_record(record: JSON, recommender: JSON) -> JSON:
    """The record that requests a list, if only the user or only the item is filled in; else `record`."""
    user, item = record.get(recommender["user"]), record.get(recommender["item"])
    if item is None and user is not None:
        return {recommender["user"]: user, RECOMMEND: ITEMS}
    if user is None and item is not None and SIMILAR in recommender:
        return {recommender["item"]: item, SIMILAR: ITEMS}
    return record
