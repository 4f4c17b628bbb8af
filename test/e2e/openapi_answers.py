#!/usr/bin/python3
"""Calls every operation of the description of the API at a real daemon, and holds each answer against what it says.

usage: test/e2e/openapi_answers.py BINARY     exit code 1 if anything differs

It prints a table of the statuses that were seen, by operation. It fails when an answer is not as it is documented (a
member, a header or a status that stands nowhere counts), when what is documented was never seen, and when the example of
a request was never sent.
(Debian's Python by its path: that is the one which has Debian's jsonschema.)
"""
from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import openapi_document  # noqa: E402
import openapi_channel_scenes as others  # noqa: E402
import openapi_steps as steps  # noqa: E402
import openapi_task_scenes as tasks  # noqa: E402
from openapi_calls import api  # noqa: E402
from openapi_daemon import (
    MAX_BODY,
    await_that,
    daemon,
    free_port,
    read_answer,
    request_text,
    trouble,
)  # noqa: E402
from openapi_document import filled, operation  # noqa: E402

# Channels that the INI file names, for what is said when they are removed.
INI = "[channel.of-the-file]\nworker = 1\n\n[channel.of-the-file-too]\nworker = 1\n"

# Answered while the daemon starts, too: what asks no actor.
ALWAYS_THERE = {
    "say_started",
    "is_alive",
    "list_actors",
    "list_problems",
    "show_problem",
    "show_api_document",
    "stop_daemon",
}

# What nobody can bring about here: faults and silence of the daemon itself; and conflicts that only a race could show.
UNPROVOKED = {
    "*": {500, 504},
    "cancel_task": {409},
    "push_tasks": {409},
    "cancel_tasks": {409},
    "retry_tasks": {409},
    "delete_tasks": {409},
    "stop_daemon": {409},
    "old_cancel_task": {409},
    "old_cancel_delayed_task": {409},
    "old_delete_failed_task": {409},
}

# Events that tell of what nobody can bring about here.
UNHEARD = {"read_output": {"failure"}}

# Members of answers for which the same holds: a channel that fails, is just starting or going; 4 MiB of names.
UNSEEN = {"closing", "down", "starting", "truncated"}

# As many as a daemon with this limit of open files lets in, and one more; services/http says how it is calculated.
FEW_DESCRIPTORS = 200
CONNECTIONS_OF_FEW = 72

SCENES = (
    others.channels,
    tasks.pushing,
    tasks.looking_at_tasks,
    tasks.following,
    tasks.asking_why,
    tasks.acting_on_one,
    tasks.acting_on_many,
    tasks.repeating,
    others.the_statistics,
    others.the_groups,
    others.later_paths,
    others.the_daemon,
)

ANY_PATH = {"id": "none", "channel": "default", "code": "none"}


def any_target_of(one: operation) -> str:
    return filled(one.path, ANY_PATH)


def at_the_gate(calls: api) -> None:
    """What is refused before an operation sees it, for each of them."""
    for one in calls.document.operations.values():
        method, target = one.method, any_target_of(one)
        calls.refused_by_gate(one, 403, request_text(method, target, {"Host": "example.org"}))
        calls.refused_by_gate(one, 403, request_text(method, target, {"Sec-Fetch-Site": "cross-site"}))
        calls.refused_by_gate(one, 413, request_text(method, target, {"Content-Length": str(MAX_BODY + 1)}))
        # Its head is not understood, and so neither is the form that it asks for.
        for status, request in (
            (400, request_text(method, target + "?name=%zz", {})),
            (414, f"{method} {target}?{'x' * 20_000}".encode()),
            (415, request_text(method, target, {"Content-Encoding": "gzip"})),
            (417, request_text(method, target, {"Expect": "the best"})),
            (431, request_text(method, target, {"X-Filler": "x" * 20_000})),
            (501, request_text(method, target, {"Transfer-Encoding": "gzip"})),
            (505, request_text(method, target, {}, version="HTTP/2.0")),
        ):
            calls.refused_by_gate(one, status, request, bare=False)
        if method in ("POST", "PATCH"):
            calls.refused_by_gate(one, 400, request_text(method, target + "?name=value", {}))


class slow_request(threading.Thread):
    """A request whose head does not come to its end, for as long as the daemon has patience."""

    def __init__(self, calls: api) -> None:
        super().__init__()
        self.calls = calls
        self.connection = calls.daemon.connect()
        self.connection.sendall(b"GET /livez HTTP/1.1\r\nHost: loc")
        self.start()

    def run(self) -> None:
        with self.connection:
            got = read_answer(self.connection)
        if got.status != 408:
            self.calls.fault("is_alive 408", f"a slow request is answered {got.status}")
        self.calls.check_answer(self.calls.document.operations["is_alive"], got)


