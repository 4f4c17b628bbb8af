"""Steps that the scenes of the check of the API have in common: making what they need, and waiting for what comes of it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openapi_calls import api
from openapi_daemon import await_that, request_text, trouble

LONG_COMMAND = "exec sleep 100"
# Where commands go that are to run: it takes the same one any number of times.
PLAIN = "plain"


def push(calls: api, command: str, channel: str = PLAIN, **more: Any) -> str:
    """Pushes a task that must be new, and gives its id."""
    told = calls.data("push_task", body={"task": command, "channel": channel, **more})
    if told is None or not told["result"]:
        raise trouble(f"{command} was not pushed: {told}")
    id: str = told["task_id"]
    return id


def await_state(calls: api, id: str, *states: str) -> dict[str, Any]:
    def found() -> Any:
        task = calls.daemon.get(f"/api/v1/tasks/{id}")
        return task if task["state"] in states else None

    task: dict[str, Any] = await_that(f"task {id} is {states}", found)
    return task


def await_reason(calls: api, id: str, reason: str) -> dict[str, Any]:
    """Why a task does not run, once that is the reason."""

    def found() -> Any:
        told = calls.data("explain_task", {"id": id})
        return told if told["reason"] == reason else None

    told: dict[str, Any] = await_that(f"task {id} is explained as {reason}", found)
    return told


def await_output(calls: api, id: str, output: bytes) -> None:
    request = request_text("GET", f"/api/v1/tasks/{id}/output", {})
    await_that(f"task {id} prints {output!r}", lambda: calls.daemon.send(request).body == output)


def make_channel(calls: api, name: str, **more: Any) -> str:
    calls.call("make_channel", 200, body={"name": name, **more})
    return name


def remove_channel(calls: api, name: str) -> None:
    """Also where there is none."""
    if name in [one["name"] for one in calls.daemon.get("/api/v1/channels")["items"]]:
        calls.call("remove_channel", 200, {"channel": name}, query={"force": "true"})


def send_examples(
    calls: api,
    id: str,
    path: Callable[[], dict[str, str] | None] | None = None,
    before: Callable[[Any], object] | None = None,
) -> None:
    """Sends each example of a body, for real. `path` gives the parameters of the path anew each time; `before` sees what
    is to be sent."""
    for media_type, _, value in calls.document.operations[id].request_examples():
        if before:
            before(value)
        calls.call(id, 200, path() if path else None, body=value, media_type=media_type)
