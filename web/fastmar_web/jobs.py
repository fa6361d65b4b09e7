"""Tables that are scored in the background: files on disk, a state in memory, gone after an hour.

A job's name can't be guessed, and is all that leads to its files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastmar_client import ClientError, Scored
from fastmar_web.backend import explained
from fastmar_web.errors import PageError, Refused, Unavailable
from fastmar_web.limits import OF_A_VISITOR, OF_AN_ADDRESS, Limit
from fastmar_web.tables import Preview

KEPT = 3600.0  # seconds after the last look, or after the work
TIDIED = 60.0  # seconds from one look for old ones to the next
ALL = 200  # jobs of all visitors
AT_WORK = 2  # threads

CHECKING, CHECKED, WAITING, SCORING, DONE, FAILED = "checking", "checked", "waiting", "scoring", "done", "failed"

Look = Callable[[Path, Callable[[int], None]], Preview]
Score = Callable[[Path, Path, Callable[[int], None]], Scored]


class _Stopped(Exception):
    """The job was removed while it was at work."""


@contextmanager
def saving() -> Iterator[None]:
    """Says in words that a table can't be saved.

    Raises:
        Unavailable: a file can't be written, to a full disk for instance.
    """
    try:
        yield
    except OSError as error:
        print(f"fastmar web: a table can't be saved: {error}", file=sys.stderr, flush=True)
        raise Unavailable(
            "There is no room for the table now.",
            fix="try again in a while, or with a smaller file; the web app's log says more.",
        ) from error


@dataclass
class Job:
    """One table.

    Attributes:
        id: the name that can't be guessed.
        model: the model's name in addresses, with its version where one was chosen.
        filename: as the visitor's machine calls it.
        folder: its files.
        state: one of the names above.
        preview: what is in the file, once that is known.
        done: rows read or scored so far.
        scored: how its rows fared, once they are scored.
        error: why it failed.
        visitor: whose it is; only the visitor's own later tables may replace it.
        address: the client address that it came from.
        size: bytes of the table, as its request announced it.
        used: when it was looked at last, or its work ended; seconds of the monotonic clock.
    """

    id: str
    model: str
    filename: str
    folder: Path
    state: str = CHECKING
    preview: Preview | None = None
    done: int = 0
    scored: Scored | None = None
    error: PageError | None = None
    visitor: str = ""
    address: str = ""
    size: int = 0
    used: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    settled: threading.Event = field(default_factory=threading.Event)

    @property
    def source(self) -> Path:
        """The table."""
        return self.folder / "table.csv"

    @property
    def answers(self) -> Path:
        """The table with the answers."""
        return self.folder / "answers.csv"

    @property
    def at_work(self) -> bool:
        """Whether something will change by itself."""
        return self.state in (CHECKING, WAITING, SCORING)

    @property
    def held(self) -> int:
        """Bytes of its files; of a table that is still being saved, what was announced."""
        files = [self.source, self.answers, self.folder / f"{self.answers.name}.part"]
        return max(self.size, sum(path.stat().st_size for path in files if path.is_file()))

    @property
    def remaining(self) -> float:
        """Seconds until it is deleted if nobody looks at it."""
        return KEPT if self.at_work else self.used + KEPT - time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether it is to be deleted."""
        return self.remaining < 0

    def progress(self, done: int) -> None:
        """Say how far it is; ends the work where nobody wants it any more."""
        if self.stop.is_set():
            raise _Stopped
        self.done = done


