"""What the check of the API plays through of pushes and tasks: each operation in its success, and in every failure that
can be brought about. Each scene makes what it needs, under names of its own, and leaves nothing running.
"""
from __future__ import annotations

import itertools
from typing import Any

from openapi_calls import FORM, MULTIPART, api
from openapi_steps import (
    LONG_COMMAND,
    PLAIN,
    await_output,
    await_reason,
    await_state,
    make_channel,
    push,
    remove_channel,
    send_examples,
)

TOO_LONG = "true " + "x" * 131_100
PUSHES = ("push", "push_task")


# -- pushes -------------------------------------------------------------------------------------------


def pushing(calls: api) -> None:
    make_channel(calls, "full", worker=0, tasks_max=1)
    push(calls, "true", "full")
    make_channel(calls, "once", worker=0, distinct=True)
    trace = {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "vendor=value",
    }
    for id, path in (("push", None), ("push_task", None), ("old_push_task", {"channel": "once"})):
        send_examples(calls, id, lambda path=path: path)
        name = f"of-{id}"
        first = calls.data(
            id, path, body={"task": f"true {id}", "chan": "once", "id": name, "priority": 5}, headers=trace
        )
        again = calls.data(id, path, body={"task": f"true {id}", "channel": "once"})
        if (first["result"], again["result"], again["task_id"]) != (True, False, name):
            calls.fault(id, f"a duplicate is answered {again}")
        calls.call(id, 400, path, body={"task": " "})
        calls.call(id, 400, path, body='{"task":', sound=False)
        calls.call(id, 400, path, body="task=date", media_type="text/plain", sound=False)
        calls.call(id, 409, path, body={"task": "another", "channel": "once", "id": name})
        calls.call(id, 413, path, body={"task": TOO_LONG})
        calls.call(id, 413, path, body={"task": "true", "env": {"A": "x" * 140_000}})
        calls.call(id, 422, path, body={"task": "true", "max_attempts": 1_001})
        calls.call(id, 422, path, body={"task": "true", "delay": "9999999999"}, media_type=FORM)
    for id in PUSHES:
        calls.call(id, 404, body={"task": "true", "channel": "none"})
        calls.call(id, 429, body={"task": "true again", "channel": "full"})
        every_option(calls, id)
    calls.call("old_push_task", 400, {"channel": "once"}, body={"task": "true", "channel": "mail"})
    calls.call("old_push_task", 404, {"channel": "none"}, body={"task": "true"})
    calls.call("old_push_task", 429, {"channel": "full"}, body={"task": "true again"})
    pushing_batches(calls)


def every_option(calls: api, id: str) -> None:
    """All that a push may say, as JSON and in both forms; and all of it is shown."""
    said = {
        "priority": -5,
        "max_attempts": 3,
        "backoff": "linear",
        "backoff_s": "1.5s",
        "backoff_max_s": 60,
        "jitter": 0.25,
        "timeout_s": "5m",
        "grace_s": 2.5,
        "expires_s": "1h",
        "delivery": "at-most-once",
        "concurrency_key": "key",
        "concurrency_max": 2,
        "cwd": "/tmp",
        "stdin": "in",
        "nice": 3,
        "umask": "027",
        "distinct_key": "of its own",
        "delay": 3_600,
    }
    limits = {"memory": "1G", "cpu_s": "1m", "processes": 1_000, "file_size": 4_096}
    in_json = calls.data(
        id,
        body={
            "command": "true",
            **said,
            "user": "0",
            "retry_on": [1, 75],
            "env": {"A": "1", "B": ""},
            "limits": limits,
        },
    )
    in_form: dict[str, Any] = {
        "task": "args",
        "command": "printf",
        "args[]": ["%s", "a b"],
        "retry_on": "1,75",
        "env[]": ["A=1"],
        "env[B]": "2",
    }
    in_form |= said | {f"limits.{name}": value for name, value in limits.items()}
    for media_type in (FORM, MULTIPART):
        calls.call(id, 200, body=in_form, media_type=media_type)
    short = {
        "task": "true short",
        "timeout": 5,
        "grace": "1s",
        "expires": 3_600,
        "backoff_max": 9,
        "limits": {"cpu": 1},
        "execute_at": "2040-01-01T00:00:00Z",
    }
    calls.call(id, 200, body=short)
    shown = calls.data("show_task", {"id": in_json["task_id"]})
    expected = set(calls.document.parsed["components"]["schemas"]["task_options"]["properties"])
    if set(shown["options"]) != expected:
        calls.fault(id, f"of {sorted(expected)} these options are shown: {sorted(shown['options'])}")


