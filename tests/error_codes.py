"""The tables of docs/errors.md. `python -m tests.messages` writes them from the source of the packages."""

from __future__ import annotations

import ast
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "errors.md"
BEGIN, END = "<!-- codes: begin -->", "<!-- codes: end -->"
# Where a person meets the codes: folders of the source, the first that matches.
SECTIONS = {
    "Requests and records": ("contract/", "handlers/fastmar_runtime/"),
    "Export and archives": ("export/",),
    "Python client": ("client/",),
    "Tables of any size": ("bulk/",),
    "Servers and deployments": ("serving/",),
    "Forms and monitoring pages": ("web/",),
    "Monitoring": ("monitor/",),
    "Command line": ("cli/",),
}
POSITIONS = 3  # of a code among the arguments of a function that makes an error
OTHERWISE = "named in the message"
NO_FIX = "none is needed: it is a warning"
_WARNING = re.compile(r"warn|notice|remark", re.IGNORECASE)  # makers of warnings
NO_CODES = {"dataframe_records", "formatter_class"}  # values that look like codes
SHOWN = 3  # messages of a code, and fixes; others are similar
# Whose messages and fixes come first: of requests, then of the client.
FIRST = ("contract/", "handlers/", "client/")
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# A function of such a name makes an error or a warning.
_MAKER = re.compile(
    r"error|interpretation|FieldMessage|refus|problem|broken|compared|invalid|warn|remark|notice|fault|unknown|missing|fail|^__init__$",
    re.IGNORECASE,
)


class Use(NamedTuple):
    """A place in the source where an error is made: its code, message and fix, as far as they are written there."""

    path: str
    kind: str  # name of the class or function
    code: str
    message: str | None
    fix: str | None


class Classes:
    """Code and description of each class of errors."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self.codes: dict[str, dict[str, str]] = defaultdict(dict)  # by name and path: two packages may use one name
        self.about: dict[str, str] = {}  # by code
        for path, tree in trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._add(path, node)

    def _add(self, path: str, node: ast.ClassDef) -> None:
        for statement in node.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "code":
                code = ast.literal_eval(statement.value)
                self.codes[node.name][path] = code
                self.about[code] = (ast.get_docstring(node) or "").partition("\n")[0]

    def code(self, name: str, path: str) -> str | None:
        """The code of the class with this name that is nearest to the module at `path`."""
        near = max(self.codes.get(name, {}), key=lambda other: len(os.path.commonpath([other, path])), default=None)
        return None if near is None else self.codes[name][near]


def sources() -> dict[str, ast.Module]:
    """The modules of all packages, by their paths."""
    folders = {folder for folders in SECTIONS.values() for folder in folders}
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}


class Texts:
    """The texts that expressions of one module can be, if they are written there; `...` stands for inserted values."""

    def __init__(self, tree: ast.Module, constants: dict[str, ast.expr]) -> None:
        self._constants = constants
        self._assigned: dict[str, list[tuple[int, ast.expr]]] = defaultdict(list)
        self._returned: dict[str, list[ast.expr]] = defaultdict(list)  # by the name of the function
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.FunctionDef):
                found = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                self._returned[node.name] += found

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._assigned[target.id].append((target.lineno, value))
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=True):
                self._assign(one, its)

    def of(self, node: ast.expr | None) -> list[str]:
        """The texts of `node`; a name has those of the last assignment above."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)]
        if isinstance(node, ast.IfExp):
            return self.of(node.body) + self.of(node.orelse)
        if isinstance(node, ast.Name):
            above = [(line, value) for line, value in self._assigned[node.id] if line < node.lineno]
            return self.of(max(above, key=itemgetter(0))[1]) if above else self._constant(node.id)
        if isinstance(node, ast.Attribute):
            return self._constant(node.attr)
        if isinstance(node, ast.BinOp):
            parts = [self.of(side) for side in (node.left, node.right)]
            return (
                [before + after for before in parts[0] or ["..."] for after in parts[1] or ["..."]]
                if any(parts)
                else []
            )
        return self._of_call(node) if isinstance(node, ast.Call) else []

    def _of_call(self, call: ast.Call) -> list[str]:
        """The texts that a function of the module returns, or that `str.format` makes."""
        if isinstance(call.func, ast.Attribute) and call.func.attr == "format":
            return [re.sub(r"\{\w*\}", "...", text) for text in self.of(call.func.value)]
        returned = self._returned.pop(ast.unparse(call.func), [])  # not again, if it calls itself
        texts = [text for value in returned for text in self.of(value)]
        if returned:
            self._returned[ast.unparse(call.func)] = returned
        return texts

    def _constant(self, name: str) -> list[str]:
        value = self._constants.get(name)
        return self.of(value) if isinstance(value, ast.Constant | ast.JoinedStr) else []


