"""What a bundle says of itself: `spec.json`, read once into frozen dataclasses.

`PROTOCOL` rules the format. To raise it: change the format, add one to the number, keep reading the numbers before it
(`READABLE`), and freeze a bundle of the old number under `tests/frozen/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.errors import BundleUnreadable, ProtocolUnknown
from fastmar_runtime.validation import build, check, unreadable, wrong

PROTOCOL = 1
READABLE = (1,)

TIMESTAMP = "timestamp"  # {"timestamp": "2024-01-31T00:00:00"} among categories
IMAGE = "image"  # the kind of field that models of pictures have

TABULAR, VISION = "tabular", "vision"


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a record.

    Attributes:
        name: the column's name, as the learner was trained with it.
        kind: ``"number"``, ``"category"``, ``"date"``, or ``"image"`` for the one field of a model that reads pictures.
        nullable: whether null may stand in it: always for categories; for numbers where fastai learned a filling.
        optional: whether the column may be absent, because a later step can compute it or computes from it.
        aliases: other names that an optional column may come under.
        categories: what the model knows, in the order of its codes (from 1); empty for other kinds.
        default: a plausible value, from the learner's own statistics; None where there is none.
        spread: one standard deviation of a number, or of a date in days, where the learner tells it.
        minimum, maximum: of a number, where a reference table told them. Others are answered as well.
    """

    name: str
    kind: str
    nullable: bool = True
    optional: bool = False
    aliases: tuple[str, ...] = ()
    categories: tuple[Any, ...] = ()
    default: Any = None
    spread: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of the graph: its name there, its dtype, and its shape with ``"batch"`` for the first axis."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """All that a runtime must know to answer records; see `Field` and the steps for the parts.

    Attributes:
        protocol: number of the format.
        name, version: what the model is called and which version it is.
        kind: ``"tabular"`` or ``"vision"``.
        runtime: version of the runtime that the bundle was written with.
        fields: the columns of a record.
        steps: ``{"step": NAME, ...state}`` in the order in which they run.
        inputs, outputs: the graph's.
        layers: ``{"layer": NAME, ...state}``: transforms of a batch, which run in the graph, in front of the network.
        decode: ``{"decoder": NAME, ...state}``: how outputs become answers.
        targets: names of what is predicted.
        notices: what a caller should know of this model, said once at export.
        dropped: ``{"what", "reason"}`` for whatever the learner had and the bundle does not need.
        provenance: where the bundle comes from.
        ui: how people want to see it: titles, labels, sentences. Forms read it; answers never depend on it.
    """

    protocol: int
    name: str
    version: str
    kind: str
    runtime: str
    fields: tuple[Field, ...]
    steps: tuple[dict[str, Any], ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    decode: dict[str, Any]
    targets: tuple[str, ...]
    layers: tuple[dict[str, Any], ...] = ()
    notices: tuple[dict[str, Any], ...] = ()
    dropped: tuple[dict[str, Any], ...] = ()
    provenance: dict[str, Any] | None = None
    ui: dict[str, Any] | None = None


def to_dict(spec: Spec) -> dict[str, Any]:
    """`spec` as JSON's types; `from_dict` reads it back."""
    return {
        "protocol": spec.protocol,
        "name": spec.name,
        "version": spec.version,
        "kind": spec.kind,
        "runtime": spec.runtime,
        "targets": list(spec.targets),
        "fields": [
            {
                "name": f.name,
                "kind": f.kind,
                "nullable": f.nullable,
                "optional": f.optional,
                "aliases": list(f.aliases),
                "categories": list(f.categories),
                "default": f.default,
                "spread": f.spread,
                "minimum": f.minimum,
                "maximum": f.maximum,
            }
            for f in spec.fields
        ],
        "steps": list(spec.steps),
        "graph": {
            "inputs": [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in spec.inputs],
            "outputs": [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in spec.outputs],
            **({"layers": list(spec.layers)} if spec.layers else {}),
        },
        "decode": spec.decode,
        "notices": list(spec.notices),
        "dropped": list(spec.dropped),
        "provenance": spec.provenance,
        **({"ui": spec.ui} if spec.ui else {}),
    }


def from_dict(data: Any) -> Spec:
    """Read what `to_dict` wrote.

    Raises:
        BundleUnreadable: a part is missing or of another shape.
        ProtocolUnknown: the number is one that this runtime does not read.
    """
    if not isinstance(data, dict) or type(data.get("protocol")) is not int:
        raise BundleUnreadable("spec.json has no protocol number.", fix="export the learner again.")
    if data["protocol"] not in READABLE:
        raise ProtocolUnknown(
            f"spec.json speaks protocol {data['protocol']}, this runtime reads {', '.join(map(str, READABLE))}.",
            fix="use the version of fastmar that wrote the archive, or export the learner again.",
        )
    path = "spec.json: "
    graph = data.get("graph")
    if not isinstance(graph, dict):
        raise wrong(f"{path}graph", "an object", graph)
    for name in ("inputs", "outputs"):
        if name not in graph:
            raise unreadable(f"{path}graph has no {name!r}")
        check(tuple[Tensor, ...], graph[name], f"{path}graph.{name}")  # for its path in the message
    flat = {name: value for name, value in data.items() if name != "graph"}
    flat |= {"inputs": graph["inputs"], "outputs": graph["outputs"], "layers": graph.get("layers", [])}
    spec = build(Spec, flat, "spec.json:")
    for at, field in enumerate(spec.fields):
        _check_field(field, f"spec.json: fields[{at}]")
    return spec


def _check_field(field: Field, path: str) -> None:
    if field.kind not in (NUMBER, CATEGORY, DATE, IMAGE):
        raise wrong(f"{path}.kind", "the name of a kind", field.kind)
    for at, category in enumerate(field.categories):
        check_category(category, f"{path}.categories[{at}]")
    if field.default is not None:
        check_category(field.default, f"{path}.default")


def check_category(value: Any, path: str) -> None:
    """Raise `BundleUnreadable` unless `value` is text, a number, true, false, null, or ``{"timestamp": "..."}``."""
    if isinstance(value, dict):
        text = value.get(TIMESTAMP)
        try:
            datetime.fromisoformat(text if isinstance(text, str) and len(value) == 1 else "")
        except ValueError:
            raise wrong(path, f'text, a number, or {{"{TIMESTAMP}": an ISO 8601 date}}', value) from None
    elif isinstance(value, list):
        raise wrong(path, "text or a number", value)
