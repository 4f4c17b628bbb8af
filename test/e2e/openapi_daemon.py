"""A daemon of the real binary for the check of its API, in a directory of its own, and HTTP without anybody's help.

Requests are written by hand, so that they can be wrong in every way that the document names.
"""
from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 30.0
MAX_BODY = 300_000
MARK = "TR_OPENAPI_HOME"
# Nobody listens there: the daemon has a source, which does not work.
NO_REDIS = "127.0.0.1:1"


class trouble(Exception):
    """Something went wrong that every check takes for granted."""


def await_that(what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Waits until something is true, and gives it."""
    until = time.monotonic() + patience_s
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > until:
            raise trouble(f"in {patience_s} s it did not come to it that {what}")
        time.sleep(0.01)


@dataclasses.dataclass
class answer:
    """One answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(connection: socket.socket, bodiless: bool = False) -> answer:
    """The next answer of a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65_536)
        if not more:
            raise trouble(f"the connection ended instead of an answer: {received[:200]!r}")
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not re.fullmatch(r"HTTP/1\.1 [1-5][0-9]{2} [A-Za-z ]+", first):
        raise trouble(f"this is no status line: {first}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name.lower() in headers:
            raise trouble(f"the header {name} is there twice")
        headers[name.lower()] = value
    status = int(first.split()[1])
    expected = 0 if bodiless or status in (204, 304) else int(headers["content-length"])
    while len(body) < expected:
        more = connection.recv(65_536)
        if not more:
            raise trouble("the connection ended within a body")
        body += more
    if len(body) != expected:
        raise trouble(f"a body of {expected} bytes has {len(body)}")
    return answer(status, headers, body)


def request_text(
    method: str, target: str, headers: dict[str, str], body: bytes = b"", version: str = "HTTP/1.1"
) -> bytes:
    """A request as it is sent; a header that is given stands in the place of the usual one."""
    usual = {"Host": "127.0.0.1"} | ({"Content-Length": str(len(body))} if body else {})
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in (usual | headers).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class daemon:
    """The daemon, which may end and be started again on the same state directory."""

    def __init__(self, binary: str) -> None:
        self.binary = binary
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="tr-openapi."))
        self.log = self.place / "log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, port: int = 0, *flags: str, ini: str = "", descriptors: int = 0) -> None:
        """Starts it, and waits for nothing."""
        self.log.write_bytes(b"")
        words = [
            self.binary,
            "-state-dir",
            str(self.place / "state"),
            "-pidfile",
            str(self.place / "pid"),
            "-http-addr",
            f"127.0.0.1:{port}",
            "-redis-host",
            NO_REDIS,
            "-max-body",
            str(MAX_BODY),
            *flags,
        ]
        if ini:
            (self.place / "ini").write_text(ini)
            words += ["-config", str(self.place / "ini")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_RUNNER_")}
        environment[MARK] = str(self.place)

        def limit() -> None:
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.place,
                env=environment,
                preexec_fn=limit,
            )

    def await_serving(self) -> None:
        """Waits until it has started."""

        def listens() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise trouble(f"the daemon has ended: {self.log.read_text()}")
            found = re.search(r"listening.*127\.0\.0\.1:(\d+)", self.log.read_text())
            if found:
                self.port = int(found.group(1))
            return bool(found)

        await_that("the daemon serves", listens)

    def start(self, *flags: str, ini: str = "", descriptors: int = 0) -> None:
        self.begin(0, *flags, ini=ini, descriptors=descriptors)
        self.await_serving()

    def await_end(self) -> None:
        """Waits for the end, which must be orderly."""
        assert self.process is not None
        code = self.process.wait(PATIENCE_S)
        if code != 0:
            raise trouble(f"the daemon has ended with exit code {code}: {self.log.read_text()}")
        self.process = None

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.await_end()

    def kill(self) -> None:
        """kill -9; the launcher and the commands stay."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process = None

    def launcher_pid(self) -> int:
        """0 where there is none, or none of ours any more."""
        try:
            pid = int((self.place / "state" / "launcher.pid").read_text())
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        return pid if str(self.place).encode() in words else 0

    def left_over(self) -> list[int]:
        """Processes that came of it, found by a mark in their environment."""
        mark = f"{MARK}={self.place}".encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # gone by now
        return found

    def clean_up(self) -> None:
        """Ends what is left, and takes the directory away."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

        def nothing_is_left() -> bool:
            for pid in (left := self.left_over()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        await_that("nothing of the daemon is left", nothing_is_left)
        shutil.rmtree(self.place, ignore_errors=True)

    # -- talking to it ----------------------------------------------------------------------

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    def send(self, request: bytes, bodiless: bool = False) -> answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_answer(connection, bodiless)

    def get(self, target: str) -> Any:
        """`data` of a GET that must be answered 200."""
        got = self.send(request_text("GET", target, {}))
        if got.status != 200:
            raise trouble(f"GET {target} is answered {got.status}: {got.body[:300]!r}")
        return got.json["data"]
