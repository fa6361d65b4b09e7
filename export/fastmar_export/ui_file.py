"""Reads the file `ui.yaml`, and the logo that it names."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fastmar_export.presentation import Ui, UiRefused, check_ui
from fastmar_runtime.spec import Spec

MAX_LOGO = 20_000  # bytes; each page contains it
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?(?><\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>|\s)*+<svg[\s/>]", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """Reads only true and false as booleans, only decimal numbers, and dates as text.

    YAML 1.1, PyYAML's version, reads yes, no, on and off as booleans, 10:30 as 630 and 02134 as 1116, which would
    change categories and labels. Files that PyYAML wrote keep their values.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "float", "merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


@dataclass(frozen=True, slots=True)
class UiFile:
    """A YAML file whose content is not checked yet.

    Attributes:
        content: its value, with all keys as text.
        text: the file as it is.
    """

    content: Any
    text: str

    @property
    def has_comments(self) -> bool:
        """Whether the file has comments. A "#" in a quoted or plain value is none."""
        end = 0
        for token in yaml.scan(self.text, _Loader):
            between = self.text[end : token.start_mark.index]
            if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
                between += self.text[token.start_mark.index :].partition("\n")[0]  # a comment can follow the indicator
            if "#" in between:
                return True
            end = token.end_mark.index
        return False


def read_ui(path: Path, spec: Spec) -> Ui:
    """Read the presentation from the YAML file at `path`, and check it against `spec`.

    Raises:
        UiRefused: the file can't be read, or a part of it is invalid.
    """
    ui = load_ui(path).content
    try:
        checked = check_ui(ui, spec)
        return {**checked, "logo": read_logo(path.parent / checked["logo"])} if "logo" in checked else checked
    except UiRefused as refusal:
        message = refusal.message.replace("ui.yaml", path.name, 1)
        raise UiRefused(message, fix=refusal.fix, code=refusal.code, where=refusal.where) from None


def load_ui(path: Path) -> UiFile:
    """Read a YAML file, without checks.

    Raises:
        UiRefused: it can't be read.
    """
    try:
        text = path.read_text("utf-8")
        return UiFile(_with_text_keys(yaml.load(text, _Loader) or {}), text)  # noqa: S506 - a safe one
    except FileNotFoundError as error:
        raise UiRefused(
            f"the file {path} does not exist.", fix="pass the path of a YAML file with --ui.", code="ui_file_not_found"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UiRefused(
            f"{path} can't be read: {' '.join(str(error).split())}.",
            fix="pass a YAML file in UTF-8 with --ui.",
            code="ui_file_unreadable",
        ) from error


def _with_text_keys(value: Any) -> Any:
    """`value` with all keys as text, since JSON has no other keys; YAML reads some as numbers or booleans."""
    if isinstance(value, dict):
        return {str(name): _with_text_keys(item) for name, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def read_logo(path: Path) -> str:
    """The PNG or SVG file at `path` as a data URL.

    Raises:
        UiRefused: it can't be read, is of another type, or is too large.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UiRefused(
            f"in ui.yaml, logo names {path}, which can't be read: {error.strerror or error}.",
            fix="write the path of a PNG or SVG file, relative to the folder of ui.yaml.",
            code="logo_unreadable",
            where="logo",
        ) from error
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        media_type = "image/png"
    elif _SVG.match(data):
        media_type = "image/svg+xml"
    else:
        raise UiRefused(
            f"in ui.yaml, logo names {path.name}, which is no PNG or SVG file.",
            fix="use a PNG or SVG file.",
            code="logo_type",
            where="logo",
        )
    if len(data) > MAX_LOGO:
        raise UiRefused(
            f"in ui.yaml, logo names {path.name}, which has {len(data):,} bytes; the limit is {MAX_LOGO:,}.",
            fix="make the picture smaller: 96 x 96 pixels are enough.",
            code="logo_too_large",
            where="logo",
        )
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
