"""What a learner's file holds, told without running it, also where the learner can't be exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastmar_export.callbacks import check_callbacks
from fastmar_export.converters import registry
from fastmar_export.errors import ExportError, NotALearner
from fastmar_export.learner import Learner, check_classes, listed, name_of, open_learner, transforms
from fastmar_export.losses import activation_of
from fastmar_export.networks.rebuild import is_module, resolve_class
from fastmar_export.reader import describe_call, read_torch_file
from fastmar_export.tabular import convert_tabular
from fastmar_export.targets import TARGET_TRANSFORMS

Facts = dict[str, Any]

_MAX_LAYERS = 500


def inspect_pickle(path: str | Path) -> Facts:
    """Facts of the file at `path`, as JSON's types.

    Keys: ``file`` (sha256, bytes, torch's format), ``kind``, ``columns``, ``targets``, ``transforms``, ``loss``,
    ``callbacks``, ``network``, ``runs_code`` (what a normal load would have run), ``leaks`` (training rows inside), and
    ``problems`` (what stops an export; empty where nothing does).

    Raises:
        UnreadableFile: it is no file of `torch.save`.
    """
    source = read_torch_file(path)
    facts: Facts = {
        "file": {
            "sha256": source.sha256,
            "bytes": source.size,
            "pickle_protocol": source.pickle_protocol,
            "names": len(source.globals),
        },
        "runs_code": [describe_call(call) for call in source.calls],
        "leaks": [str(leak) for leak in source.leaks],
        "problems": [],
    }
    try:
        learner = open_learner(source.root)
    except NotALearner as error:
        return facts | {"kind": None, "problems": [str(error)]}
    return facts | _learner_facts(learner)


def _learner_facts(learner: Learner) -> Facts:
    problems = []
    network = _network(learner.model)
    for layer in network:
        if not layer["served"]:
            problems.append(f"{layer['where']} is {layer['class']}, which is not in fastmar's allow-list of layers.")
    for check in (
        lambda: check_classes(learner),
        lambda: check_callbacks(learner, []),
        lambda: convert_tabular(learner),
    ):
        try:
            check()
        except ExportError as error:
            problems.append(str(error))
    activation = activation_of(learner.loss, None)
    return {
        "kind": learner.kind,
        "columns": {
            "categories": listed(learner.dataset.get("cat_names")),
            "numbers": listed(learner.dataset.get("cont_names")),
        },
        "targets": listed(learner.dataset.get("y_names")),
        "transforms": _transforms(learner),
        "loss": {"class": name_of(learner.loss), "activation": activation.name if activation.known else None},
        "callbacks": [name_of(callback) for callback in listed(learner.record.get("cbs"))],
        "network": network,
        "problems": problems,
    }


def _transforms(learner: Learner) -> list[Facts]:
    known = registry()
    found = []
    places = [("dls.procs", learner.dataset.get("procs"))]
    places += [(f"dls.{name}", learner.loader.get(name)) for name in ("after_item", "before_batch", "after_batch")]
    for where, pipeline in places:
        for index, transform in enumerate(transforms(pipeline)):
            path = name_of(transform)
            if path in TARGET_TRANSFORMS:
                becomes = "the answer's labels"
            elif (path, learner.kind) in known:
                becomes = f"step {known[path, learner.kind].__name__}"
            else:
                becomes = None
            found.append({"where": f"{where}[{index}]", "class": path, "becomes": becomes})
    return found


def _network(model: Any) -> list[Facts]:
    """Layers from the root down, in the order in which they were recorded."""
    layers: list[Facts] = []
    pending = [("model", 0, model)]
    while pending and len(layers) < _MAX_LAYERS:
        where, depth, record = pending.pop()
        if not is_module(record):
            continue
        parameters = record.get("_parameters")
        count = sum(p.numel() for p in parameters.values() if p is not None) if isinstance(parameters, dict) else 0
        served = resolve_class(record.path) is not None
        layers.append({"where": where, "depth": depth, "class": record.path, "parameters": count, "served": served})
        children = record.get("_modules")
        if isinstance(children, dict):
            named = [(f"{where}.{name}", depth + 1, child) for name, child in children.items() if child is not None]
            pending += reversed(named)
    return layers


def supported_table() -> list[tuple[str, str, str]]:
    """Class path, domain and what it becomes, for every transform that is served: printed from the registry."""
    rows = [(path, domain, f"step `{function.__name__}`") for (path, domain), function in registry().items()]
    rows += [(path, "target", "labels and values of answers") for path in TARGET_TRANSFORMS]
    return sorted(rows, key=lambda row: (row[1], row[0]))
