"""From a live learner to an archive, and a summary that a notebook shows."""

from __future__ import annotations

import html
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastmar_export.errors import ExportError
from fastmar_export.exporter import Exported, export_learner, next_step
from fastmar_export.modalities import modalities
from fastmar_export.options import FIRST_VERSION, Options
from fastmar_runtime.spec import Spec


class Learner(Protocol):
    """A fastai learner, as far as it matters here."""

    dls: Any
    opt: Any

    def export(self, fname: Any) -> Any:
        """Write the pickle."""


@dataclass(frozen=True)
class Summary:
    """What came of an export; a notebook shows it as a table.

    Attributes:
        path: of the archive.
        spec: what it says of itself.
        difference: the largest between the graph and the torch network on the golden records.
    """

    path: Path
    spec: Spec
    difference: float

    def __str__(self) -> str:
        spec = self.spec
        fields = "\n".join(f"  {name}: {what}" for name, what in _rows(spec))
        notes = "".join(f"\nNote: {text}" for text in _notes(spec))
        head = f"{self.path}  {spec.name} {spec.version}, {spec.kind}"
        return f"{head}\n{fields}\n{self._proof()}{notes}\nNext: {self.command}"

    __repr__ = __str__

    @property
    def command(self) -> str:
        """What to run next, in a terminal."""
        return next_step(self.path, self.spec.version)

    def _repr_html_(self) -> str:
        """For notebooks."""
        spec, escape = self.spec, html.escape
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(what)}</td></tr>"
            for name, what in _rows(spec)
        )
        notes = "".join(f"<li>{escape(text)}</li>" for text in _notes(spec))
        return (
            f"<h4>{escape(spec.name)} {escape(spec.version)}: {escape(spec.kind)}</h4>"
            f"<p>{escape(str(self.path))}, {self.path.stat().st_size / 1024:,.0f} KB. {escape(self._proof())}</p>"
            f"<table>{rows}</table>"
            + (f"<ul>{notes}</ul>" if notes else "")
            + f"<p>Next: <code>{escape(self.command)}</code></p>"
        )

    def _proof(self) -> str:
        return f"Predicts {', '.join(self.spec.targets)}; graph and network differ by {self.difference:.1g}."


def export(
    learn: Learner,
    output: str | Path = "model_store",
    *,
    name: str,
    version: str = FIRST_VERSION,
    ui: str | Path | None = None,
    reference: str | Path | None = None,
    activation: str | None = None,
    ignored_callbacks: Iterable[str] = (),
    exif_transpose: bool = False,
    picture_size: tuple[int, int] | None = None,
    max_pixels: int | None = None,
    modules: Iterable[str] = (),
    force: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Turn a live fastai learner into a TorchServe archive.

    It goes through the learner's own pickle, in a temporary folder: the archive is the one that `fastmar export` makes
    of `learn.export()`. The learner stays as it is.

    Args:
        learn: the learner.
        output: folder that the archive goes to.
        name: of the model, in URLs.
        version: of the model.
        ui: YAML file that says how forms show the model.
        reference: CSV of rows that tell defaults and ranges of the fields; none of them is stored.
        activation: how outputs become predictions, where the loss does not tell.
        ignored_callbacks: callbacks, by class name, that change no answer.
        exif_transpose: turn photos as their cameras say, which fastai does not.
        picture_size: width and height of all pictures, of a learner without Resize whose network takes no others.
        max_pixels: that the network may be given, of a learner without Resize; None takes the usual limit.
        modules: packages of your own that layers of the network come from.
        force: replace an archive of the same name, also of another version or another learner. Without it, an
            archive is replaced only where it is the same version with the same network and transforms.
        on_stage: told what is being done, before each stage.

    Raises:
        FastmarError: the learner can't be converted or proved; nothing is written then.
    """
    options = Options(
        name=name,
        version=version,
        output=Path(output),
        ui=Path(ui) if ui is not None else None,
        reference=Path(reference) if reference is not None else None,
        activation=activation,
        ignored_callbacks=tuple(ignored_callbacks),
        exif_transpose=exif_transpose,
        picture_size=picture_size,
        max_pixels=max_pixels,
        modules=tuple(modules),
        force=force,
        live=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "learner.pkl"
        on_stage("Writing the learner's pickle")
        _write(learn, path)
        exported: Exported = export_learner(path, options, on_stage)
    return Summary(exported.path, exported.spec, exported.difference)


def _write(learn: Learner, path: Path) -> None:
    """`learn.export(path)`, after which the learner has its data and its optimizer again, whatever happened.

    fastai takes both away before it pickles, and gives them back only where nothing goes wrong.
    """
    dls, opt = learn.dls, learn.opt
    try:
        learn.export(path)
    except Exception as error:
        held = _holders(learn, error)
        told, fix = "", f"remove what this speaks of, or make room in {path.parent.parent} if that is full"
        if held:
            told, fix = f" {', '.join(held)} can't be pickled.", f"remove {' and '.join(held)}"
        raise ExportError(
            f"learn.export() fails with {type(error).__name__}: {error}.{told}",
            fix=f"{fix}, and export again; learn.remove_cb takes a callback out.",
        ) from error
    finally:
        learn.dls, learn.opt = dls, opt


def _holders(learn: Learner, error: Exception) -> list[str]:
    """Attributes of the learner and of its callbacks that fail by themselves as `error` tells."""
    callbacks = vars(learn).get("cbs", ())
    values = [(f"learn.{name}", value) for name, value in vars(learn).items() if name not in ("cbs", "lock")]
    values += [(f"{type(each).__name__}.{name}", value) for each in callbacks for name, value in vars(each).items()]
    held = []
    for name, value in values:
        if any(value is each for each in (learn, *callbacks)):
            continue  # it holds all the others
        try:
            with Path(os.devnull).open("wb") as nowhere:
                pickle.dump(value, nowhere)
        except Exception as other:
            if str(other) == str(error):
                held.append(name)
    return held


def _rows(spec: Spec) -> list[tuple[str, str]]:
    return modalities()[spec.kind].summary(spec)


def _notes(spec: Spec) -> list[str]:
    return [notice["message"] for notice in spec.notices]