def pushing_batches(calls: api) -> None:
    lines = calls.document.operations["push_tasks"]
    for media_type, _, value in lines.request_examples():
        told = calls.data("push_tasks", body=value, media_type=media_type)
        if [told[name] for name in ("accepted", "duplicates", "refused")] != [2, 0, 1]:
            calls.fault("push_tasks", f"the example is answered {told}")
    one = '{"task":"true","id":"batch-line"}\n'
    assert lines.body is not None
    for media_type in lines.body["content"]:
        calls.call("push_tasks", 200, body=one, media_type=media_type)
    many = "".join(
        '{"task":"true"%s}\n' % ("" if number % 2 else ',"max_attempts":0') for number in range(2_400)
    )
    calls.call("push_tasks", 200, body=many, media_type="application/x-ndjson")
    calls.call("push_tasks", 400, body="no JSON\n", media_type="application/x-ndjson", sound=False)
    calls.call("push_tasks", 400, body=one, media_type=FORM, sound=False)
    calls.call("push_tasks", 413, body="0\n" * 100_001, media_type="application/x-ndjson", sound=False)
    calls.call("push_tasks", 429, body='{"task":"true","channel":"full"}\n', media_type="application/x-ndjson")


# -- tasks ----------------------------------------------------------------------------------------------


def looking_at_tasks(calls: api) -> None:
    finished = push(calls, "printf 0123456789", id="looked-at")
    await_state(calls, finished, "finished")
    dead = push(calls, "kill -9 $$", max_attempts=2, backoff_s=0, delivery="at-most-once")
    await_state(calls, dead, "dead")
    unstarted = push(calls, "true", cwd="/does/not/exist")
    await_state(calls, unstarted, "dead")
    late = push(calls, "exec sleep 99", timeout_s=0.1, grace_s=0)
    await_state(calls, late, "dead")
    for id in (finished, dead, unstarted, late):
        calls.call("show_task", 200, {"id": id})
    calls.call("show_task", 404, {"id": "none"})

    calls.call("list_tasks", 200)
    page = calls.data("list_tasks", query={"limit": "1"})
    calls.call("list_tasks", 200, query={"limit": "1000", "cursor": page["next"]})
    for order in ("created", "-created", "ended", "-ended"):
        page = calls.data("list_tasks", query={"limit": "2", "sort": order})
        calls.call("list_tasks", 200, query={"sort": order, "cursor": page["next"]})
    calls.call("list_tasks", 400, query={"sort": "created", "cursor": page["next"]})
    calls.call(
        "list_tasks",
        200,
        query={
            "state": ["finished", "dead"],
            "channel": PLAIN,
            "name": "print",
            "outcome": "exited",
            "exit_code": "0",
            "created_from": "2020-01-01T00:00:00Z",
            "created_until": "4102444800",
            "ended_from": "0",
            "ended_until": "2100-01-01 00:00:00+01:00",
        },
    )
    distinct = push(calls, "printf distinct", "default")
    found = calls.data("list_tasks", query={"distinct_key": "line:printf distinct"})["items"]
    if [one["id"] for one in found] not in ([distinct], []):  # its end lets go of the key
        calls.fault("list_tasks", f"finds {found} by the key of {distinct}")
    for wrong in (
        {"state": "done"},
        {"cursor": "x"},
        {"colour": "red"},
        {"sort": "duration"},
        {"sort": "ended", "state": "pending"},
        {"outcome": "well"},
        {"created_from": "yesterday"},
    ):
        calls.call("list_tasks", 400, query=wrong)
    for beyond in ({"limit": "0"}, {"limit": "1001"}, {"exit_code": "256"}, {"ended_until": "0"}):
        calls.call("list_tasks", 422, query=beyond)

    output = {"id": finished}
    whole = calls.call("read_output", 200, output)
    part = calls.call("read_output", 200, output, query={"offset": "2", "length": "3", "attempt": "1"})
    ranged = calls.call("read_output", 206, output, headers={"Range": "bytes=2-4"}, by_head=False)
    if (whole.body, part.body, ranged.body) != (b"0123456789", b"234", b"234"):
        calls.fault("read_output", f"is {whole.body!r}, and in part {part.body!r}, {ranged.body!r}")
    calls.call("read_output", 416, output, headers={"Range": "bytes=10-"}, by_head=False)
    calls.call("read_output", 400, output, query={"offset": "-1"})
    calls.call("read_output", 404, output, query={"attempt": "2"})
    calls.call("read_output", 404, {"id": "none"})


