"""Code examples send the same request as the page, whatever its values; they never contain the key."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from typing import Any

import pytest

from fastmar_web.snippets import SnippetWriter

RECORD: dict[str, Any] = {
    "plain": " Private",
    "it's": "a'; touch /tmp/hacked; echo '",
    "$(id)": '`id` $HOME \\ " \n <script>',
    "none": None,
    "yes": True,
    "n": 1.5,
    "ü": "ß",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("needs_key", [False, True])
def test_curl_sends_exactly_the_record(needs_key: bool) -> None:
    snippets = SnippetWriter("http://host:8080", "adult", "2.0", needs_key=needs_key).record(RECORD)
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + snippets.curl
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"FASTMAR_KEY": "s3cret"})
    arguments = done.stdout.decode().split("\0")
    assert json.loads(arguments[arguments.index("-d") + 1]) == RECORD
    assert arguments[1] == "http://host:8080/predictions/adult/2.0"
    assert ("Authorization: Bearer s3cret" in arguments) is needs_key
    assert "s3cret" not in snippets.curl


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize("needs_key", [False, True])
def test_javascript_sends_exactly_the_record(needs_key: bool) -> None:
    snippets = SnippetWriter("http://host:8080", "adult", "2.0", needs_key=needs_key).record(RECORD)
    fetch = "globalThis.fetch = async (url, options) => ({ ok: true, json: () => [url, options] });\n"
    script = fetch + snippets.javascript.replace("console.log(answer)", "console.log(JSON.stringify(answer))")
    done = subprocess.run(
        [str(shutil.which("node")), "--input-type=module", "-e", script],
        capture_output=True,
        check=True,
        env={"FASTMAR_KEY": "s3cret"},
    )
    url, sent = json.loads(done.stdout)
    assert url == "http://host:8080/predictions/adult/2.0"
    assert sent["method"] == "POST"
    assert json.loads(sent["body"]) == RECORD
    key = {"Authorization": "Bearer s3cret"} if needs_key else {}
    assert sent["headers"] == {"Content-Type": "application/json", **key}
    assert "s3cret" not in snippets.javascript


def test_the_python_example_has_the_record() -> None:
    snippets = SnippetWriter("http://host:8080", "adult", None, needs_key=True).record(RECORD)
    tree = ast.parse(snippets.python)
    imports = [isinstance(each, ast.Import | ast.ImportFrom) for each in tree.body]
    assert imports == sorted(imports, reverse=True), "imports come first"
    [record] = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and node.targets[0].id == "record"
    ]  # type: ignore[attr-defined]
    assert ast.literal_eval(record) == RECORD
    assert 'token=os.environ["FASTMAR_KEY"]' in snippets.python


def test_python_examples_run_with_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    import fastmar_client

    called: list[Any] = []

    class Recorder:
        def __init__(self, *args: Any, **options: Any) -> None:
            called.append((args, options))

        def __enter__(self) -> Recorder:
            return self

        def __exit__(self, *args: Any) -> None: ...

        def __getattr__(self, name: str) -> Any:
            assert hasattr(real, name)
            return lambda *args, **options: called.append((name, args, options))

    real = fastmar_client.Client
    monkeypatch.setattr(fastmar_client, "Client", Recorder)
    monkeypatch.setenv("FASTMAR_KEY", "k")
    writer = SnippetWriter("http://host", "m", "1.0", needs_key=True)
    for snippets in (writer.record({"a": 1}), writer.picture(), writer.table()):
        exec(snippets.python, {})
    assert called == [
        (("http://host",), {"token": "k"}), ("predict", ("m", {"a": 1}), {"version": "1.0"}),
        (("http://host",), {"token": "k"}), ("predict", ("m", "photo.jpg"), {"version": "1.0"}),
        (("http://host",), {"token": "k"}), ("score_csv", ("m", "rows.csv", "answers.csv"), {"version": "1.0"}),
    ]  # fmt: skip
