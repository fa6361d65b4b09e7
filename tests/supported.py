"""The table of supported classes in docs/supported.md. `python -m tests.supported` writes it from the registries."""

from __future__ import annotations

from pathlib import Path

from fastmar_export.converters import Domain
from fastmar_export.dropped_transforms import TRAINING_ONLY
from fastmar_export.losses import LOSSES
from fastmar_export.modalities import converters
from fastmar_export.modalities.vision.pictures import BATCH
from fastmar_export.modalities.vision.targets import MASK_CODES, POINT_SCALER
from fastmar_export.networks.fastai_layers import LAYERS
from fastmar_export.targets import TARGET_TRANSFORMS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "supported.md"
BEGIN, END = "<!-- supported: begin -->", "<!-- supported: end -->"


def supported() -> str:
    """The table in Markdown: a row for each supported class, with its counterpart in the archive."""
    rows = [(path, _becomes(domain, function.__name__)) for (path, domain), function in converters().items()]
    rows += [(path, f"left out: {reason}") for path, reason in TRAINING_ONLY.items()]
    rows += [(path, "places and names in the answers") for path in (POINT_SCALER, MASK_CODES)]
    rows += [(path, "labels and values of the answers") for path in TARGET_TRANSFORMS]
    rows += [(path, f"{activation} of the outputs") for path, activation in LOSSES.items()]
    rows += [(path, "the same layer, forward only") for path in LAYERS]
    lines = ["| in the learner | in the archive |", "| --- | --- |"]
    return "\n".join(lines + [f"| `{path}` | {becomes} |" for path, becomes in sorted(rows)])


def _becomes(domain: Domain, name: str) -> str:
    return f"layer `{name}` in front of the network (vision)" if domain == BATCH else f"step `{name}` ({domain.name})"


def with_table(text: str) -> str:
    """`text` with the table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{supported()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