def constants(trees: dict[str, ast.Module]) -> dict[str, ast.expr]:
    """The constants of all modules by their names, for modules that import them."""
    found: dict[str, ast.expr] = {}
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, ast.Assign):
                names, values = node.targets[0], node.value
                pairs = [(names, values)]
                if isinstance(names, ast.Tuple) and isinstance(values, ast.Tuple):
                    pairs = list(zip(names.elts, values.elts, strict=True))
                found |= {ast.unparse(name): value for name, value in pairs if ast.unparse(name).isupper()}
    return found


def uses(trees: dict[str, ast.Module], classes: Classes) -> Iterator[Use]:
    """All places that make errors and warnings, in the order of the source."""
    shared = constants(trees)
    for path, tree in trees.items():
        texts = Texts(tree, shared)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield from _use(path, node, texts, classes)
            elif isinstance(node, ast.Tuple):
                yield from _use_of_pair(path, node, texts, classes)


def _use(path: str, call: ast.Call, texts: Texts, classes: Classes) -> Iterator[Use]:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    name = ast.unparse(call.func).rpartition(".")[2]
    given = [texts.of(argument) for argument in call.args]
    codes = texts.of(named.get("code"))
    if not codes and _MAKER.search(name):
        codes = [text for one in given[:POSITIONS] for text in one if _is_code(name, text)]
    own = classes.code(name, path)
    if not codes and "code" not in named and own is not None and "fix" in named:
        codes = [own]
    sentences = [text for one in [*given, texts.of(named.get("message"))] for text in one if " " in text]
    fixes = texts.of(named.get("fix")) or sentences[1:]
    for code in codes:
        if _CODE.fullmatch(code) and code not in NO_CODES:
            yield Use(path, name, code, next(iter(sentences), None), next(iter(fixes), None))


def _is_code(maker: str, text: str) -> bool:
    """Whether an argument of `maker` is a code; only those of `refusal` may be a single word."""
    return _CODE.fullmatch(text) is not None and ("_" in text or maker == "refusal")


def _use_of_pair(path: str, pair: ast.Tuple, texts: Texts, classes: Classes) -> Iterator[Use]:
    """A class of errors and its fix, as in the client's table of statuses."""
    if len(pair.elts) == 2 and isinstance(pair.elts[0], ast.Name):
        code = classes.code(pair.elts[0].id, path)
        for fix in texts.of(pair.elts[1]) if code else []:
            yield Use(path, pair.elts[0].id, str(code), None, fix)


def tables() -> str:
    """A table for each section, in Markdown: code, meaning, fix."""
    trees = sources()
    classes = Classes(trees)
    found: dict[str, list[Use]] = defaultdict(list)
    for name, paths in classes.codes.items():
        for path, code in paths.items():
            found[code] = [Use(path, name, code, None, None)]
    for use in uses(trees, classes):
        found[use.code].append(use)
    for places in found.values():
        places.sort(key=_rank)  # stable: otherwise in the order of the source
    sections: dict[str, list[str]] = {title: [] for title in SECTIONS}
    for code in sorted(found):
        sections[_section(found[code][0].path)].append(_row(code, found[code], classes))
    head = "| code | meaning | fix |\n| --- | --- | --- |\n"
    return "\n\n".join(f"## {title}\n\n{head}" + "\n".join(rows) for title, rows in sections.items() if rows)


def _rank(use: Use) -> int:
    return next((rank for rank, folder in enumerate(FIRST) if use.path.startswith(folder)), len(FIRST))


def _section(path: str) -> str:
    return next(title for title, folders in SECTIONS.items() if path.startswith(folders))


def _row(code: str, found: list[Use], classes: Classes) -> str:
    about = classes.about.get(code) or _list(use.message for use in found)
    about = about or classes.about.get(classes.code(found[0].kind, found[0].path) or "")
    otherwise = NO_FIX if all(_WARNING.search(use.kind) for use in found) else OTHERWISE
    return f"| `{code}` | {about or OTHERWISE} | {_list(use.fix for use in found) or otherwise} |"


def _list(texts: Iterable[str | None]) -> str:
    """The first distinct texts, in Markdown for a cell of a table."""
    return "; or: ".join(list(dict.fromkeys(_cell(text) for text in texts if text))[:SHOWN])


def _cell(text: str) -> str:
    """A text with its special characters escaped, except in code, and without the full stop."""
    parts = " ".join(text.split()).replace("|", r"\|").split("`")
    parts[::2] = [re.sub(r"([<>*_\[\]])", r"\\\1", part) for part in parts[::2]]
    escaped = "`".join(parts)
    return escaped.removesuffix(".") if not escaped.endswith("...") or escaped.endswith("....") else escaped


def with_tables(text: str) -> str:
    """`text` with the tables between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def write() -> None:
    """Update the page."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
