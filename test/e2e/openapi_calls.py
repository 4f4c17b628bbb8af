"""Calls of documented operations: what is sent is held against the document, what is answered as well, and what was seen
is kept for the account at the end.
"""
from __future__ import annotations

import json
import re
import time
import urllib.parse
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from openapi_daemon import PATIENCE_S, answer, daemon, request_text, trouble
from openapi_document import document, filled, operation, walk

ENVELOPE = "application/json"
PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
BOUNDARY = "a-boundary-of-ours"

# How much of an answer is shown where it is wrong.
SAMPLE_MAX = 600

# What every answer may have; Content-Type is checked by itself.
GENERAL_HEADERS = {"date", "content-type", "content-length", "x-content-type-options", "connection"}


class api:
    """The operations of one document at one daemon."""

    def __init__(self, known: document, at: daemon) -> None:
        self.document = known
        self.daemon = at
        self.faults: list[str] = []
        self.told: set[str] = set()
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.events_seen: dict[str, set[str]] = defaultdict(set)
        self.members_seen: set[str] = set()
        self.examples_sent: set[tuple[str, str, str]] = set()

    def fault(self, where: str, what: str, sample: bytes = b"") -> None:
        """Notes that something is wrong, once: what the same place of a list says again is no news. `sample` shows what
        was answered."""
        line = where + re.sub(r"\[\d+\]", "[]", what)
        if line not in self.told:
            self.told.add(line)
            self.faults.append(f"{where}: {what}" + (f" in {sample[:SAMPLE_MAX]!r}" if sample else ""))

    def example(self, id: str, name: str, media_type: str = ENVELOPE) -> Any:
        """An example of a request's body, out of the document."""
        for at, called, value in self.document.operations[id].request_examples():
            if (at, called) == (media_type, name):
                return value
        raise trouble(f"{id} has no example {name} of {media_type}")

    # -- asking -------------------------------------------------------------------------------

    def call(
        self,
        id: str,
        status: int,
        path: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        body: Any = None,
        media_type: str = ENVELOPE,
        headers: dict[str, str] | None = None,
        sound: bool | None = None,
        by_head: bool = True,
    ) -> answer:
        """One request and its answer, which must have this status and be as the document says.

        What succeeds must be a request as the document has it, unless `sound` says otherwise. A GET is asked by HEAD as
        well, where that is not switched off, and a failure for its bare form.
        """
        one = self.document.operations[id]
        sound = status < 400 if sound is None else sound
        where = f"{id} {status}"
        if sound:
            self.check_request(where, one, path or {}, query or {}, headers or {}, body, media_type)
        target = target_of(one, path, query)
        sent = dict(headers or {})
        data = b""
        if body is not None:
            data = encoded(body, media_type)
            sent.setdefault(
                "Content-Type", f"{media_type}; boundary={BOUNDARY}" if media_type == MULTIPART else media_type
            )
        got = self.daemon.send(request_text(one.method, target, sent, data))
        if got.status != status:
            self.fault(
                where, f"{one.method} {target} {str(body)[:200]} is answered {got.status}: {got.body[:300]!r}"
            )
            return got
        self.check_answer(one, got)
        if status >= 400:
            bare = self.daemon.send(request_text(one.method, target, sent | {"Accept": PROBLEM}, data))
            self.check_failure_is_bare(one, got, bare)
        if one.method == "GET" and by_head:
            self.check_head(one, got, self.daemon.send(request_text("HEAD", target, sent), bodiless=True))
        return got

    def data(self, id: str, path: dict[str, str] | None = None, **more: Any) -> Any:
        """`data` of a call that must be answered 200."""
        got = self.call(id, 200, path, **more)
        return got.json["data"] if got.status == 200 else None

    def stream(
        self,
        id: str,
        path: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        until: str = "event: end",
        meanwhile: Callable[[], None] | None = None,
    ) -> list[tuple[str, str, Any]]:
        """The events of a stream, as (id, name, data), until one holds the text `until`; each must be as the document says.
        `meanwhile` is called when the first has come."""
        one = self.document.operations[id]
        where = f"{id} as a stream"
        self.check_request(where, one, path or {}, query or {}, headers or {}, None, ENVELOPE)
        target = target_of(one, path, query)
        got = stream_of(self.daemon, request_text("GET", target, headers or {}), until, meanwhile)
        self.check_answer(one, got)
        self.check_head(one, got, self.daemon.send(request_text("HEAD", target, headers or {}), bodiless=True))
        content = (one.response_of(got.status) or {}).get("content", {}).get(got.media_type, {})
        events = []
        for event in events_in(got.body):
            events.append(event)
            self.members_seen |= {name for _, part in walk(event[2]) if isinstance(part, dict) for name in part}
            schema = content.get("x-events", {}).get(event[1])
            if schema is None:
                self.fault(where, f"no event {event[1]} stands in the document")
                continue
            self.events_seen[id].add(event[1])
            for fault in self.document.faults_of(event[2], schema):
                self.fault(f"{where}, {event[1]}", f"{fault} in {event[2]}")
        return events

    def refused_by_gate(self, one: operation, status: int, request: bytes, bare: bool = True) -> None:
        """A request that is refused before anybody has looked into it."""
        got = self.daemon.send(request)
        if got.status != status:
            self.fault(f"{one.id} {status}", f"{request[:100]!r} is answered {got.status}: {got.body[:300]!r}")
            return
        self.check_answer(one, got)
        if bare:
            head, _, body = request.partition(b"\r\n\r\n")
            asked = head + b"\r\nAccept: " + PROBLEM.encode() + b"\r\n\r\n" + body
            self.check_failure_is_bare(one, got, self.daemon.send(asked))

    # -- what is sent ---------------------------------------------------------------------------

    def check_request(
        self,
        where: str,
        one: operation,
        path: dict[str, str],
        query: dict[str, Any],
        headers: dict[str, str],
        body: Any,
        media_type: str,
    ) -> None:
        given = {("path", name): value for name, value in path.items()} | {
            ("query", name): value for name, value in query.items()
        }
        given |= {
            ("header", name.lower()): value
            for name, value in headers.items()
            if name.lower() not in ("accept", "content-type")
        }
        for parameter in one.parameters:
            name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
            if (parameter["in"], name) in given:
                value = plain(given.pop((parameter["in"], name)), self.document, parameter["schema"])
                for fault in self.document.faults_of(value, parameter["schema"]):
                    self.fault(where, f"parameter {name}: {fault}")
            elif parameter.get("required"):
                self.fault(where, f"parameter {name} is required, and was not needed")
        for place, name in given:
            self.fault(where, f"there is no parameter {name} in the {place}")
        if body is None:
            if (one.body or {}).get("required"):
                self.fault(where, "a body is required, and was not needed")
            return
        media = (one.body or {"content": {}})["content"].get(media_type)
        if media is None:
            self.fault(where, f"no body of {media_type} stands in the document")
            return
        for called, name, value in one.request_examples():
            if called == media_type and value == body:
                self.examples_sent.add((one.id, media_type, name))
        value = (
            body
            if isinstance(body, str) or media_type == ENVELOPE
            else form_values(body, self.document, media["schema"])
        )
        for fault in self.document.faults_of(value, media["schema"]):
            self.fault(where, f"what was sent, {str(body)[:200]}: {fault}")

    # -- what is answered -------------------------------------------------------------------------

    def check_answer(self, one: operation, got: answer) -> None:
        where = f"{one.id} {got.status}"
        self.seen[one.id].add(got.status)
        said = one.response_of(got.status)
        if said is None:
            self.fault(where, f"this status stands nowhere in the document: {got.body[:300]!r}")
            return
        self.check_headers(where, said, got)
        content = said.get("content", {})
        if not content:
            if got.body or got.media_type:
                self.fault(where, f"there should be no body: {got.body[:300]!r}")
            return
        if got.media_type not in content:
            self.fault(where, f"no answer of {got.media_type!r} stands in the document")
            return
        schema = content[got.media_type]["schema"]
        value = got.json if got.media_type in (ENVELOPE, PROBLEM) else got.body.decode(errors="replace")
        for fault in self.document.faults_of(value, schema):
            self.fault(where, fault, got.body)
        if one.id == "show_api_document":
            self.members_seen |= set(value)  # below that it names all there are
        else:
            self.members_seen |= {name for _, part in walk(value) if isinstance(part, dict) for name in part}
        told = value.get("status_code", value.get("status")) if isinstance(value, dict) else None
        if told not in (None, got.status):
            self.fault(where, f"the body says {told}")
        if got.status >= 400 and got.media_type == ENVELOPE:
            problem = value["error"]
            if (problem["status"], problem["detail"]) != (value["status_code"], value["message"]):
                self.fault(where, f"the envelope and its error differ: {got.body[:300]!r}")
            if (problem["type"] == "about:blank") == ("code" in problem):
                self.fault(where, f"type and code do not go together: {problem}")

    def check_headers(self, where: str, said: dict[str, Any], got: answer) -> None:
        known = {
            name.lower(): self.document.resolved(header) for name, header in said.get("headers", {}).items()
        }
        if 200 <= got.status < 300:  # a header that goes with one media type alone; a failure has them all
            known = {
                name: header
                for name, header in known.items()
                if header.get("x-media-type") in (None, got.media_type)
            }
        for name in got.headers:
            if name not in known and name not in GENERAL_HEADERS:
                self.fault(where, f"the header {name} stands nowhere in the document")
        for name, header in known.items():
            if name not in got.headers:
                if header.get("required"):
                    self.fault(where, f"the header {name} is missing")
                continue
            value = plain(got.headers[name], self.document, header["schema"])
            for fault in self.document.faults_of(value, header["schema"]):
                self.fault(where, f"the header {name}: {fault}")
        if "date" not in got.headers or ("content-type" in got.headers) != (
            got.headers.get("x-content-type-options") == "nosniff"
        ):
            self.fault(where, f"these are not the headers that all answers have: {got.headers}")

    def check_failure_is_bare(self, one: operation, first: answer, bare: answer) -> None:
        where = f"{one.id} {first.status} as a problem"
        if bare.status != first.status or bare.media_type != PROBLEM:
            self.fault(where, f"is answered {bare.status} as {bare.media_type!r}: {bare.body[:300]!r}")
            return
        self.check_answer(one, bare)
        told = first.json["error"]
        if {name: bare.json.get(name) for name in told if name != "detail"} != {
            name: told[name] for name in told if name != "detail"
        }:
            self.fault(where, f"differs from the error of the envelope: {bare.body[:300]!r}")

    def check_head(self, one: operation, first: answer, head: answer) -> None:
        if (head.status, set(head.headers), head.media_type) != (
            first.status,
            set(first.headers),
            first.media_type,
        ) or head.body:
            self.fault(
                f"{one.id} {first.status} by HEAD",
                f"is answered {head.status} with {head.headers}, but GET {first.headers}",
            )

    def check_options(self) -> None:
        """OPTIONS, and a method that no path has: both name the methods of the document."""
        for path in self.document.parsed["paths"]:
            here = [one for one in self.document.operations.values() if one.path == path]
            expected = (
                {one.method for one in here}
                | {"OPTIONS"}
                | ({"HEAD"} if any(one.method == "GET" for one in here) else set())
            )
            target = re.sub(r"\{\w+\}", "some", path)
            told = self.daemon.send(request_text("OPTIONS", target, {}))
            refused = self.daemon.send(request_text("PUT", target, {}))
            for got, status in ((told, 204), (refused, 405)):
                if got.status != status or set(got.headers.get("allow", "").split(", ")) != expected:
                    self.fault(
                        f"{path} {status}",
                        f"is answered {got.status} with Allow: {got.headers.get('allow')}; expected {sorted(expected)}",
                    )
            for one in here:
                self.refused_by_gate(one, 405, request_text("PUT", target, {}))

    # -- the account ---------------------------------------------------------------------------------

    def account(self, unprovoked: dict[str, set[int]], unheard: dict[str, set[str]], unseen: set[str]) -> str:
        """A table of what was seen; what should have been and was not is a fault. `unprovoked`: the failures that nobody
        can bring about here, for an operation, or for all of them (`*`); `unheard`: such events of a stream;
        `unseen`: such members."""
        for name in sorted(self.document.answered_members() - self.members_seen - unseen):
            self.fault("members", f"{name} stands in the document, and was never answered")
        width = max(len(id) for id in self.document.operations)
        lines = []
        for id, one in self.document.operations.items():
            documented = {int(status) for status in one.responses if status != "default"}
            missing = documented - self.seen[id]
            for status in sorted(missing - unprovoked["*"] - unprovoked.get(id, set())):
                self.fault(f"{id} {status}", "stands in the document, and was never seen")
            for status in sorted((unprovoked["*"] | unprovoked.get(id, set())) & self.seen[id]):
                self.fault(f"{id} {status}", "is taken for impossible here, and was seen")
            told = " ".join(str(status) for status in sorted(self.seen[id]))
            lines.append(
                f"{id:{width}}  {told}"
                + (f"  (not seen: {' '.join(map(str, sorted(missing)))})" if missing else "")
            )
            for said in one.responses.values():
                for media in said.get("content", {}).values():
                    for name in set(media.get("x-events", {})) - self.events_seen[id] - unheard.get(id, set()):
                        self.fault(id, f"the event {name} stands in the document, and was never seen")
            for media_type, name, _ in one.request_examples():
                if (id, media_type, name) not in self.examples_sent:
                    self.fault(id, f"the example {name} of {media_type} was never sent")
        return "\n".join(lines)


