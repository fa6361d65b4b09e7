"""The server's process: started as Java itself, watched, and ended with everything it started."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

from fastmar_serving.torchserve.config import RunDirectory
from fastmar_serving.torchserve.java import Java, TorchServe
from fastmar_serving.torchserve.logs import FAILURES, ServerLog

FRONT = Path(__file__).parent / "front" / "front.jar"
PROGRAMS = Path(__file__).parent / "programs"  # what TorchServe calls and small containers don't have: `kill`
PR_SET_PDEATHSIG = 1
ENDS_WITHIN = 10.0  # seconds that Java is given after SIGTERM
# Variables by which the environment would reach past the properties, or put foreign modules before the archive's.
UNWANTED = (
    "LOG_LOCATION",
    "METRICS_LOCATION",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "TS_CONFIG_FILE",
    "TS_MODEL_SERVER_HOME",
)
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ServerProcess:
    """TorchServe's Java, its workers, and what they print."""

    def __init__(
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        show: Callable[[str], None],
        descriptors: Collection[int] = (),
    ) -> None:
        # Java gets a process group of its own: Ctrl-C on the terminal reaches the launcher alone, which drains first,
        # and the group's number finds every worker in the end.
        self._process = subprocess.Popen(  # noqa: S603 - Java, with arguments of ours
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
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - it makes two system calls and takes no lock
        )
        self.log = ServerLog(cast(TextIO, self._process.stdout), show, cwd / FAILURES)

    @property
    def pid(self) -> int:
        """Process id of Java."""
        return self._process.pid

    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End Java, by force if it hangs, and then whatever is left of its workers."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_WITHIN)
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.log.wait_for_end(ENDS_WITHIN)
        cast(TextIO, self._process.stdout).close()


def start(
    java: Java,
    torchserve: TorchServe,
    run: RunDirectory,
    properties: dict[str, str],
    *,
    threads: int,
    show: Callable[[str], None],
    descriptors: Collection[int] = (),
) -> ServerProcess:
    """Start the front, which starts TorchServe.

    `threads` is how many each worker may use, `descriptors` are those of sockets that Java accepts on; `show` is given
    what the server prints and a person should read.
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
        sys.executable,
        "-f",
        str(run.config),
        "-s",
        properties["model_store"],
        "-ncs",
    ]
    env = environment(os.environ, properties, threads)
    return ServerProcess(command, cwd=run.path, env=env, show=show, descriptors=descriptors)


def environment(inherited: Mapping[str, str], properties: dict[str, str], threads: int) -> dict[str, str]:
    """The server's environment, which its workers get too."""
    env = {name: value for name, value in inherited.items() if name not in UNWANTED}
    for name in THREAD_COUNTS:
        env.setdefault(name, str(threads))
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C"
    if "utf" not in locale.lower():  # Java takes the encoding of paths from it, and can't open one with an "é" in ASCII
        env["LC_ALL"] = "C.UTF-8"
    env["PYTHONFAULTHANDLER"] = "1"  # a worker that dies in native code says where
    env["PYTHONUNBUFFERED"] = "1"  # what a worker prints arrives before it dies
    env["FASTMAR_MAX_RESPONSE_BYTES"] = properties["max_response_size"]  # so that the handler refuses to exceed it
    if shutil.which("kill", path=env.get("PATH")) is None:
        env["PATH"] = os.pathsep.join(filter(None, [env.get("PATH"), str(PROGRAMS)]))
    if "ts_open_inference_protocol" in properties:  # TorchServe reads this one from the environment alone
        env["TS_OPEN_INFERENCE_PROTOCOL"] = properties["ts_open_inference_protocol"]
    return env


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does between fork and exec so that the kernel kills it when the launcher dies, however it dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork: little is safe behind it
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # died before the request was in
            os._exit(1)

    return ask_kernel
