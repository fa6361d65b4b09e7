"""The code on a page sends the page's request: it is run against a real server, and its answer is that of the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastmar_client import Client
from fastmar_web import Settings, create_app
from tests.archives import language_archive
from tests.browser import Chromium
from tests.engines import FAST
from tests.pictures import picture
from tests.web.conftest import listening, problems, strict_page
from tests.web.fake import FakeClient
from tests.web.models import COLOURS, PEOPLE

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
TABS = {"curl": "curl", "python": "Python", "js": "JavaScript"}
PROGRAMS = {"curl": ["bash", "-c"], "python": [sys.executable, "-c"], "js": ["node", "--input-type=module", "-e"]}
AS_JSON = "console.log(JSON.stringify(answer));"


def run(language: str, code: str, folder: Path) -> Any:
    """Run the code of a panel; the answer that it prints."""
    program = shutil.which(PROGRAMS[language][0])
    if program is None:
        pytest.skip(f"needs {PROGRAMS[language][0]}")
    if language == "js":
        code = code.replace("console.log(answer);", AS_JSON)  # else Node.js abbreviates it
    command = [program, *PROGRAMS[language][1:], code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return literal_eval(done.stdout) if language == "python" else json.loads(done.stdout)


def code_of(page: Any, language: str) -> str:
    page.get_by_role("tab", name=TABS[language]).click()
    return page.get_by_role("tabpanel", name=TABS[language]).locator("code").inner_text()


def server_of(page: Any) -> str:
    return re.findall(r"http://[^/']+", code_of(page, "curl"))[0]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app with a real server of a language model."""
    store = tmp_path_factory.mktemp("texts")
    language_archive(store)
    with FAST.serve(store) as server:
        app = create_app(Settings(url=server.url))
        with listening(app) as url:
            yield url
        app.extensions["fastmar_jobs"].close()


@pytest.mark.parametrize("language", TABS)
def test_the_code_sends_the_values_of_the_form(page: Any, real: str, tmp_path: Path, language: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    page.get_by_label("Age", exact=True).fill("")
    page.get_by_label("Hours per week").fill("71")
    page.get_by_label("Occupation").select_option(label="\"><img src=x onerror=alert('category')>")
    expect(page.get_by_role("tabpanel").locator("code")).to_contain_text("71")
    expect(page.get_by_role("tabpanel").locator("code")).to_contain_text("alert('category')".replace("'", "'\"'\"'"))
    code = code_of(page, language)
    page.get_by_role("button", name="Predict").click()
    page.locator("[data-history] tbody tr").wait_for()
    found = run(language, code, tmp_path)
    record = page.evaluate("Object.fromEntries(new FormData(document.querySelector('form')))")
    assert record["hours-per-week"] == "71"
    assert page.locator("#answer .sentence").inner_text().startswith(f"Prediction: {found['prediction'].strip()}, ")
    with Client(server_of(page)) as client:
        sent = {
            "education": f" {record['education']}",
            "occupation": "\"><img src=x onerror=alert('category')>",
            "native-country": f" {record['native-country']}",
            "age": None,
            "hours-per-week": 71,
        }
        assert found == client.predict(PEOPLE, sent)


@pytest.mark.parametrize("language", TABS)
def test_the_code_sends_the_chosen_picture(page: Any, real: str, tmp_path: Path, language: str) -> None:
    file = tmp_path / "a red one's.png"
    picture("red", 1).save(file)
    page.goto(f"{real}/models/{COLOURS}")
    assert "photo.jpg" in code_of(page, language)
    page.get_by_label("Choose one picture or many").set_input_files(file)
    expect(page.get_by_role("tabpanel", name=TABS[language]).locator("code")).to_contain_text("a red one")
    page.locator(".picture .sentence").wait_for()
    found = run(language, code_of(page, language), tmp_path)
    assert found["prediction"] in page.locator(".picture .sentence").inner_text()


@pytest.mark.parametrize("language", TABS)
def test_the_code_sends_the_text(page: Any, texts: str, tmp_path: Path, language: str) -> None:
    page.goto(f"{texts}/models/words")
    text = 'it\'s a\nfine "film" $HOME `id`'
    page.get_by_label("Text").fill(text)
    expect(page.get_by_role("tabpanel").locator("code")).to_contain_text("$HOME")
    found = run(language, code_of(page, language), tmp_path)
    with Client(server_of(page)) as client:
        assert found == client.predict("words", {"text": text})


def test_the_tabs_work_with_the_keyboard(page: Any, address: str) -> None:
    page.goto(f"{address}/models/people")
    tabs = page.get_by_role("tab")
    tabs.first.focus()
    for key, name in (
        ("ArrowRight", "Python"),
        ("ArrowRight", "JavaScript"),
        ("ArrowRight", "curl"),
        ("ArrowLeft", "JavaScript"),
        ("Home", "curl"),
        ("End", "JavaScript"),
    ):
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name, selected=True)).to_be_focused()
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy the JavaScript code")).to_be_focused()
    page.reload()  # the chosen language is remembered
    expect(page.get_by_role("tab", name="JavaScript", selected=True)).to_be_visible()
    page.keyboard.press("Tab")


