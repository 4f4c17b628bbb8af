"""What the check of the API plays through of channels, of the predecessor's later paths and of the daemon itself, as
openapi_task_scenes.py does of tasks.
"""
from __future__ import annotations

import threading

from openapi_calls import FORM, api
from openapi_daemon import await_that
from openapi_steps import PLAIN, await_output, await_state, make_channel, push, remove_channel, send_examples


# -- channels ---------------------------------------------------------------------------------------------


def channels(calls: api) -> None:
    make_channel(calls, PLAIN, worker=16)
    for id in ("queue", "make_channel", "old_make_channel"):
        send_examples(calls, id, before=lambda value: remove_channel(calls, value["name"]))
        calls.call(id, 400, body={})
        calls.call(id, 400, body={"name": "a b"})
        calls.call(id, 400, body={"name": "new", "distinct": "perhaps"})
        calls.call(id, 409, body={"name": "default"})
        calls.call(id, 422, body={"name": "new", "worker": 1_025})
        calls.call(id, 422, body={"name": "new", "weight": 0}, media_type=FORM)
    for id in ("queue", "old_make_channel"):
        remove_channel(calls, "mail")
        calls.call(id, 200, body={"name": "mail", "colour": "red"}, sound=False)
    calls.call("make_channel", 400, body={"name": "new", "colour": "red"})
    mail = {"channel": "mail"}
    send_examples(calls, "change_channel", lambda: mail)
    changes = {
        "distinct": "while-pending",
        "weight": 2,
        "tasks_max": 10,
        "priority": 1,
        "env": {"A": "1"},
        "limits": {"memory": "1M"},
        "retry_on": [1],
    }
    calls.call("change_channel", 200, mail, body=changes)
    calls.call("show_channel", 200, mail)
    calls.call("change_channel", 200, mail, body={name: None for name in changes} | {"name": "mail"})
    calls.call("change_channel", 400, mail, body={"name": "another"})
    calls.call("change_channel", 400, mail, body={"env": "A=1"})
    calls.call("change_channel", 404, {"channel": "none"}, body={})
    calls.call("change_channel", 422, mail, body={"tasks_max": 0})
    calls.call("list_channels", 200)
    page = calls.data("list_channels", query={"limit": "1"})
    calls.call("list_channels", 200, query={"limit": "4096", "cursor": page["next"]})
    for wrong in ({"colour": "red"}, {"cursor": "x"}):
        calls.call("list_channels", 400, query=wrong)
    for limit in ("0", "4097"):
        calls.call("list_channels", 422, query={"limit": limit})
    calls.call("show_channel", 404, {"channel": "none"})

    for id in ("pause_channel", "resume_channel", "drain_channel"):
        calls.call(id, 200, mail)
        calls.call(id, 200, mail, body={})
        calls.call(id, 400, mail, body={"now": True})
        calls.call(id, 404, {"channel": "none"})
    send_examples(calls, "drain_channel", lambda: mail)
    calls.call("drain_channel", 200, mail, body={"wait": 0})
    calls.call("drain_channel", 422, mail, body={"wait_s": 26})
    calls.call("resume_channel", 200, mail)

    calls.call("remove_channel", 400, mail, query={"colour": "red"})
    calls.call("remove_channel", 404, {"channel": "none"})
    calls.call("remove_channel", 409, {"channel": "default"})
    calls.call("old_remove_channel", 400, mail, query={"force": "perhaps"})
    calls.call("old_remove_channel", 404, {"channel": "none"})
    calls.call("old_remove_channel", 409, {"channel": "default"})
    make_channel(calls, "gone")
    calls.call("old_remove_channel", 200, {"channel": "gone"})
    for id in ("remove_channel", "old_remove_channel"):
        make_channel(calls, "gone")
        push(calls, "true", "gone", delay=60)
        calls.call(id, 409, {"channel": "gone"})
        calls.call(id, 200, {"channel": "gone"}, query={"force": "true"})
    told = calls.call("remove_channel", 200, {"channel": "of-the-file"})
    if "warning" not in told.json:
        calls.fault("remove_channel", f"says nothing of the INI file: {told.json}")
    calls.call("old_remove_channel", 200, {"channel": "of-the-file-too"})
    changing_what_is_being_removed(calls)