class Jobs:
    """All tables of this process. Safe to use from several threads."""

    def __init__(
        self, folder: Path | None = None, *, visitor: Limit = OF_A_VISITOR, address: Limit = OF_AN_ADDRESS
    ) -> None:
        self._own = folder is None
        self._visitor, self._address = visitor, address
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_WORK, thread_name_prefix="fastmar-web-table")
        self._closed = threading.Event()
        self._tidier: threading.Thread | None = None

    def add(
        self, model: str, filename: str, content: IO[bytes], look: Look, visitor: str = "", address: str = ""
    ) -> Job:
        """Save a table and begin to look at it. Where the visitor has too many, those unused for longest make room.

        Raises:
            TooMany: the visitor or the address has as many as it may have.
            Unavailable: all visitors have too many, or it can't be saved.
        """
        with saving():
            job = self._saved(model, filename, content, visitor, address)

        def work() -> str:
            job.preview = look(job.source, job.progress)
            return CHECKED

        self._pool.submit(self._guarded, job, work)
        return job

    def _saved(self, model: str, filename: str, content: IO[bytes], visitor: str, address: str) -> Job:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        with self._lock:
            self._check(size, visitor, address)
            self._make_room(size, visitor, address)
            folder = Path(tempfile.mkdtemp(dir=self._place()))
            name = secrets.token_urlsafe(24)
            job = Job(name, model, filename, folder, visitor=visitor, address=address, size=size)
            self._jobs[job.id] = job
            if self._tidier is None:  # not sooner: a server may fork before its first request
                self._tidier = threading.Thread(target=self._tidy, name="fastmar-web-tidy", daemon=True)
                self._tidier.start()
        try:
            with job.source.open("wb") as file:
                shutil.copyfileobj(content, file, 1024 * 1024)
        except BaseException:
            self.remove(job)
            raise
        return job

    def make_room(self, size: int, visitor: str = "", address: str = "") -> None:
        """See that a table of `size` bytes may be sent, before it is read, and make room on the disk.

        Saving takes three times its size: as it comes, as the table, and for its answers. The visitor's own tables at
        rest are forgotten, the longest unused first, until there is that much or none is left.

        Raises:
            TooMany: the visitor or the address has as many as it may have.
            Unavailable: all visitors have too many.
        """
        with self._lock:
            self._check(size, visitor, address)
            for job in self._at_rest(visitor):
                if shutil.disk_usage(self._place()).free >= 3 * size:
                    break
                self._forget(job)

    def score(self, job: Job, score: Score) -> None:
        """Begin to score a table that was looked at; does nothing where it was begun.

        Raises:
            TooMany: the visitor or the address has as many at work as it may have.
        """
        with self._lock:
            if job.state not in (CHECKED, FAILED) or job.preview is None:
                return
            self._check_work(job.visitor, job.address)
            job.state, job.error, job.done = WAITING, None, 0
            job.settled.clear()

        def work() -> str:
            job.state = SCORING
            job.scored = score(job.source, job.answers, job.progress)
            job.done = job.scored.rows
            return DONE

        self._pool.submit(self._guarded, job, work)

    def get(self, name: str) -> Job:
        """The job of that name.

        Raises:
            Refused: there is none, or none any more.
        """
        with self._lock:
            job = self._jobs.get(name)
            if job is not None and not job.expired:
                job.used = time.monotonic()
                return job
        raise Refused(
            "This table is not here any more.",
            fix="send it again; tables are removed after an hour without use, or to make room for your later ones.",
            status=404,
            title="Gone",
        )

    def remove(self, job: Job) -> None:
        """Forget the job and delete its files."""
        with self._lock:
            self._forget(job)

    def close(self) -> None:
        """End all work and delete all files."""
        self._closed.set()
        if self._tidier is not None:
            self._tidier.join()
        for job in list(self._jobs.values()):
            self.remove(job)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._own and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self) -> Path:
        """The folder, which only this user reads; made when it is needed."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fastmar-web-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def _guarded(self, job: Job, work: Callable[[], str]) -> None:
        """Do the work, whose value is the state that it ends in."""
        state = FAILED
        try:
            state = work()
        except _Stopped:
            shutil.rmtree(job.folder, ignore_errors=True)
        except PageError as error:
            job.error = error
        except ClientError as error:
            error.message = error.message.replace(str(job.source), "the file")  # our path says nothing to a reader
            job.error = explained(error)
        except Exception as error:  # a thread must not die silently
            print(f"fastmar web: a table failed: {error!r}", file=sys.stderr, flush=True)
            job.error = PageError("The web app failed on this table.", fix="see the log of `fastmar web`.")
        finally:
            job.used = time.monotonic()  # before the state: it must not be at rest and an hour old
            job.state = state
            job.settled.set()

    def _of(self, visitor: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.visitor == visitor]

    def _from(self, address: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.address == address]

    def _at_rest(self, visitor: str) -> list[Job]:
        """The visitor's jobs at rest, the longest unused first."""
        return sorted((job for job in self._of(visitor) if not job.at_work), key=lambda job: job.used)

    def _check_work(self, visitor: str, address: str) -> None:
        """See that one more may be at work; needs the lock."""
        self._visitor.check_work(self._of(visitor))
        self._address.check_work(self._from(address))

    def _check(self, size: int, visitor: str, address: str) -> None:
        """See that a table of `size` bytes may come, once the visitor's own at rest make room; needs the lock."""
        self._check_work(visitor, address)
        self._visitor.check_room([job for job in self._of(visitor) if job.at_work], size)
        self._address.check_room([job for job in self._from(address) if job.at_work or job.visitor != visitor], size)
        if len(self._jobs) >= ALL and not self._at_rest(visitor):
            raise Unavailable("The web app holds too many tables now.", fix="try again in a few minutes.")

    def _make_room(self, size: int, visitor: str, address: str) -> None:
        """Forget the visitor's jobs at rest, the longest unused first, until a table is within all limits."""
        for job in self._at_rest(visitor):
            within = self._visitor.fits(self._of(visitor), size) and self._address.fits(self._from(address), size)
            if within and len(self._jobs) < ALL:
                break
            self._forget(job)

    def _forget(self, job: Job) -> None:
        """Take the job out and delete its files; needs the lock."""
        job.stop.set()
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def _tidy(self) -> None:
        """Remove jobs that nobody has looked at for an hour, until all is closed."""
        while not self._closed.wait(TIDIED):
            with self._lock:
                for job in [job for job in self._jobs.values() if job.expired]:
                    self._forget(job)
