"""The output of `fastmar serve`: progress on standard error, addresses and sample commands on standard output."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import quote

from rich.console import Console

from fastmar_serving.archives import Archive
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.settings import Settings, reachable_url

log = logging.getLogger(__name__)

MAX_INLINE = 1500  # characters of a record in a sample command; a longer record goes to a file
READ_KEY = 'import json, sys; print(json.load(open(sys.argv[1]))["inference"]["key"])'


class Progress:
    """Shows which models are ready: a spinner on a terminal, otherwise a log line for each."""

    def __init__(self, archives: list[Archive]) -> None:
        self._archives = archives
        self._ready: set[str] = set()
        console = Console(stderr=True)
        self._status = console.status(self._text()) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._status:
            self._status.start()
        else:
            log.info("starting TorchServe with %s", ", ".join(archive.label for archive in self._archives))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def update(self, ready: list[Archive]) -> None:
        """Show the models that are ready."""
        for archive in ready:
            if archive.label not in self._ready:
                self._ready.add(archive.label)
                if not self._status:
                    log.info("%s is loaded", archive.label)
        if self._status:
            self._status.update(self._text())

    def _text(self) -> str:
        return f"Loading models: {len(self._ready)} of {len(self._archives)} ready"


def announce(
    settings: Settings,
    properties: dict[str, str],
    run: RunDirectory,
    archives: list[Archive],
    seconds: float,
    left_out: Sequence[str] = (),
) -> None:
    """Print the addresses and a sample request for each model. The last line begins with Ready.

    `archives` has the default version of each model first; its sample request names no version.
    """
    print(f"Inference   {properties['inference_address']}")
    print(f"Management  {properties['management_address']}")
    print(f"Metrics     {properties['metrics_address']}/metrics")
    if settings.needs_tokens and settings.key_file is not None:
        print(f"Key         {settings.key_file}")
    elif settings.needs_tokens:
        print(f"Keys        {run.key_file} (new at each start)")
    elif settings.needs_management_key:
        print(f"Keys        {run.key_file} (of the management API)")
    url = f"{reachable_url(properties['inference_address'])}/predictions"
    seen: set[str] = set()
    for archive in archives:
        path = quote(archive.name) if archive.name not in seen else f"{quote(archive.name)}/{quote(archive.version)}"
        seen.add(archive.name)
        print(f"\n{archive.label}\n  {curl(archive, f'{url}/{path}', settings, run)}")
    models = "1 model" if len(archives) == 1 else f"{len(archives)} models"
    if left_out:
        models += f" (left out: {', '.join(left_out)})"
    print(
        f"\nReady: {models} after {seconds:.1f} s. Ctrl-C answers all requests in flight, then stops.",
        flush=True,
    )


def curl(archive: Archive, url: str, settings: Settings, run: RunDirectory) -> str:
    """A curl command that sends the model's sample record to `url`."""
    arguments = ["curl", "-s", url, "-H", "Content-Type: application/json"]
    arguments += ["--data-binary", _body(archive, run)]
    command = shlex.join(arguments)
    if settings.needs_tokens and settings.key_file is not None:
        command += f' -H "Authorization: Bearer $(grep -m1 "^[^#]" {shlex.quote(str(settings.key_file))})"'
    elif settings.needs_tokens:
        key = f"$(python3 -c {shlex.quote(READ_KEY)} {shlex.quote(str(run.key_file))})"
        command += f' -H "Authorization: Bearer {key}"'
    return command


def _body(archive: Archive, run: RunDirectory) -> str:
    text = json.dumps({} if archive.sample is None else archive.sample, ensure_ascii=False)
    if len(text) <= MAX_INLINE and not text.startswith("@"):
        return text
    file = run.path / f"sample-{quote(archive.name, safe='')}-{quote(archive.version, safe='')}.json"
    file.write_text(text, encoding="utf-8")
    return f"@{file}"
