"""The report: one HTML file that loads nothing, escapes all, and can be read on a phone."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmar_monitor.drift import measure as measure_drift
from fastmar_monitor.feedback.measuring import Feedback, measure
from fastmar_monitor.feedback.report import MAX_LABELS, _label, write_report
from tests.browser import Chromium
from tests.monitor.feedback import logs
from tests.monitor.test_command import table
from tests.monitor.test_report import HOSTILE, Tags
from tests.runtime import tiny


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Feedback:
    """Of a model whose labels are hostile texts, and more than the confusion has."""
    folder = tmp_path_factory.mktemp("report")
    vocab = [HOSTILE, *(f"a_long_name_of_a_label_without_blanks_{at}" for at in range(MAX_LABELS + 2))]
    archive = logs.bundle(
        folder / "tiny", name="tiny", decode={"decoder": "category", "vocab": vocab[:2], "activation": "softmax"}
    )
    tiny.rewrite_spec(archive, decode={"decoder": "category", "vocab": vocab, "activation": "softmax"})
    tiny.rewrite_spec(archive, graph=_graph(archive, len(vocab)))
    rng = np.random.default_rng(0)
    entries, _ = logs.labelled(800)
    truths = []
    for each in entries:
        probabilities = rng.dirichlet(np.full(len(vocab), 0.3)).tolist()
        label = vocab[int(np.argmax(probabilities))]
        each["answer"] = {"prediction": label, "probabilities": dict(zip(vocab, probabilities, strict=True))}
        truth = rng.choice([label, *vocab, f"{HOSTILE}?"]) if rng.random() < 0.5 else label
        truths.append({"request_id": each["request_id"], "row": each["row"], "salary": str(truth)})
    log, path = logs.lines(folder / "log" / "a.jsonl", entries), logs.lines(folder / "truths.jsonl", truths[:700])
    return measure(archive, log, [path])


def _graph(archive: Path, labels: int) -> Any:
    import orjson

    graph = orjson.loads((archive / "spec.json").read_bytes())["graph"]
    graph["outputs"][0]["shape"][1] = labels
    return graph


@pytest.fixture(scope="module")
def page(found: Feedback, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(found, path)
    return path


def test_it_escapes_all_and_loads_nothing(page: Path) -> None:
    html = page.read_text("utf-8")
    tags = Tags(html)
    assert tags.open == []
    assert "script" not in tags.tags
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert tags.text.count("<script>alert") > 1
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", html)
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=|href=", html)
    assert "default-src 'none'" in html


def test_the_confusion(found: Feedback, page: Path) -> None:
    """The cells of the frequent labels are those of the data, and all add up to the records with truth."""
    assert found.all.measured is not None
    html = page.read_text("utf-8").split("<h3>Confusion</h3>")[1].split("</article>")[0]
    head, *rows = [re.findall(r"<t[hd]>([^<]*)", row) for row in html.split("<tr>")[1:]]
    cells = {(row[0], name): int(cell) for row in rows for name, cell in zip(head[1:], row[1:], strict=True)}
    pairs = {
        (escape(_label(each["truth"])), escape(_label(each["prediction"]))): each["records"]
        for each in found.all.measured.detail["confusion"]
    }
    shown = {pair: count for pair, count in cells.items() if "(others)" not in pair}
    assert len(shown) > MAX_LABELS
    assert shown == {pair: pairs.get(pair, 0) for pair in shown}
    assert sum(cells.values()) == found.all.with_truth
    assert len(cells) > len(shown)


def test_the_estimate_is_not_mixed_with_measurements(page: Path) -> None:
    html = page.read_text("utf-8")
    assert 'class="estimates"' in html
    assert html.count("about ") == len(re.findall(r"<td>about \d", html)) > 0


def test_with_the_report_about_drift(found: Feedback, archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.html"
    write_report(found, path, measure_drift(archive, table(tmp_path / "data.csv", 300)))
    html = path.read_text("utf-8")
    assert Tags(html).open == []
    assert html.count("<html") == 1
    assert "Reliability" in html
    assert "Records of the reference" in html or "records of the reference" in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(chromium: Chromium, page: Path, scheme: Any) -> None:
    """Offline, as wide as a phone."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}, offline=True)
    tab = context.new_page()
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.locator("article").count() == 4
    assert messages == []
    context.close()
