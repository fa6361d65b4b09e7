"""Describes the content of a learner's file without running it, even if the learner can't be exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastmar_export.callbacks import check_callbacks
from fastmar_export.dropped_transforms import TRAINING_ONLY
from fastmar_export.errors import ExportError, NotALearner
from fastmar_export.learner import Learner, as_list, check_classes, name_of, open_learner, transforms
from fastmar_export.losses import activation_of
from fastmar_export.modalities import SOURCE, Modality, becomes, converters, modalities, modality_of
from fastmar_export.modalities.tabular.column_names import column_name
from fastmar_export.networks.listing import list_layers
from fastmar_export.options import Options
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record, describe_call, read_torch_file
from fastmar_export.reader.records import brief
from fastmar_export.targets import TARGET_TRANSFORMS

Facts = dict[str, Any]

_MAX_LISTED = 100  # calls, leaks, and transforms of one pipeline


def inspect_pickle(path: str | Path) -> Facts:
    """Facts about the file at `path`, as JSON types.

    Keys: ``file`` (sha256, bytes, torch's format), ``kind``, ``columns``, ``targets``, ``labels`` (one list for each
    target with labels), ``transforms``, ``loss``, ``callbacks``, ``network``, ``runs_code`` (code that `torch.load`
    would run), ``functions`` (bytecode in the file that `torch.load` does not run), ``leaks`` (training rows in the
    file), ``notices`` (notices of an export), and ``problems`` (reasons that stop an export).

    Raises:
        UnreadableFile: the file was not written by `torch.save`.
    """
    source = read_torch_file(path)
    facts: Facts = {
        "file": {
            "sha256": source.sha256,
            "bytes": source.size,
            "pickle_protocol": source.pickle_protocol,
            "names": len(source.globals),
        },
        "runs_code": _describe_first(source.calls, describe_call),
        "functions": _describe_first(source.functions, describe_call),
        "leaks": _describe_first(source.leaks, str),
        "problems": [],
    }
    try:
        learner = open_learner(source.root)
    except NotALearner as error:
        return facts | {"kind": None, "problems": [str(error)]}
    return facts | learner_facts(learner)


def _describe_first(items: Sequence[Any], describe: Callable[[Any], str]) -> list[str]:
    """One line for each of the first `_MAX_LISTED` items, and a line with the number of the others."""
    lines = [describe(item) for item in items[:_MAX_LISTED]]
    more = len(items) - len(lines)
    return [*lines, f"... and {more:,} more"] if more else lines


def learner_facts(learner: Learner) -> Facts:
    """The facts of `inspect_pickle` that concern the learner, not its file."""
    problems = []
    network = list_layers(learner.model)
    for layer in network:
        if not layer["served"]:
            problems.append(f"{layer['where']} is {layer['class']}, which is not in fastmar's allow-list of layers.")
    targets = _columns(learner, "y_names")
    notices: list[Facts] = []
    modality = None
    with _collect_problems(problems):
        modality = modality_of(learner)
    if modality is not None:  # otherwise the problem already names the classes
        with _collect_problems(problems):
            check_classes(learner, modality.classes)
    with _collect_problems(problems):
        check_callbacks(learner, [])
    if modality is not None:
        with _collect_problems(problems):
            conversion = modality.convert(learner, Options(name="inspected"))
            targets, notices = list(conversion.targets), conversion.notices
    activation = None
    with _collect_problems(problems):
        known = activation_of(learner.loss, None)
        activation = known.name if known.known else None
    return {
        "kind": learner.reads if modality is None else modality.name,
        "columns": {
            "categories": _columns(learner, "cat_names"),
            "numbers": _columns(learner, "cont_names"),
        },
        "targets": targets,
        "labels": _labels(learner),
        "transforms": _transforms(learner, modality),
        "loss": {"class": name_of(learner.loss), "activation": activation},
        "callbacks": [name_of(callback) for callback in as_list(learner.record.get("cbs"))[:_MAX_LISTED]],
        "network": network,
        "notices": notices,
        "problems": problems,
    }


def _columns(learner: Learner, attribute: str) -> list[str]:
    keys = as_list(learner.dataset.get(attribute))
    return [brief(key) if (name := column_name(key)) is None else name for key in keys]


@contextmanager
def _collect_problems(problems: list[str]) -> Iterator[None]:
    """Add an `ExportError` to `problems` instead of raising it."""
    try:
        yield
    except ExportError as error:
        if str(error) not in problems:  # the loss is checked twice
            problems.append(str(error))


def _transforms(learner: Learner, modality: Modality | None) -> list[Facts]:
    domains = {} if modality is None else modality.domains
    describe = becomes if modality is None else modality.becomes
    places = [("dls.procs", learner.dataset.get("procs"), domains.get("procs"))]
    places += [
        (f"dls.tls[{index}].tfms", part.get("tfms"), domains.get("tls", SOURCE) if index == 0 else SOURCE)
        for index, part in enumerate(as_list(learner.dataset.get("tls"))[:_MAX_LISTED])
        if isinstance(part, Record)
    ]
    places += [
        (f"dls.{name}", learner.loader.get(name), domains.get(name))
        for name in ("after_item", "before_batch", "after_batch")
    ]
    return [
        {"where": f"{where}[{index}]", "class": name_of(transform), "becomes": describe(transform, domain)}
        for where, pipeline, domain in places
        for index, transform in enumerate(transforms(pipeline)[:_MAX_LISTED])
    ]


def _labels(learner: Learner) -> list[list[Any]]:
    """The labels of each target with labels."""
    pipelines = [part.get("tfms") for part in as_list(learner.dataset.get("tls")) if isinstance(part, Record)]
    pipelines.append(learner.dataset.get("procs"))
    vocabularies = [
        transform.get("vocab")
        for pipeline in pipelines
        for transform in transforms(pipeline)
        if name_of(transform) in TARGET_TRANSFORMS
    ]
    return [labels for vocab in vocabularies if (labels := _plain_labels(as_list(vocab)))]


def _plain_labels(vocab: list[Any]) -> list[Any]:
    try:
        return [plain(label) for label in vocab]
    except NotPlain:
        return []


def supported_table() -> list[tuple[str, str, str]]:
    """Class path, domain and result of the conversion, for every supported transform, from the registries."""
    rows = [
        (path, domain.name, f"{domain.makes} `{function.__name__}`")
        for (path, domain), function in converters().items()
    ]
    rows += [(path, "target", "labels and values of answers") for path in TARGET_TRANSFORMS]
    rows += [row for modality in modalities().values() for row in modality.supported()]
    rows += [(path, "dropped", reason) for path, reason in TRAINING_ONLY.items()]
    return sorted(rows, key=lambda row: (row[1], row[0]))