def target_of(one: operation, path: dict[str, str] | None, query: dict[str, Any] | None) -> str:
    """What is asked for; a list in the query is separated by commas."""
    given = {
        name: ",".join(value) if isinstance(value, list) else value for name, value in (query or {}).items()
    }
    return filled(one.path, path or {}) + ("?" + urllib.parse.urlencode(given) if given else "")


def encoded(body: Any, media_type: str) -> bytes:
    """A body as it is sent; text as it is."""
    if isinstance(body, str):
        return body.encode()
    if media_type == FORM:
        return urllib.parse.urlencode(fields_of(body)).encode()
    if media_type == MULTIPART:
        parts = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields_of(body)
        ]
        return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()
    return json.dumps(body).encode()


def fields_of(body: dict[str, Any]) -> list[tuple[str, str]]:
    """A form's fields; a list is a field that is repeated."""
    fields = []
    for name, value in body.items():
        for one in value if isinstance(value, list) else [value]:
            fields.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
    return fields


def types_of(known: document, schema: dict[str, Any]) -> set[str]:
    """The types that a value of this schema may have."""
    schema = known.resolved(schema)
    said = schema.get("type", [])
    types = set(said if isinstance(said, list) else [said])
    for part in schema.get("oneOf", []) + schema.get("anyOf", []) + schema.get("allOf", []):
        types |= types_of(known, part)
    return types