def following(calls: api) -> None:
    """Output while it is written, and what happens to tasks and channels."""
    text = {"id": push(calls, "printf 'h\\303\\251llo'")}
    told = calls.stream("read_output", text, query={"follow": "true"})
    if [data for _, name, data in told if name == "output"] != [{"offset": 0, "text": "héllo"}]:
        calls.fault("read_output", f"is followed as {told}")
    written = {"id": push(calls, "printf '\\377'; head -c 3000000 /dev/zero | tr '\\0' x")}
    told = calls.stream("read_output", written, query={"follow": "true"})
    if (told[0][2]["offset"], told[-1][2]["offset"]) != (0, 3_000_001):
        calls.fault("read_output", f"is followed from {told[0][2]['offset']} to {told[-1]}")
    calls.call(
        "read_output", 204, written, query={"follow": "1"}, headers={"Last-Event-ID": told[-1][0]}, sound=False
    )
    calls.stream(
        "read_output", written, query={"follow": "true", "attempt": "1"}, headers={"Last-Event-ID": "9999999-1"}
    )
    calls.call("read_output", 400, written, query={"follow": "perhaps"})
    calls.call("read_output", 400, written, query={"follow": "true", "length": "5"})
    calls.call("read_output", 400, written, query={"follow": "true"}, headers={"Last-Event-ID": "x"})
    calls.call("read_output", 404, written, query={"follow": "true", "attempt": "3"})
    calls.call("read_output", 404, {"id": "none"}, query={"follow": "true"})

    make_channel(calls, "heard", worker=1)
    failed = {}

    def happen() -> None:
        for channel in (PLAIN, "heard"):
            failed["id"] = push(calls, "exit 1", channel)
            await_state(calls, failed["id"], "dead")
            if channel == PLAIN:
                calls.call("delete_task", 200, failed)
        remove_channel(calls, "heard")

    first = calls.stream("follow_events", until='"removed":true', meanwhile=happen)
    again = calls.stream(
        "follow_events", query={"since": first[0][0], "channel": ["heard", "other"]}, until='"removed":true'
    )
    for heard in (first, again):
        if ("dead", failed["id"]) not in [
            (data.get("state"), data["id"]) for _, name, data in heard if name == "task"
        ]:
            calls.fault("follow_events", f"nothing is told of task {failed}: {heard}")
    calls.stream(
        "follow_events", query={"types": ["task"]}, headers={"Last-Event-ID": "another-1"}, until="event: reset"
    )
    for wrong in ({"types": "tasks"}, {"channel": "a b"}, {"colour": "red"}, {"since": "x"}):
        calls.call("follow_events", 400, query=wrong)


