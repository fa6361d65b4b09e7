"""Background jobs that score tables: files on the disk, state in memory, deleted after an hour.

A job's id can't be guessed, and is the only way to its files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from fastmar_client import ClientError, Scored
from fastmar_web.backend import page_error
from fastmar_web.errors import PageError, RequestRefused, Unavailable
from fastmar_web.limits import ADDRESS_LIMIT, VISITOR_LIMIT, Limit
from fastmar_web.tables.job import CHECKED, DONE, FAILED, SCORING, WAITING, Job, JobRemoved
from fastmar_web.tables.preview import Preview
from fastmar_web.tables.progress import Pace
from fastmar_web.tables.storage import storage_errors

CLEANUP_INTERVAL = 60.0  # seconds
MAX_JOBS = 200  # of all visitors
THREADS = 2
COPIES = 4  # of a table on the disk: the upload, the saved file, the answers, and the answers for the page

JSON = dict[str, Any]
MakePreview = Callable[[Path, Callable[[int], None]], Preview]
ScoreTable = Callable[[Path, Path, Callable[[int], None]], Scored]


class Jobs:
    """All tables of this process. Safe to use from several threads."""

    def __init__(
        self, folder: Path | None = None, *, visitor: Limit = VISITOR_LIMIT, address: Limit = ADDRESS_LIMIT
    ) -> None:
        self._owns_folder = folder is None
        self._visitor, self._address = visitor, address
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fastmar-web-table")
        self._closed = threading.Event()
        self._cleaner: threading.Thread | None = None

    def add(
        self,
        model: str,
        filename: str,
        content: IO[bytes],
        preview: MakePreview,
        visitor: str = "",
        address: str = "",
        schema: JSON | None = None,
    ) -> Job:
        """Save a table and start to check it. The visitor's least recently used tables are deleted to make room.

        Raises:
            TooManyTables: the visitor or the address has reached its limit.
            Unavailable: all visitors together have too many tables, or the table can't be saved.
        """
        with storage_errors():
            job = self._save(model, filename, content, visitor, address)
            job.schema = schema or {}

        def work() -> str:
            job.preview = preview(job.source, job.progress)
            return CHECKED

        self._pool.submit(self._run, job, work)
        return job

    def _save(self, model: str, filename: str, content: IO[bytes], visitor: str, address: str) -> Job:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        with self._lock:
            self._check(size, visitor, address)
            self._make_room(size, visitor, address)
            folder = Path(tempfile.mkdtemp(dir=self._make_folder()))
            job_id = secrets.token_urlsafe(24)
            job = Job(job_id, model, filename, folder, visitor=visitor, address=address, size=size)
            self._jobs[job.id] = job
            if self._cleaner is None:  # not in __init__: a server may fork before its first request
                self._cleaner = threading.Thread(target=self._delete_expired, name="fastmar-web-cleanup", daemon=True)
                self._cleaner.start()
        try:
            with job.source.open("wb") as file:
                shutil.copyfileobj(content, file, 1024 * 1024)
        except BaseException:
            self.remove(job)
            raise
        return job

    def make_room(self, size: int, visitor: str = "", address: str = "") -> None:
        """Check that a table of `size` bytes may be uploaded, before it is read, and make room on the disk.

        A table needs `COPIES` times its size. Idle tables of the same visitor are deleted, the least recently used
        first, until there is enough space or none is left.

        Raises:
            TooManyTables: the visitor or the address has reached its limit.
            Unavailable: all visitors together have too many tables.
        """
        with self._lock:
            self._check(size, visitor, address)
            for job in self._idle_jobs(visitor):
                if shutil.disk_usage(self._make_folder()).free >= COPIES * size:
                    break
                self._delete(job)

    def score(self, job: Job, score: ScoreTable) -> None:
        """Start to score a checked table; does nothing if it was started before.

        Raises:
            TooManyTables: the visitor or the address has too many active tables.
        """
        with self._lock:
            if job.state not in (CHECKED, FAILED) or job.preview is None:
                return
            self._check_active(job.visitor, job.address)
            job.state, job.error, job.done, job.pace = WAITING, None, 0, Pace()
            job.finished.clear()

        def work() -> str:
            job.state = SCORING
            job.scored = score(job.source, job.answers, job.progress)
            job.done = job.scored.rows
            return DONE

        self._pool.submit(self._run, job, work)

    def get(self, job_id: str) -> Job:
        """The job with this id.

        Raises:
            RequestRefused: it does not exist, or was deleted.
        """
        with self._lock:
            job = self._jobs.get(job_id)
            if job is not None and not job.expired:
                job.last_used = time.monotonic()
                return job
        raise RequestRefused(
            "This table does not exist any more.",
            fix="send it again; tables are deleted after an hour without use, or to make room for your later ones.",
            code="table_not_found",
            status=404,
            title="Gone",
        )

    def remove(self, job: Job) -> None:
        """Remove the job and delete its files."""
        with self._lock:
            self._delete(job)

    def close(self) -> None:
        """Stop all work and delete all files."""
        self._closed.set()
        if self._cleaner is not None:
            self._cleaner.join()
        for job in list(self._jobs.values()):
            self.remove(job)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._owns_folder and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_folder(self) -> Path:
        """The folder of all jobs, readable by this user only; created at the first use."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fastmar-web-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def _run(self, job: Job, work: Callable[[], str]) -> None:
        """Do the work, which returns the final state, and record its outcome."""
        state = FAILED
        try:
            state = work()
        except JobRemoved:
            shutil.rmtree(job.folder, ignore_errors=True)
        except PageError as error:
            job.error = error
        except ClientError as error:
            error.message = error.message.replace(str(job.source), "the file")  # the visitor does not know the path
            job.error = page_error(error)
        except Exception as error:  # a thread must not die silently
            print(f"fastmar web: a table failed: {error!r}", file=sys.stderr, flush=True)
            job.error = PageError(
                "This page failed on your table.",
                fix="try again.",
                code="internal_error",
                operator="the log of `fastmar web` has the details.",
            )
        finally:
            job.last_used = time.monotonic()  # before the state, or an idle job could look expired
            job.state = state
            job.finished.set()

    def _jobs_of_visitor(self, visitor: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.visitor == visitor]

    def _jobs_of_address(self, address: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.address == address]

    def _idle_jobs(self, visitor: str) -> list[Job]:
        """The visitor's jobs that are not active, the least recently used first."""
        return sorted(
            (job for job in self._jobs_of_visitor(visitor) if not job.is_active), key=lambda job: job.last_used
        )

    def _check_active(self, visitor: str, address: str) -> None:
        """Check that one more job may be active; needs the lock."""
        self._visitor.check_active(self._jobs_of_visitor(visitor))
        self._address.check_active(self._jobs_of_address(address))

    def _check(self, size: int, visitor: str, address: str) -> None:
        """Check that a table of `size` bytes fits once the visitor's idle tables are deleted; needs the lock."""
        self._check_active(visitor, address)
        self._visitor.check_room([job for job in self._jobs_of_visitor(visitor) if job.is_active], size)
        self._address.check_room(
            [job for job in self._jobs_of_address(address) if job.is_active or job.visitor != visitor], size
        )
        if len(self._jobs) >= MAX_JOBS and not self._idle_jobs(visitor):
            raise Unavailable(
                "The web app has too many tables now.", fix="try again in a few minutes.", code="too_many_jobs"
            )

    def _make_room(self, size: int, visitor: str, address: str) -> None:
        """Delete the visitor's idle jobs, the least recently used first, until a table fits; needs the lock."""
        for job in self._idle_jobs(visitor):
            fits = self._visitor.fits(self._jobs_of_visitor(visitor), size) and self._address.fits(
                self._jobs_of_address(address), size
            )
            if fits and len(self._jobs) < MAX_JOBS:
                break
            self._delete(job)

    def _delete(self, job: Job) -> None:
        """Remove the job and delete its files; needs the lock."""
        job.cancelled.set()
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def _delete_expired(self) -> None:
        """Delete expired jobs, in a thread, until `close()`."""
        while not self._closed.wait(CLEANUP_INTERVAL):
            with self._lock:
                for job in [job for job in self._jobs.values() if job.expired]:
                    self._delete(job)
