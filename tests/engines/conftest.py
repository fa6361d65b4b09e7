"""Servers of each engine: one with models trained by fastai, and one with keys and a tiny model."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fastmar_serving.audit import FILE as AUDIT
from fastmar_serving.management import Management, ManagementError, management_key
from fastmar_serving.testing import RunningServer
from tests.archives import ratings_archive, tiny_archive
from tests.conftest import COOKBOOK
from tests.engines import Engine
from tests.engines.calls import KEY, ORIGIN, command_runner
from tests.once import made_once

TABLES, COLOURS, TEXTS, LANGUAGE = "holes", "colours", "reviews", "language"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a model of each kind, trained by fastai."""
    return made_once(tmp_path_factory, "engines", make_store) / "store"


def make_store(folder: Path) -> None:
    # Slow imports, which most tests of this folder do not need.
    from fastmar_export.exporter import Options, export_learner
    from tests import pictures
    from tests.export import texts
    from tests.export.tables import CASES, make_learner

    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.export(folder / "learner.pkl")
    export_learner(folder / "learner.pkl", Options(TABLES, output=folder / "store"))
    pictures.make_learner(folder / "pictures").export(folder / "pictures.pkl")
    export_learner(folder / "pictures.pkl", Options(COLOURS, output=folder / "store"))
    texts.make_learner(texts.CASES["one label"]).export(folder / "texts.pkl")
    export_learner(folder / "texts.pkl", Options(TEXTS, output=folder / "store"))
    texts.make_language_model(texts.make_block(is_lm=True)).export(folder / "language.pkl")
    export_learner(folder / "language.pkl", Options(LANGUAGE, output=folder / "store"))
    ratings_archive(folder / "store")
    if COOKBOOK.is_dir():
        export_learner(COOKBOOK / "adult_sample_model.pkl", Options("adult", output=folder / "store"))


@pytest.fixture(scope="session")
def server(engine: Engine, store: Path) -> Iterator[RunningServer]:
    """A server without keys."""
    with engine.serve(store) as running:
        yield running


@pytest.fixture(scope="session")
def page_origin() -> Iterator[str]:
    """The origin of an empty page on another port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,)).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(scope="session")
def keyed(engine: Engine, page_origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a fixed key, allowed origins, a short time limit for requests, and the tiny model 1.0."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "key").write_text(f"{KEY}\n")
    (folder / "store").mkdir()
    tiny_archive(folder / "store", "1.0")
    options = ["--key-file", str(folder / "key"), "--run-dir", str(folder / "run"), "--request-timeout", "2"]
    with engine.serve(folder / "store", *options, "--cors-origins", ORIGIN, page_origin) as running:
        yield running


@pytest.fixture(scope="session")
def keyed_store(keyed: RunningServer) -> Path:
    """The model store of `keyed`."""
    from fastmar_serving import registry

    running = registry.find(keyed.url)
    assert running is not None
    return Path(running.model_store)


@pytest.fixture(scope="session")
def management(keyed: RunningServer) -> Management:
    """The management API of `keyed`."""
    from fastmar_serving import registry

    running = registry.find(keyed.url)
    assert running is not None
    assert running.key_file is not None
    key_file = Path(running.key_file)
    return Management(running.management, lambda: management_key(key_file))


@pytest.fixture
def restored(keyed_store: Path, management: Management) -> Iterator[None]:
    """After the test, only version 1.0 of the tiny model is in the store and the server."""
    yield
    management.set_default("tiny", "1.0")
    for _ in range(2):  # the default version can only be removed after the others
        for name in management.names():
            for version in management.describe(name):
                if (name, version["modelVersion"]) != ("tiny", "1.0"):
                    with suppress(ManagementError):
                        management.unregister(name, version["modelVersion"])
    for path in keyed_store.iterdir():
        if path.name not in ("tiny-1.0.mar", AUDIT):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def fastmar(keyed: RunningServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    return command_runner(keyed, capsys)


@pytest.fixture
def tiny_store(tmp_path: Path) -> Path:
    """A store with the tiny model 1.0, for a server of the test's own."""
    (tmp_path / "store").mkdir()
    tiny_archive(tmp_path / "store", "1.0")
    return tmp_path / "store"
