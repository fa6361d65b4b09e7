"""What a bundle says of itself: `spec.json`, read once into frozen dataclasses.

`PROTOCOL` rules the format. To raise it: change the format, add one to the number, keep reading the numbers before it
(`READABLE`), and freeze a bundle of the old number under `tests/runtime/protocols/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.errors import BundleUnreadable, ProtocolUnknown

PROTOCOL = 1
READABLE = (1,)

NUMBER, CATEGORY, DATE, IMAGE = "number", "category", "date", "image"

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
    if not isinstance(data, dict) or not isinstance(data.get("protocol"), int):
        raise BundleUnreadable("spec.json has no protocol number.", fix="export the learner again.")
    if data["protocol"] not in READABLE:
        raise ProtocolUnknown(
            f"spec.json speaks protocol {data['protocol']}, this runtime reads {', '.join(map(str, READABLE))}.",
            fix="use the version of fastmar that wrote the archive, or export the learner again.",
        )
    try:
        return Spec(
            protocol=data["protocol"],
            name=data["name"],
            version=data["version"],
            kind=data["kind"],
            runtime=data["runtime"],
            fields=tuple(
                Field(**{**f, "categories": tuple(f["categories"]), "aliases": tuple(f["aliases"])})
                for f in data["fields"]
            ),
            steps=tuple(data["steps"]),
            inputs=tuple(Tensor(t["name"], t["dtype"], tuple(t["shape"])) for t in data["graph"]["inputs"]),
            outputs=tuple(Tensor(t["name"], t["dtype"], tuple(t["shape"])) for t in data["graph"]["outputs"]),
            decode=data["decode"],
            targets=tuple(data["targets"]),
            layers=tuple(data["graph"].get("layers", ())),
            notices=tuple(data["notices"]),
            dropped=tuple(data["dropped"]),
            provenance=data["provenance"],
            ui=data.get("ui"),
        )
    except (KeyError, TypeError) as error:
        raise BundleUnreadable(
            f"spec.json lacks a part or has one of another shape ({error}).", fix="export the learner again."
        ) from error
