"""The page of a collaborative filtering model: a rating of an item by a user, or a list of items for one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastmar_client.item_lists import RECOMMEND, SIMILAR
from fastmar_web.forms.form import Form
from fastmar_web.forms.page import FormPage
from fastmar_web.forms.values import FilledForm
from fastmar_web.page import JSON

ITEMS = 10  # of a list
_HELP = {  # by option: the part to leave empty, and its help text
    RECOMMEND: ("item", "Leave it empty for the items with the best predictions for the user."),
    SIMILAR: ("user", "Leave it empty for the items that are most similar to the item."),
}


class RecommenderPage(FormPage):
    """A form with a user and an item, one of which may be empty. See `Page`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._form = _with_empty_parts(self._form, self.schema["recommender"])

    def _record(self, filled: FilledForm) -> JSON:
        return _list_record(filled.record, self.schema["recommender"])


def _with_empty_parts(form: Form, recommender: JSON) -> Form:
    """`form` with a user and an item that can be emptied, and a help text for those without one in `ui.yaml`."""
    helps = {recommender[part]: text for option, (part, text) in _HELP.items() if option in recommender}
    fields = {
        name: replace(each, help=each.help or helps.get(name, ""), is_clearable=name in helps)
        for name, each in form.fields.items()
    }
    groups = tuple(replace(group, fields=tuple(fields[each.name] for each in group.fields)) for group in form.groups)
    return replace(form, fields=fields, groups=groups)


def _list_record(record: JSON, recommender: JSON) -> JSON:
    """The record that requests a list, if only the user or only the item is filled in; else `record`."""
    user, item = record.get(recommender["user"]), record.get(recommender["item"])
    if item is None and user is not None and RECOMMEND in recommender:
        return {recommender["user"]: user, RECOMMEND: ITEMS}
    if user is None and item is not None and SIMILAR in recommender:
        return {recommender["item"]: item, SIMILAR: ITEMS}
    return record