def test_the_code_is_copied(chromium: Chromium, address: str) -> None:
    with strict_page(chromium.new_context(permissions=["clipboard-read", "clipboard-write"])) as page:
        page.goto(f"{address}/models/people")
        code = code_of(page, "python")
        page.get_by_role("button", name="Copy the Python code").click()
        expect(page.locator("#announcer")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == code


def test_invalid_values_have_no_code(page: Any, address: str, axe: str) -> None:
    page.goto(f"{address}/models/people")
    panel = page.locator(".code-panel")
    note = panel.get_by_text("A value is missing or invalid.")
    expect(note).to_be_hidden()
    page.get_by_label("Age", exact=True).fill("")
    expect(note).to_be_visible()
    expect(panel.locator("pre")).to_have_count(0)
    assert not problems(page, axe)
    page.get_by_label("Age", exact=True).fill("51")
    expect(note).to_be_hidden()
    expect(panel.get_by_role("tabpanel").locator("code")).to_contain_text('"age": 51')
    assert not problems(page, axe)


def test_an_incomplete_number_has_no_code(page: Any, address: str) -> None:
    """For scripts it is an empty text, which would mean null."""
    page.goto(f"{address}/models/people")
    hours = page.get_by_label("Hours")
    hours.fill("")
    expect(page.get_by_role("tabpanel").locator("code")).to_contain_text('"hours": null')
    hours.press_sequentially("1e")
    expect(page.locator("[data-stale]")).to_be_visible()
    expect(page.locator(".code-panel pre")).to_have_count(0)


def test_no_box_scrolls_inside_the_panel(chromium: Chromium, address: str) -> None:
    with strict_page(chromium.new_context(viewport={"width": 390, "height": 800})) as page:
        page.goto(f"{address}/models/people")
        for language in TABS:
            code_of(page, language)
            assert (
                page.evaluate(
                    "[...document.querySelectorAll('.code-panel *')].filter((element) =>"
                    " element.clientWidth && /auto|scroll/.test(getComputedStyle(element).overflow)).length"
                )
                == 0
            )
            assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_without_scripts_all_languages_are_shown(chromium: Chromium, address: str) -> None:
    with strict_page(chromium.new_context(java_script_enabled=False)) as page:
        page.goto(f"{address}/models/people?age=77")
        for name in TABS.values():
            snippet = page.locator(".snippet", has=page.get_by_role("heading", name=name))
            expect(snippet.locator("code")).to_contain_text("predict" if name == "Python" else "/predictions/people")
        expect(page.locator(".snippet code")).to_contain_text(["77"] * 3)


def test_the_code_needs_no_prediction(page: Any, address: str, fake: FakeClient) -> None:
    page.goto(f"{address}/models/people")
    page.get_by_label("Age", exact=True).fill("51")
    expect(page.get_by_role("tabpanel").locator("code")).to_contain_text('"age": 51')
    assert not fake.requests
