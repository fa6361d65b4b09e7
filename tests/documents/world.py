"""The files that the commands of the documents name, and a shell with a server that runs them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import requests
from examples import flights

from fastmar_export.exporter import Options, export_learner
from fastmar_serving.testing import RunningServer, running_server
from tests.client.models import export_adult
from tests.documents.blocks import ROOT
from tests.pictures import make_learner, picture

SERVER = "http://127.0.0.1:8080"
ROWS = 256  # enough for a verdict about drift
TIMEOUT = 240  # seconds for a command


def make_world(folder: Path) -> None:
    """Write the files: `learner.pkl`, tables, pictures and `archives/`, from which a page's store is filled."""
    archives = folder / "archives"
    model = flights.benchmark_model()
    shutil.copy(model.learner, folder / "learner.pkl")
    rows = pd.DataFrame(model.records[:ROWS])
    rows.to_csv(folder / "rows.csv", index=False)
    labels = [answer["prediction"] for answer in model.answers[:ROWS]]
    rows.assign(**{flights.TARGET: labels}).to_csv(folder / "labelled.csv", index=False)
    for name in ("flights", "people"):  # the same learner under two names
        export_learner(folder / "learner.pkl", Options(name, output=archives, reference=folder / "rows.csv"))
    export_adult(archives)
    (folder / "record.json").write_text(
        json.dumps({"workclass": None, "age": 49, "education": " Masters", "hours-per-week": 40})
    )
    make_learner(folder / "pictures").export(folder / "colours.pkl")
    export_learner(folder / "colours.pkl", Options("textures", output=archives))
    (folder / "photos").mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        picture(colour, number).save(folder / "photos" / f"{colour}.jpg")
    export_films(folder, archives)
    export_stories(folder, archives)


def export_films(folder: Path, archives: Path) -> None:
    """A model that recommends films to users with numbers."""
    from fastai.collab import CollabDataLoaders, collab_learner

    titles = ["Alien (1979)", "Brazil (1985)", "Casablanca (1942)", *(f"Film {number} (1990)" for number in range(20))]
    rows = [
        {"user": user, "title": title, "rating": (user + len(title)) % 5 + 1.0}
        for user in range(20)
        for title in titles
    ]
    loaders = CollabDataLoaders.from_df(pd.DataFrame(rows), item_name="title", seed=1, bs=64, num_workers=0)
    learn = collab_learner(loaders, n_factors=4, y_range=(0, 5.5))
    learn.export(folder / "films.pkl")
    export_learner(folder / "films.pkl", Options("films", output=archives))


def export_stories(folder: Path, archives: Path) -> None:
    """A language model."""
    from tests.export.texts import make_block, make_language_model

    make_language_model(make_block()).export(folder / "stories.pkl")
    export_learner(folder / "stories.pkl", Options("stories", output=archives))


class Shell:
    """Runs the commands of one page in a folder of its own.

    `fastmar serve` and `fastmar web` are started on free ports and stopped at the end of the page; the URL of the
    server takes the place of the one in later commands. A page that needs a server and starts none gets one.
    """

    def __init__(self, folder: Path, page: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._server: RunningServer | None = None
        store = folder / "model_store"
        store.mkdir()
        text = page.read_text("utf-8")
        if "fastmar new ui.yaml" not in text:
            (folder / "ui.yaml").write_text("title: People\n", "utf-8")
        for archive in (folder / "archives").glob("*.mar"):
            named = re.search(rf"(model_store|new|predictions)/{archive.stem}\b", text)
            if named or archive.stem == "flights":
                shutil.copy(archive, store)

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def run(self, command: str) -> None:
        """Run a command, and check its exit status: 0, or the one in a comment such as `# status 3`."""
        words = shlex.split(command, comments=True)
        if words[0] == "make":
            return  # tests/test_house.py checks the targets; they install, build images or run all tests
        if words[:2] == ["pip", "install"]:
            self._check_extras(command)
        elif words[:2] == ["fastmar", "serve"]:
            self._serve(words[2:])
        elif words[:2] == ["fastmar", "web"]:
            self._web()
        else:
            self._run(command, words)

    def _check_extras(self, command: str) -> None:
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        named = {name for extras in re.findall(r"\[([\w,]+)\]", command) for name in extras.split(",")}
        assert named <= set(known), command

    def _serve(self, options: list[str]) -> None:
        self._running.close()  # the page's previous server
        kept = re.sub(r"--(host|port|model-store) \S+", "", shlex.join(options))
        self._server = self._running.enter_context(running_server(self._folder / "model_store", *shlex.split(kept)))

    def _url(self) -> str:
        if self._server is None:
            self._serve([])
        assert self._server is not None
        return self._server.url

    def _web(self) -> None:
        command = [sys.executable, "-m", "fastmar_cli.main", "web", "--port", "0", "--url", self._url()]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "http://" in line)
            found = re.search(r"http://\S+", line)
            assert found
            assert requests.get(found.group(), timeout=TIMEOUT).status_code == 200
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT)

    def _run(self, command: str, words: list[str]) -> None:
        uses_server = SERVER in command or words[1:2] in (["deploy"], ["rollback"], ["models"])
        url = self._url() if uses_server else ""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "FASTMAR_URL": url, "CURL_HOME": str(self._folder)}
        if not url:
            del environment["FASTMAR_URL"]
        (self._folder / ".curlrc").write_text("fail-with-body\nsilent\n")
        done = subprocess.run(
            ["bash", "-c", command.replace(SERVER, url)],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        status = re.search(r"# status (\d)", command)
        assert done.returncode == int(status[1] if status else 0), f"{command}\n{done.stdout}\n{done.stderr}"
