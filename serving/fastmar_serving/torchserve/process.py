"""The server's process: start Java, and end it with all its workers."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TextIO, cast

from fastmar_serving.run_directory import FAILURES, RunDirectory
from fastmar_serving.settings import PYTHON_VARIABLES
from fastmar_serving.torchserve.java import Java, TorchServe
from fastmar_serving.torchserve.logs import ServerLog

FRONT = Path(__file__).parent / "front" / "front.jar"
PROGRAMS = Path(__file__).parent / "programs"  # programs that TorchServe calls: the workers' Python, `kill`
PR_SET_PDEATHSIG = 1
END_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
WORKER_TIMEOUT = 3.0  # the same for workers, when Java has ended
# Variables that would override the properties, or put other modules before the archive's.
REMOVED_VARIABLES = (
    *PYTHON_VARIABLES,
    "LOG_LOCATION",
    "METRICS_LOCATION",
    "TS_CONFIG_FILE",
    "TS_MODEL_SERVER_HOME",
)
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ServerProcess:
    """TorchServe's Java process, its workers, and their output."""

    def __init__(
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        show: Callable[[str], None],
        descriptors: Collection[int] = (),
    ) -> None:
        # Java is the leader of a new process group: Ctrl-C on the terminal reaches only the launcher, which drains
        # first, and `stop` kills all workers through the group.
        self._process = subprocess.Popen(  # noqa: S603 - Java, with arguments from `start`
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            process_group=0,
            pass_fds=tuple(descriptors),
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - two system calls, no lock
        )
        self.folder = cwd
        self.log = ServerLog(cast(TextIO, self._process.stdout), show, cwd / FAILURES)

    @property
    def pid(self) -> int:
        """Process id of Java."""
        return self._process.pid

    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End Java and the workers, by SIGKILL after a timeout."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_TIMEOUT)
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
            self._end_group()
        self._process.wait()
        self.log.wait_for_end(END_TIMEOUT)
        cast(TextIO, self._process.stdout).close()

    def _end_group(self) -> None:
        """End what is left of the process group. Raises ProcessLookupError when nothing is.

        Workers report their profiles and requests for the last time when they get SIGTERM.
        """
        group = self._process.pid
        deadline = time.monotonic() + WORKER_TIMEOUT
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(-group, os.WNOHANG)  # process 1 of a container is the parent of workers without Java
            os.killpg(group, 0)
            time.sleep(0.01)
        os.killpg(group, signal.SIGKILL)


def start(
    java: Java,
    torchserve: TorchServe,
    run: RunDirectory,
    properties: dict[str, str],
    *,
    threads: int,
    show: Callable[[str], None],
    descriptors: Collection[int] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> ServerProcess:
    """Start the front, the Java code that receives each request (`front/`). It starts TorchServe in its own process.

    `threads` is the number of threads of each worker, `descriptors` are sockets on which Java accepts; `show` is called
    with the lines of the server's output that are for the user. `variables` are environment variables of the workers.
    """
    command = [
        str(java.path),
        *java.options(),
        *properties.get("vmargs", "").split(),
        f"-Dmodel_server_home={torchserve.home}",
        f"-Djava.io.tmpdir={run.temporary}",
        f"-Dlog4j.configurationFile={run.logging.as_uri()}",
        "-cp",
        os.pathsep.join([str(FRONT), str(torchserve.jar)]),
        "fastmar.front.Main",
        str(run.front_socket),
        "--python",
        str(PROGRAMS / "python"),
        "-f",
        str(run.config),
        "-s",
        properties["model_store"],
        "-ncs",
    ]
    env = {**environment(os.environ, properties, threads), **variables}
    return ServerProcess(command, cwd=run.path, env=env, show=show, descriptors=descriptors)


def environment(inherited: Mapping[str, str], properties: dict[str, str], threads: int) -> dict[str, str]:
    """Environment of the server and its workers."""
    env = {name: value for name, value in inherited.items() if name not in REMOVED_VARIABLES}
    for name in THREAD_COUNTS:
        env.setdefault(name, str(threads))
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C"
    if "utf" not in locale.lower():  # Java takes the encoding of paths from it
        env["LC_ALL"] = "C.UTF-8"
    env["FASTMAR_PYTHON"] = sys.executable  # run by PROGRAMS / "python"
    env["PYTHONFAULTHANDLER"] = "1"  # a traceback of a crash in native code
    env["PYTHONUNBUFFERED"] = "1"  # no lost output of a worker that dies
    env["FASTMAR_MAX_RESPONSE_BYTES"] = properties["max_response_size"]  # read by the handler
    if shutil.which("kill", path=env.get("PATH")) is None:
        env["PATH"] = os.pathsep.join(filter(None, [env.get("PATH"), str(PROGRAMS)]))
    if "ts_open_inference_protocol" in properties:  # TorchServe reads it only from the environment
        env["TS_OPEN_INFERENCE_PROTOCOL"] = properties["ts_open_inference_protocol"]
    return env


def _die_with_parent() -> Callable[[], None] | None:
    """A function for the child between fork and exec: makes the kernel kill it when the launcher dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork, since few calls are safe after it
    parent = os.getpid()

    def set_death_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the launcher died before the call
            os._exit(1)

    return set_death_signal
