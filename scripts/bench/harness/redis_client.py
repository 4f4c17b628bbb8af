"""A small client of Redis: pipelined commands over one connection, and their answers.

Only what the harness needs of the protocol: simple strings, errors, numbers and bulk strings.
"""
from __future__ import annotations

import socket
from collections.abc import Iterable

from .processes import bench_error

INTAKE_KEY = "task:prepare:queue"


def encode(words: Iterable[str | bytes]) -> bytes:
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class redis_client:
    """One connection; not thread-safe."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb")

    def ask(self, *words: str | bytes) -> str | int | None:
        self.socket.sendall(encode(words))
        return self.read_answer()

    def count(self, *words: str) -> int:
        """An answer that is a number."""
        answer = self.ask(*words)
        if not isinstance(answer, int):
            raise bench_error(f"Redis answered {words[0]} with {answer!r}, not with a number")
        return answer

    def read_answer(self) -> str | int | None:
        row = self.answers.readline()
        kind, rest = row[:1], row[1:].strip()
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            if length < 0:
                return None
            return self.answers.read(length + 2)[:-2].decode(errors="replace")
        raise bench_error(f"Redis answered {row.decode(errors='replace').strip() or 'nothing'}")

    def push_all(self, key: str, messages: Iterable[bytes], at_a_time: int = 5000) -> None:
        """LPUSH of every message, a command each, pipelined."""
        waiting: list[bytes] = []
        head = b"*3\r\n$5\r\nLPUSH\r\n$%d\r\n%s\r\n" % (len(key), key.encode())
        for message in messages:
            waiting.append(head + b"$%d\r\n%s\r\n" % (len(message), message))
            if len(waiting) == at_a_time:
                self.send_pushes(waiting)
                waiting = []
        self.send_pushes(waiting)

    def send_pushes(self, commands: list[bytes]) -> None:
        self.socket.sendall(b"".join(commands))
        for _ in commands:
            if not isinstance(self.read_answer(), int):
                raise bench_error("Redis did not answer LPUSH with a number")

    def close(self) -> None:
        self.answers.close()
        self.socket.close()