def changing_what_is_being_removed(calls: api) -> None:
    """A channel is being removed as long as a command of it resists."""
    going = {"channel": make_channel(calls, "going")}
    push(calls, "trap '' TERM; echo up; while :; do sleep 0.05; done", "going", id="resists", grace_s=3)
    await_output(calls, "resists", b"up\n")
    removal = threading.Thread(target=lambda: calls.call("remove_channel", 200, going, query={"force": "true"}))
    removal.start()
    try:
        await_that("its end is wanted", lambda: calls.daemon.get("/api/v1/tasks/resists")["cancel_requested"])
        for id in ("pause_channel", "resume_channel", "drain_channel", "change_channel"):
            calls.call(id, 409, going, body={})
    finally:
        removal.join()


# -- statistics -------------------------------------------------------------------------------------------


def the_statistics(calls: api) -> None:
    make_channel(calls, "measured")
    await_state(calls, push(calls, "exit 0", "measured"), "finished")
    for query in ({}, {"span": "1h"}, {"span": "24h"}, {"limit": "1"}, {"channel": "measured"}):
        calls.call("show_statistics", 200, query=query)
    for wrong in ({"span": "2h"}, {"channel": "a b"}, {"colour": "red"}):
        calls.call("show_statistics", 400, query=wrong)
    calls.call("show_statistics", 404, query={"channel": "none"})
    calls.call("show_statistics", 422, query={"limit": "1001"})
    calls.call("show_statistics", 422, query={"channel": "measured", "span": "24h"})
    page = calls.data("list_channel_statistics", query={"limit": "1"})
    calls.call("list_channel_statistics", 200, query={"limit": "1000", "cursor": page["next"]})
    for wrong in ({"cursor": "x"}, {"colour": "red"}):
        calls.call("list_channel_statistics", 400, query=wrong)
    calls.call("list_channel_statistics", 422, query={"limit": "0"})
    remove_channel(calls, "measured")


def the_groups(calls: api) -> None:
    make_channel(calls, "dies")
    for command in ("echo 'error: 1'; exit 3", "echo 'error: 22'; exit 3", "exit 4"):
        await_state(calls, push(calls, command, "dies"), "dead")
    found = calls.data("group_tasks", query={"channel": "dies", "ended_from": 0, "ended_until": "2040-01-01T00:00:00Z"})
    if [group["count"] for group in found["items"]] != [2, 1]:
        calls.fault("group_tasks", f"these are no groups: {found}")
    calls.call("group_tasks", 200, query={"limit": "1"})
    for wrong in ({"colour": "red"}, {"state": "dead"}, {"ended_from": "soon"}):
        calls.call("group_tasks", 400, query=wrong)
    calls.call("group_tasks", 422, query={"limit": "0"})
    remove_channel(calls, "dies")


# -- the predecessor's later paths -------------------------------------------------------------------------