def asking_why(calls: api) -> None:
    make_channel(calls, "paused", worker=1)
    calls.call("pause_channel", 200, {"channel": "paused"})
    make_channel(calls, "none-run", worker=0)
    make_channel(calls, "one-runs", worker=1)
    running = push(calls, LONG_COMMAND, "one-runs", concurrency_key="k")
    await_state(calls, running, "running")
    expected = {
        running: "running",
        push(calls, "true", "paused"): "paused",
        push(calls, "true", "none-run"): "no_workers",
        push(calls, "true", "none-run", delay=3_600): "delayed",
        push(calls, "true behind", "one-runs"): "behind_others",
        push(calls, "true held", "one-runs", concurrency_key="k"): "concurrency_key",
        push(calls, "exit 1", max_attempts=2, backoff_s=3_600, backoff="constant"): "backoff",
        push(calls, "true for why"): "finished",
        push(calls, "exit 1"): "dead",
    }
    kinds = set()
    for id, reason in expected.items():
        if reason in ("finished", "dead", "running"):
            await_state(calls, id, reason)
        if reason == "backoff":
            await_state(calls, id, "delayed")
        told = await_reason(calls, id, reason)
        kinds |= {one["kind"] for one in told["blocked_by"]}
    if not kinds >= {"task", "limit", "time", "channel"}:
        calls.fault("explain_task", f"only these were in the way: {kinds}")
    calls.call("explain_task", 404, {"id": "none"})
    shown = calls.data("status", query={"channel": "one-runs", "limit": "1000"})
    if not any(one.get("held") for one in shown["tasks"]):
        calls.fault("status", "no task is shown as held")
    for channel in ("paused", "none-run", "one-runs"):
        remove_channel(calls, channel)


def acting_on_one(calls: api) -> None:
    numbers = itertools.count()

    def running(command: str = LONG_COMMAND) -> dict[str, str]:
        id = push(calls, f": {next(numbers)}; {command}")
        await_state(calls, id, "running")
        return {"id": id}

    send_examples(calls, "cancel_task", running)
    waits = {"id": push(calls, "true", delay=3_600)}
    calls.call("cancel_task", 200, waits)
    calls.call("retry_task", 200, waits, body={})
    ended = await_state(calls, waits["id"], "finished")
    calls.call("cancel_task", 400, waits, body={"grace": 1, "force": True})
    calls.call("cancel_task", 400, waits, body={"grace_s": "long"})
    calls.call("cancel_task", 404, {"id": "none"})
    calls.call("cancel_task", 422, waits, body={"grace_s": 3_601})

    deaf = running("trap '' USR1; echo up; while :; do sleep 0.05; done")
    await_output(calls, deaf["id"], b"up\n")
    send_examples(calls, "signal_task", lambda: deaf)
    calls.call("signal_task", 200, deaf, body={"signal": "SIGUSR1"}, media_type=FORM)
    calls.call("signal_task", 400, deaf, body={"signal": "WORLD"})
    calls.call("signal_task", 400, deaf)
    calls.call("signal_task", 404, {"id": "none"}, body={"signal": 15})
    calls.call("signal_task", 409, {"id": ended["id"]}, body={"signal": 15})
    calls.call("signal_task", 422, deaf, body={"signal": 65})
    calls.call("delete_task", 409, deaf)
    calls.call("cancel_task", 200, deaf, body={"grace_s": 0})
    calls.call("delete_task", 200, deaf)
    calls.call("delete_task", 404, deaf)

    make_channel(calls, "tight", worker=1, tasks_max=1)
    lost = {"id": push(calls, "exit 1", "tight")}
    await_state(calls, lost["id"], "dead")
    calls.call("change_channel", 200, {"channel": "tight"}, body={"worker": 0})
    push(calls, "true", "tight")
    calls.call("retry_task", 429, lost)
    calls.call("old_retry_failed_task", 429, {"channel": "tight", **lost})
    calls.call("retry_task", 404, {"id": "none"})
    calls.call("retry_task", 409, {"id": ended["id"]})
    calls.call("retry_task", 400, lost, body={"now": True})

    make_channel(calls, "records", worker=0, distinct=True)
    held = {"id": push(calls, "true", "records")}
    calls.call("release_task", 400, held, body={"now": True})
    calls.call("release_task", 200, held, body={}, media_type=FORM)
    calls.call("release_task", 409, held)
    calls.call("release_task", 404, {"id": "none"})
    for channel in ("tight", "records"):
        remove_channel(calls, channel)


