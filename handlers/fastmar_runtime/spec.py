"""The description of a model, `spec.json`, as frozen dataclasses.

`PROTOCOL` is the version of the format. To raise it: change the format, increment the number, keep reading the earlier
numbers (`READABLE`), and freeze a bundle of the old number in `tests/frozen/`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fastmar_contract.values import CHECKS
from fastmar_runtime.errors import BundleUnreadable, ProtocolUnknown
from fastmar_runtime.validation import build, check, invalid, unreadable

PROTOCOL = 1
READABLE = (1,)

TIMESTAMP = "timestamp"  # key of a date among categories: {"timestamp": "2024-01-31T00:00:00"}
IMAGE = "image"  # kind of the only field of picture models


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a record.

    Attributes:
        name: the column's name, as the learner was trained with it.
        kind: ``"number"``, ``"category"``, ``"date"``, ``"text"``, or ``"image"``.
        nullable: whether null is accepted: always for categories; for numbers if fastai learned a fill value.
        optional: whether the column may be absent, because a step can compute it, or computes from it.
        aliases: other accepted names of an optional column.
        categories: the known categories, in the order of their codes (from 1); empty for other kinds.
        default: a plausible value from the learner's statistics, or None.
        spread: standard deviation of a number, or of a date in days, if the learner has it.
        minimum, maximum: range of a number in the reference data; None without reference data. Numbers outside the
            range are answered too.
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
    """An input or output of the graph: its name, its dtype, and its shape with ``"batch"`` as the first axis."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Recommender:
    """What a collaborative filtering model needs to rank items; see `item_lists`.

    Attributes:
        user, item: names of the fields.
        factors: name of the graph's initializer with the embeddings of the items, float32 [1 + items, factors], whose
            first row is that of unknown items; None if the network has none that fastmar knows.
    """

    user: str
    item: str
    factors: str | None = None


@dataclass(frozen=True, slots=True)
class Generator:
    """What a language model needs to generate texts; see `operations.generator`.

    The graph of such a model has inputs ``ids`` and ``lengths``, and one for each state of the network, [batch, size]
    float32. Its outputs are the logits of the next token, the encoding of the text, and the new states in the order of
    their inputs.

    Attributes:
        separator: what joins the tokens of a text.
    """

    separator: str


@dataclass(frozen=True, slots=True)
class Spec:
    """All that a runtime needs for predictions.

    Attributes:
        protocol: number of the format.
        name, version: the name and the version of the model.
        kind: name of the modality, such as ``"tabular"``.
        runtime: version of the runtime in the archive.
        fields: the columns of a record.
        steps: ``{"step": NAME, ...state}``, in the order in which they run.
        inputs, outputs: the inputs and the outputs of the graph.
        layers: ``{"layer": NAME, ...state}``: batch transforms, which run in the graph before the network.
        decode: ``{"decoder": NAME, ...state}``: how outputs become answers.
        targets: names of the targets.
        notices: what callers should know about this model, also printed at export.
        dropped: ``{"what", "reason"}`` for each part of the learner that predictions don't need.
        provenance: versions, dates and digests of the export.
        ui: titles, labels and sentences for forms; answers don't depend on it.
        recommender: the fields of user and item, for models that rank items.
        generator: how tokens become a text, for language models.
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
    recommender: Recommender | None = None
    generator: Generator | None = None


def to_dict(spec: Spec) -> dict[str, Any]:
    """`spec` as a JSON object, which `from_dict` reads."""
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
        **({"recommender": asdict(spec.recommender)} if spec.recommender else {}),
        **({"generator": asdict(spec.generator)} if spec.generator else {}),
    }


def from_dict(data: Any) -> Spec:
    """The spec that `to_dict` wrote.

    Raises:
        BundleUnreadable: a part is missing or invalid.
        ProtocolUnknown: this runtime does not read the protocol.
    """
    if not isinstance(data, dict) or type(data.get("protocol")) is not int:
        raise BundleUnreadable("spec.json has no protocol number.", fix="export the learner again.")
    if data["protocol"] not in READABLE:
        raise ProtocolUnknown(
            f"spec.json uses protocol {data['protocol']}; this runtime reads {', '.join(map(str, READABLE))}.",
            fix="use the version of fastmar that wrote the archive, or export the learner again.",
        )
    path = "spec.json: "
    graph = data.get("graph")
    if not isinstance(graph, dict):
        raise invalid(f"{path}graph", "an object", graph)
    for name in ("inputs", "outputs"):
        if name not in graph:
            raise unreadable(f"{path}graph has no {name!r}")
        check(tuple[Tensor, ...], graph[name], f"{path}graph.{name}")  # for the path in the message
    flat = {name: value for name, value in data.items() if name != "graph"}
    flat |= {"inputs": graph["inputs"], "outputs": graph["outputs"], "layers": graph.get("layers", [])}
    spec = build(Spec, flat, "spec.json:")
    for at, field in enumerate(spec.fields):
        _check_field(field, f"spec.json: fields[{at}]")
    return spec


def _check_field(field: Field, path: str) -> None:
    if field.kind not in (*CHECKS, IMAGE):
        raise invalid(f"{path}.kind", "a known kind of field", field.kind)
    for at, category in enumerate(field.categories):
        check_category(category, f"{path}.categories[{at}]")
    if field.default is not None:
        check_category(field.default, f"{path}.default")


def check_category(value: Any, path: str) -> None:
    """Raise `BundleUnreadable` unless `value` is a string, number, bool, null or ``{"timestamp": "..."}``."""
    if isinstance(value, dict):
        text = value.get(TIMESTAMP)
        try:
            datetime.fromisoformat(text if isinstance(text, str) and len(value) == 1 else "")
        except ValueError:
            raise invalid(path, f'text, a number, or {{"{TIMESTAMP}": an ISO 8601 date}}', value) from None
    elif isinstance(value, list):
        raise invalid(path, "text or a number", value)