def while_draining(calls: api) -> None:
    """The daemon waits for a command: it takes nothing more, and says so."""
    waiting = steps.push(calls, steps.LONG_COMMAND)
    steps.await_state(calls, waiting, "running")
    delayed = steps.push(calls, "true", delay=1)
    calls.call("stop_daemon", 200)
    await_that("it drains", lambda: calls.daemon.get("/status?limit=1") is not None and not is_ready(calls))
    calls.call("is_ready", 503)
    calls.call("is_ready", 503, query={"verbose": "true"})
    for id in ("push", "push_task"):
        calls.call(id, 503, body={"task": "true"})
    calls.call("old_push_task", 503, {"channel": "default"}, body={"task": "true"})
    calls.call("push_tasks", 503, body='{"task":"true"}\n', media_type="application/x-ndjson")
    calls.call("make_channel", 503, body={"name": "too-late"})
    calls.call("remove_channel", 503, {"channel": "default"})
    calls.call("show_task", 200, {"id": waiting})
    told = steps.await_reason(calls, delayed, "draining")
    if not any(one.get("draining") for one in told["blocked_by"]):
        calls.fault("explain_task", f"nothing tells of the draining: {told}")
    status = calls.call("status", 200).json
    if (status["daemon"]["state"], status["daemon"]["ready"]) != ("draining", False):
        calls.fault("status", f"a daemon that drains says {status['daemon']}")


def is_ready(calls: api) -> bool:
    return calls.daemon.send(request_text("GET", "/readyz", {})).status == 200


def stopping(calls: api) -> None:
    """Each way to say that the daemon shall stop ends it; the last one a daemon that drains."""
    first = True
    for media_type, _, value in calls.document.operations["stop_daemon"].request_examples():
        if not first:
            calls.daemon.start()
        first = False
        while_draining(calls)
        calls.call("stop_daemon", 200, body=value, media_type=media_type)
        calls.daemon.await_end()


@contextlib.contextmanager
def starting(at: daemon) -> Iterator[None]:
    """A daemon that has its address, and waits for a launcher that does not answer."""
    at.start()
    at.kill()
    launcher = await_that("there is a launcher", at.launcher_pid)
    os.kill(launcher, signal.SIGSTOP)
    try:
        at.port = free_port()
        at.begin(at.port)

        def answers() -> bool:
            try:
                return at.send(request_text("GET", "/livez", {})).status == 200
            except ConnectionRefusedError:
                return False

        await_that("it answers", answers)
        yield
    finally:
        os.kill(launcher, signal.SIGCONT)
    at.await_serving()


def while_starting(calls: api) -> None:
    with starting(calls.daemon):
        calls.call("is_ready", 503)
        calls.call("has_started", 503)
        for one in calls.document.operations.values():
            if one.id not in ALWAYS_THERE | {"is_ready", "has_started"}:
                calls.call(
                    one.id, 503, {name: ANY_PATH[name] for name in ANY_PATH if "{" + name + "}" in one.path}
                )
        for id in ALWAYS_THERE - {"stop_daemon", "show_problem"}:
            calls.call(id, 200)
    calls.daemon.stop()


def with_too_many_connections(calls: api) -> None:
    """Whoever comes when all places are taken is told so, whatever is asked. (It runs no tasks, for another answer.)"""
    calls.daemon.start("-task-mode=false", descriptors=FEW_DESCRIPTORS)
    steps.await_reason(calls, steps.push(calls, "true"), "task_mode_off")
    with contextlib.ExitStack() as held:
        places: list[socket.socket] = [
            held.enter_context(calls.daemon.connect()) for _ in range(CONNECTIONS_OF_FEW)
        ]
        # The last of them is in, so all are.
        places[-1].sendall(request_text("GET", "/livez", {}))
        if read_answer(places[-1]).status != 200:
            raise trouble("there are fewer places for connections than was expected")
        for one in calls.document.operations.values():
            calls.refused_by_gate(one, 503, request_text(one.method, any_target_of(one), {}), bare=False)
    calls.daemon.stop()


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    at = daemon(os.path.abspath(sys.argv[1]))
    began = time.monotonic()
    try:
        at.start(ini=INI)
        parsed = at.send(request_text("GET", "/api/v1/openapi.json", {})).json
        faults = openapi_document.check(parsed)
        if faults:
            print("The document itself is wrong:", *faults, sep="\n  ")
            return 1
        calls = api(openapi_document.document(parsed), at)
        slow = slow_request(calls)
        calls.check_options()
        at_the_gate(calls)
        for scene in SCENES:
            scene(calls)
        slow.join()
        stopping(calls)
        while_starting(calls)
        with_too_many_connections(calls)
        print(calls.account(UNPROVOKED, UNHEARD, UNSEEN))
        print(
            f"{len(calls.seen)} operations, {sum(map(len, calls.seen.values()))} answers of them, {time.monotonic() - began:.1f} s"
        )
        for fault in calls.faults:
            print(f"FAILED: {fault}")
        return 1 if calls.faults else 0
    except (trouble, OSError):
        print(f"The daemon's log ends with:\n{at.log.read_text()[-3_000:]}")
        raise
    finally:
        at.clean_up()


if __name__ == "__main__":
    sys.exit(main())