def repeating(calls: api) -> None:
    """Requests with a key: the second one gets the answer of the first, another one is refused."""
    numbers = itertools.count()

    def again(id: str, status: int, path: dict[str, str] | None = None, **call: Any) -> None:
        headers = {"Idempotency-Key": f"{id} {next(numbers)}"}
        first = calls.call(id, status, path, headers=headers, **call)
        second = calls.call(id, status, path, headers=headers, **call)
        replayed = [one.headers.get("idempotency-replayed") for one in (first, second)]
        if first.body != second.body or replayed != [None, "true"]:
            calls.fault(id, f"is not repeated: {first} and then {second}")
        other = dict(call) | {"body": "another: request\n" if isinstance(call.get("body"), str) else {"x": 1}}
        calls.call(id, 422, path, headers=headers, **other, sound=False)

    for id in PUSHES:
        again(id, 200, body={"task": "true"})
        calls.call(id, 400, headers={"Idempotency-Key": "k" * 256}, body={"task": "true"}, sound=False)
    again("push_tasks", 200, body='{"task":"true"}\n', media_type="application/x-ndjson")
    waits = {"id": push(calls, "true", delay=3_600)}
    again("cancel_task", 200, waits, body={})
    again("delete_tasks", 200, body={"ids": [waits["id"]]})
    used = {"Idempotency-Key": "push 0"}
    for id in ("retry_task", "release_task", "old_retry_failed_task", "resume_channel", "stop_daemon"):
        calls.call(id, 422, {"id": "none", "channel": PLAIN}, body={}, headers=used, sound=False)
    again("make_channel", 200, body={"name": "repeated"})
    again("pause_channel", 200, {"channel": "repeated"}, body={})
    remove_channel(calls, "repeated")


def acting_on_many(calls: api) -> None:
    for id in ("cancel_tasks", "retry_tasks", "delete_tasks"):
        send_examples(calls, id, before=lambda _: push(calls, "exit 1", "mail"))
        for state in ("finished", ["finished", "dead"], "finished,dead"):
            told = calls.data(id, body={"state": state, "name": "nothing is called so", "limit": 10_000})
            if told["matched"] != 0:
                calls.fault(id, f"found what is not there: {told}")
        calls.call(id, 200, body={"all": "true", "dry_run": "true", "state": "dead"}, media_type=MULTIPART)
        named = {"id": push(calls, "true", delay=3_600)}
        for ids in (f"{named['id']},none", [named["id"], "none"]):
            told = calls.data(id, body={"ids": ids, "dry_run": True})
            if [told["matched"], [one["id"] for one in told["refused"]]] != [1, ["none"]]:
                calls.fault(id, f"of tasks that are named it says {told}")
        calls.call(id, 400, body={"ids": [named["id"]], "all": True})
        calls.call(id, 422, body={"ids": [f"t{number}" for number in range(1_001)]}, sound=False)
        calls.call(id, 400, body={})
        calls.call(id, 400, body={"channel": ""})
        calls.call(id, 400, body={"chanel": "mail"})
        calls.call(id, 422, body={"all": True, "limit": 10_001})
    calls.call("cancel_tasks", 200, body={"channel": "mail", "grace": 1})
    make_channel(calls, "same", worker=1, distinct=True)
    first = push(calls, "exit 1", "same")
    await_state(calls, first, "dead")
    calls.call("change_channel", 200, {"channel": "same"}, body={"worker": 0})
    push(calls, "exit 1", "same")
    told = calls.data("retry_tasks", body={"channel": "same"})
    if [told["done"], len(told["refused"])] != [0, 1]:
        calls.fault("retry_tasks", f"a task whose like is there is not refused: {told}")
    calls.call("old_retry_failed_task", 409, {"channel": "same", "id": first})
    remove_channel(calls, "same")