def later_paths(calls: api) -> None:
    make_channel(calls, "old", worker=0)
    old = {"channel": "old"}
    waits = {**old, "id": push(calls, "true", "old")}
    words = {
        **old,
        "id": calls.data(
            "push_task", body={"command": {"name": "printf", "args": ["%s", "x"]}, "channel": "old"}
        )["task_id"],
    }
    later = {"id": push(calls, "true", "old", delay=3_600)}
    for id, path in (("old_list_channels", None), ("old_show_channel", old), ("old_list_tasks", old)):
        calls.call(id, 200, path)
        calls.call(id, 200, path, query={"limit": "1"})
        calls.call(id, 400, path, query={"limit": "many"})
        calls.call(id, 422, path, query={"limit": "1001"})
        if path:
            calls.call(id, 404, {"channel": "none"})
    for path in (waits, words, {**old, **later}):
        calls.call("old_show_task", 200, path)
    calls.call("old_show_task", 404, {**old, "id": "none"})
    calls.call("old_show_task", 404, {**waits, "channel": "mail"})
    calls.call("old_cancel_task", 200, words)
    calls.call("old_cancel_task", 404, {**old, "id": "none"})
    calls.call("old_show_task", 200, words)

    calls.call("old_list_delayed_tasks", 200)
    calls.call("old_list_delayed_tasks", 200, query={"limit": "1", "channel": "old", "name": "true"})
    calls.call("old_list_delayed_tasks", 400, query={"colour": "red"})
    calls.call("old_list_delayed_tasks", 422, query={"limit": "0"})
    calls.call("old_show_delayed_task", 200, later)
    calls.call("old_show_delayed_task", 404, {"id": waits["id"]})
    calls.call("old_cancel_delayed_task", 404, {"id": waits["id"]})
    calls.call("old_cancel_delayed_task", 200, later)

    make_channel(calls, "fails", worker=1)
    failed = {"channel": "fails", "id": push(calls, "exit 7", "fails", max_attempts=2, backoff_s=0)}
    push(calls, "exit 8", "fails", id="second")
    for id in (failed["id"], "second"):
        await_state(calls, id, "dead")
    page = calls.call("old_list_failed_tasks", 200, {"channel": "fails"}, query={"limit": "1"}).json
    calls.call("old_list_failed_tasks", 200, {"channel": "fails"}, query={"cursor": page["next"]})
    calls.call("old_list_failed_tasks", 200, {"channel": "fails"}, query={"exit_code": "7"})
    calls.call("old_list_failed_tasks", 400, {"channel": "fails"}, query={"cursor": "x"})
    calls.call("old_list_failed_tasks", 422, {"channel": "fails"}, query={"limit": "0"})
    for id in ("old_show_failed_task", "old_retry_failed_task", "old_delete_failed_task"):
        calls.call(id, 404, {"channel": "fails", "id": "none"})
        calls.call(id, 404, waits)
    calls.call("old_show_failed_task", 200, failed)
    calls.call("old_retry_failed_task", 200, failed)
    await_state(calls, failed["id"], "dead")
    calls.call("old_delete_failed_task", 200, failed)
    for channel in ("old", "fails"):
        remove_channel(calls, channel)


# -- the daemon ----------------------------------------------------------------------------------------------


def the_daemon(calls: api) -> None:
    calls.call("say_started", 200)
    page = calls.call("say_started", 200, headers={"Accept": "text/html"})
    calls.call("say_started", 304, headers={"Accept": "text/html", "If-None-Match": page.headers["etag"]})
    calls.call("status", 200)
    for wrong in ({"limit": "many"}, {"channel": ""}):
        calls.call("status", 400, query=wrong)
    calls.call("status", 404, query={"channel": "none"})
    calls.call("status", 422, query={"limit": "1001"})
    calls.call("is_alive", 200)
    calls.call("has_started", 200)
    calls.call("is_ready", 200)
    for verbose in ("", "true", "0"):
        calls.call("is_ready", 200, query={"verbose": verbose})
    codes = [one["code"] for one in calls.data("list_problems")["items"]]
    for code in codes:
        calls.call("show_problem", 200, {"code": code})
    calls.call("show_problem", 404, {"code": "none"})
    if calls.data("show_daemon")["state"] != "running":
        calls.fault("show_daemon", "the daemon runs and does not say so")
    page = calls.data("list_actors", query={"limit": "1"})
    calls.call("list_actors", 200, query={"limit": "1000", "cursor": page["next"]})
    for kind in calls.document.parsed["components"]["schemas"]["actor_kind"]["enum"]:
        if not calls.data("list_actors", query={"kind": kind})["items"]:
            calls.fault("list_actors", f"there is no {kind}")
    calls.call("list_actors", 200, query={"channel": "default"})
    for wrong in ({"colour": "red"}, {"kind": "worker"}, {"cursor": "x"}):
        calls.call("list_actors", 400, query=wrong)
    calls.call("list_actors", 404, query={"channel": "none"})
    calls.call("list_actors", 422, query={"limit": "0"})
    calls.call("show_metrics", 200)
    calls.call("stop_daemon", 400, body={"later": True})
    calls.call("stop_daemon", 400, body={"now": "perhaps"})

    document = calls.call("show_api_document", 200)
    if document.json != calls.document.parsed:
        calls.fault("show_api_document", "another document is answered")
    calls.call("show_api_document", 304, headers={"If-None-Match": f'"other", {document.headers["etag"]}'})
    calls.call("show_api_document", 200, headers={"If-None-Match": '"other"'})