def plain(value: Any, known: document, schema: dict[str, Any]) -> Any:
    """The value that text stands for, where it stands for another than text."""
    if not isinstance(value, str):
        return value
    types = types_of(known, schema)
    if types & {"integer", "number"} and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return json.loads(value)
    if "boolean" in types and value in ("true", "false"):
        return value == "true"
    return value


def form_values(body: dict[str, Any], known: document, schema: dict[str, Any]) -> dict[str, Any]:
    """A form's fields as the values that its schema speaks of."""
    members: dict[str, Any] = {}

    def gather(part: dict[str, Any]) -> None:
        part = known.resolved(part)
        members.update(part.get("properties", {}))
        for deeper in part.get("allOf", []):
            gather(deeper)

    gather(schema)
    return {name: plain(value, known, members.get(name, {})) for name, value in body.items()}


def stream_of(at: daemon, request: bytes, enough: str, meanwhile: Callable[[], None] | None) -> answer:
    """An answer without an end, read until an event with some text is complete, or it ends."""
    until = time.monotonic() + PATIENCE_S
    with at.connect() as connection:
        connection.sendall(request)
        received = b""
        while enough.encode() not in received or not received.endswith(b"\n\n"):
            # Signs of life come as well, so that silence alone would never end this.
            if time.monotonic() > until:
                raise trouble(f"{request[:100]!r} brings no {enough!r}, but {received[-500:]!r}")
            more = connection.recv(65_536)
            if not more:
                break
            received += more
            if meanwhile and b"\ndata: " in received:
                meanwhile()
                meanwhile = None
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return answer(int(lines[0].split()[1]), headers, body)


def events_in(body: bytes) -> list[tuple[str, str, Any]]:
    """The events of a text/event-stream; comments and what is no event are left out."""
    events = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            events.append((fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"])))
    return events
