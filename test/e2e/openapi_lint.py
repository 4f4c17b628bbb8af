#!/usr/bin/python3
"""Checks the description of the API for itself, without a daemon; and that each kind of fault would be found.

usage: test/e2e/openapi_lint.py     exit code 1 if anything is wrong
(Debian's Python by its path: that is the one which has Debian's jsonschema.)
"""
from __future__ import annotations

import copy
import json
import pathlib
import sys
import unittest
from collections.abc import Callable
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import openapi_document  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = json.loads((ROOT / "services" / "http" / "api_document" / "openapi.json").read_text())


def list_of_tasks(parsed: dict[str, Any]) -> dict[str, Any]:
    """Its answer, as a place to put faults into."""
    answer: dict[str, Any] = parsed["paths"]["/api/v1/tasks"]["get"]["responses"]["200"]
    return answer["content"]["application/json"]


class Document(unittest.TestCase):
    def test_is_sound(self) -> None:
        self.assertEqual(openapi_document.check(SOURCE), [])

    def test_leaves_the_version_to_the_build(self) -> None:
        self.assertEqual(SOURCE["info"]["version"], "@PROJECT_VERSION@")
        texts = [value for _, value in openapi_document.walk(SOURCE) if isinstance(value, str)]
        self.assertEqual([one for one in texts if one.count("@") > 1 and one != "@PROJECT_VERSION@"], [])


class Check(unittest.TestCase):
    def assert_found(self, says: str, change: Callable[[dict[str, Any]], Any]) -> None:
        parsed = copy.deepcopy(SOURCE)
        change(parsed)
        faults = openapi_document.check(parsed)
        self.assertTrue(any(says in one for one in faults), f"{says!r} is not among {faults[:5]}")

    def test_finds_what_is_no_openapi(self) -> None:
        tasks = "/api/v1/tasks"
        self.assert_found("$.openapi", lambda one: one.update(openapi="3.0.3"))
        self.assert_found("'paths' is a required property", lambda one: one.pop("paths"))
        self.assert_found("$.paths", lambda one: one["paths"].update(status={}))
        self.assert_found(
            "'operationId' is a required property", lambda one: one["paths"][tasks]["get"].pop("operationId")
        )
        self.assert_found("$.info", lambda one: one["info"].update(lisence="none"))
        self.assert_found("$.components", lambda one: one["components"].update(schema={}))

    def test_finds_references_that_lead_nowhere_and_what_nothing_refers_to(self) -> None:
        self.assert_found("leads nowhere", lambda one: one["components"]["schemas"].pop("outcome"))
        self.assert_found("leads nowhere", lambda one: one["components"]["responses"].pop("not_found"))
        self.assert_found(
            "nothing refers to schemas/new",
            lambda one: one["components"]["schemas"].update(new={"type": "object"}),
        )

    def test_finds_schemas_that_are_none(self) -> None:
        schemas = lambda one: one["components"]["schemas"]  # noqa: E731
        self.assert_found("schemas/time", lambda one: schemas(one)["time"].update(type="text"))
        self.assert_found(
            "not among its members", lambda one: schemas(one)["attempt"]["required"].append("result")
        )
        self.assert_found(
            "not among its members", lambda one: schemas(one)["task"]["required"].append("result")
        )

    def test_finds_operations_that_are_incomplete(self) -> None:
        paths = lambda one: one["paths"]  # noqa: E731
        self.assert_found("stands for several", lambda one: paths(one)["/"]["get"].update(operationId="push"))
        self.assert_found("there is no tag", lambda one: paths(one)["/"]["get"].update(tags=["first"]))
        self.assert_found("and its parameters", lambda one: paths(one)["/api/v1/tasks/{id}"].pop("parameters"))
        self.assert_found("says that it succeeded", lambda one: paths(one)["/"]["get"]["responses"].pop("200"))

        def without_failures(one: dict[str, Any]) -> None:
            answers = paths(one)["/livez"]["get"]["responses"]
            for status in [status for status in answers if status[0] in "45"]:
                answers.pop(status)

        self.assert_found("says that it failed", without_failures)
        self.assert_found(
            "must have a body", lambda one: paths(one)["/livez"]["get"]["responses"]["200"].pop("content")
        )

    def test_finds_examples_that_are_untrue(self) -> None:
        first = lambda one: list_of_tasks(one)["example"]["data"]["items"][0]  # noqa: E731
        self.assert_found("'colour' was unexpected", lambda one: first(one).update(colour="red"))
        self.assert_found("'held' is a required property", lambda one: first(one).pop("held"))
        self.assert_found("is not of type 'boolean'", lambda one: first(one).update(held=0))
        self.assert_found(
            "schemas/outcome",
            lambda one: one["components"]["schemas"]["outcome"]["examples"].append({"kind": "exited"}),
        )
        self.assert_found(
            "default", lambda one: one["components"]["parameters"]["list_limit"]["schema"].update(default=0)
        )


if __name__ == "__main__":
    unittest.main()
