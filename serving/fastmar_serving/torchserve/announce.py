"""What `fastmar serve` tells its user: progress on standard error, addresses and commands on standard output."""

from __future__ import annotations

import json
import logging
import shlex
from types import TracebackType
from urllib.parse import quote

from rich.console import Console

from fastmar_serving.torchserve.archives import Archive
from fastmar_serving.torchserve.config import RunDirectory, Settings, reachable

log = logging.getLogger(__name__)

LONGEST_INLINE = 1500  # characters of a record on the command line; a longer one goes to a file
READ_KEY = 'import json, sys; print(json.load(open(sys.argv[1]))["inference"]["key"])'


class Progress:
    """Which models are ready: a spinner on a terminal, otherwise a line for each."""

    def __init__(self, archives: list[Archive]) -> None:
        self._archives = archives
        self._ready: set[str] = set()
        console = Console(stderr=True)
        self._status = console.status(self._text()) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._status:
            self._status.start()
        else:
            log.warning("starting TorchServe with %s", ", ".join(archive.label for archive in self._archives))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def update(self, ready: list[Archive]) -> None:
        """Show what has become ready."""
        for archive in ready:
            if archive.label not in self._ready:
                self._ready.add(archive.label)
                if not self._status:
                    log.warning("%s is loaded", archive.label)
        if self._status:
            self._status.update(self._text())

    def _text(self) -> str:
        return f"Loading models: {len(self._ready)} of {len(self._archives)} ready"


def announce(
    settings: Settings, properties: dict[str, str], run: RunDirectory, archives: list[Archive], seconds: float
) -> None:
    """Print where the server is and a request for each model, ending in the line that begins with Ready.

    `archives` has the default version of each name first: its request names no version, and so follows a deployment.
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
    url = f"{reachable(properties['inference_address'])}/predictions"
    seen: set[str] = set()
    for archive in archives:
        path = quote(archive.name) if archive.name not in seen else f"{quote(archive.name)}/{quote(archive.version)}"
        seen.add(archive.name)
        print(f"\n{archive.label}\n  {curl(archive, f'{url}/{path}', settings, run)}")
    models = "1 model" if len(archives) == 1 else f"{len(archives)} models"
    print(
        f"\nReady: {models} after {seconds:.1f} s. Ctrl-C stops it once the requests under way are answered.",
        flush=True,
    )


def curl(archive: Archive, url: str, settings: Settings, run: RunDirectory) -> str:
    """A command that asks the model at `url` for an answer to its first golden record."""
    words = ["curl", "-s", url, "-H", "Content-Type: application/json"]
    words += ["--data-binary", _body(archive, run)]
    command = shlex.join(words)
    if settings.needs_tokens and settings.key_file is not None:
        command += f' -H "Authorization: Bearer $(cat {shlex.quote(str(settings.key_file))})"'
    elif settings.needs_tokens:
        key = f"$(python3 -c {shlex.quote(READ_KEY)} {shlex.quote(str(run.key_file))})"
        command += f' -H "Authorization: Bearer {key}"'
    return command


def _body(archive: Archive, run: RunDirectory) -> str:
    text = json.dumps({} if archive.sample is None else archive.sample, ensure_ascii=False)
    if len(text) <= LONGEST_INLINE and not text.startswith("@"):
        return text
    file = run.path / f"sample-{quote(archive.name, safe='')}-{quote(archive.version, safe='')}.json"
    file.write_text(text, encoding="utf-8")
    return f"@{file}"
