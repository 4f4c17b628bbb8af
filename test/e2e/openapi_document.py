"""The description of the API as a test reads it: its soundness, its operations, and what they say of an answer.

What answers are held against is the document with every object closed: a member that is answered and stands nowhere in
the document is an offence, though the document itself leaves room for more.
"""
from __future__ import annotations

import copy
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import jsonschema

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# What OpenAPI 3.1 asks of a document, as far as ours uses it. Schemas are checked by their own meta-schema.
META_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["openapi", "info", "paths", "components"],
    "properties": {
        "openapi": {"pattern": r"^3\.1\.\d+$"},
        "jsonSchemaDialect": {"const": "https://json-schema.org/draft/2020-12/schema"},
        "info": {
            "type": "object",
            "required": ["title", "version", "description"],
            "properties": {
                name: {"type": "string", "minLength": 1}
                for name in ("title", "version", "description", "summary")
            },
            "additionalProperties": False,
        },
        "servers": {"type": "array", "items": {"type": "object", "required": ["url"]}},
        "security": {"type": "array"},
        "tags": {"type": "array", "items": {"type": "object", "required": ["name", "description"]}},
        "paths": {"patternProperties": {"^/": {"$ref": "#/$defs/path"}}, "additionalProperties": False},
        "components": {
            "type": "object",
            "properties": {
                "schemas": {"additionalProperties": {"type": "object"}},
                "responses": {"additionalProperties": {"$ref": "#/$defs/response"}},
                "parameters": {"additionalProperties": {"$ref": "#/$defs/parameter"}},
                "requestBodies": {"additionalProperties": {"$ref": "#/$defs/body"}},
                "headers": {"additionalProperties": {"$ref": "#/$defs/header"}},
            },
            "propertyNames": {"enum": ["schemas", "responses", "parameters", "requestBodies", "headers"]},
        },
    },
    "additionalProperties": False,
    "$defs": {
        "reference": {
            "type": "object",
            "required": ["$ref"],
            "properties": {"$ref": {"pattern": "^#/"}},
            "additionalProperties": False,
        },
        "path": {
            "type": "object",
            "properties": {
                "parameters": {"$ref": "#/$defs/parameters"},
                **{method: {"$ref": "#/$defs/operation"} for method in METHODS},
            },
            "additionalProperties": False,
        },
        "operation": {
            "type": "object",
            "required": ["operationId", "tags", "summary", "responses"],
            "properties": {
                "operationId": {"pattern": "^[a-z][a-z0-9_]*$"},
                "tags": {"type": "array", "minItems": 1, "maxItems": 1},
                "summary": {"type": "string", "pattern": r"\.$"},
                "description": {"type": "string", "minLength": 1},
                "parameters": {"$ref": "#/$defs/parameters"},
                "requestBody": {"anyOf": [{"$ref": "#/$defs/reference"}, {"$ref": "#/$defs/body"}]},
                "responses": {
                    "type": "object",
                    "patternProperties": {
                        "^([1-5][0-9][0-9]|default)$": {
                            "anyOf": [{"$ref": "#/$defs/reference"}, {"$ref": "#/$defs/response"}]
                        }
                    },
                    "additionalProperties": False,
                    "minProperties": 2,
                },
            },
            "additionalProperties": False,
        },
        "parameters": {
            "type": "array",
            "items": {"anyOf": [{"$ref": "#/$defs/reference"}, {"$ref": "#/$defs/parameter"}]},
        },
        "parameter": {
            "type": "object",
            "required": ["name", "in", "description", "schema"],
            "properties": {
                "name": {"type": "string"},
                "in": {"enum": ["path", "query", "header"]},
                "description": {"type": "string", "minLength": 1},
                "required": {"type": "boolean"},
                "allowEmptyValue": {"type": "boolean"},
                "style": {"const": "form"},
                "explode": {"type": "boolean"},
                "schema": {"type": "object"},
                "example": True,
            },
            "if": {"properties": {"in": {"const": "path"}}},
            "then": {"properties": {"required": {"const": True}}, "required": ["required"]},
            "additionalProperties": False,
        },
        "header": {
            "type": "object",
            "required": ["description", "schema"],
            "properties": {
                "description": {"type": "string"},
                "required": {"type": "boolean"},
                "schema": {"type": "object"},
                "example": True,
                "x-media-type": {"type": "string"},
            },
            "additionalProperties": False,
        },
        "body": {
            "type": "object",
            "required": ["content"],
            "properties": {
                "description": {"type": "string"},
                "required": {"type": "boolean"},
                "content": {"$ref": "#/$defs/content"},
            },
            "additionalProperties": False,
        },
        "response": {
            "type": "object",
            "required": ["description"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "headers": {
                    "additionalProperties": {
                        "anyOf": [{"$ref": "#/$defs/reference"}, {"$ref": "#/$defs/header"}]
                    }
                },
                "content": {"$ref": "#/$defs/content"},
                "x-statuses": {"type": "array", "items": {"type": "integer"}},
            },
            "additionalProperties": False,
        },
        "content": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]+/[a-z0-9.+-]+$"},
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["schema"],
                "properties": {
                    "schema": {"type": "object"},
                    "example": True,
                    "examples": {"additionalProperties": {"type": "object", "required": ["value"]}},
                    "x-events": {"additionalProperties": {"$ref": "#/$defs/reference"}},
                },
                "not": {"required": ["example", "examples"]},
                "additionalProperties": False,
            },
        },
    },
}

# Keywords of a schema whose values are schemas, lists of them, or schemas by name.
SCHEMA_KEYWORDS = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "not",
    "contains",
    "if",
    "then",
    "else",
)
SCHEMA_LIST_KEYWORDS = ("oneOf", "anyOf", "prefixItems")
SCHEMA_MAP_KEYWORDS = ("properties", "patternProperties", "$defs", "dependentSchemas")


class operation:
    """One method of one path."""

    def __init__(
        self, whole: document, method: str, path: str, item: dict[str, Any], said: dict[str, Any]
    ) -> None:
        self.method = method.upper()
        self.path = path
        self.id: str = said["operationId"]
        self.parameters = [
            whole.resolved(one) for one in item.get("parameters", []) + said.get("parameters", [])
        ]
        self.responses: dict[str, dict[str, Any]] = {
            status: whole.resolved(one) for status, one in said["responses"].items()
        }
        self.body: dict[str, Any] | None = (
            whole.resolved(said["requestBody"]) if "requestBody" in said else None
        )

    def response_of(self, status: int) -> dict[str, Any] | None:
        """What the document says of such an answer; None when it says nothing."""
        if str(status) in self.responses:
            return self.responses[str(status)]
        rest = self.responses.get("default", {})
        return rest if status in rest.get("x-statuses", []) else None

    def request_examples(self) -> Iterator[tuple[str, str, Any]]:
        """The media type, the name and the value of every example of a body."""
        for media_type, media in (self.body or {"content": {}})["content"].items():
            if "example" in media:
                yield media_type, "example", media["example"]
            for name, one in media.get("examples", {}).items():
                yield media_type, name, one["value"]


class document:
    """The whole document, read only."""

    def __init__(self, parsed: dict[str, Any]) -> None:
        self.parsed = parsed
        self.closed_components = {
            "schemas": {name: self.closed(one) for name, one in parsed["components"]["schemas"].items()}
        }
        self.operations = {
            one.id: one
            for path, item in parsed["paths"].items()
            for one in (
                operation(self, method, path, item, item[method]) for method in METHODS if method in item
            )
        }
        self.validators: dict[tuple[str, bool], jsonschema.Draft202012Validator] = {}

    def resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        """What a reference leads to, however often; anything else as it is."""
        while "$ref" in value:
            found: Any = self.parsed
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            value = found
        return value

    def closed(self, schema: Any, is_part: bool = False) -> Any:
        """The schema with no room for members that it does not name. Parts of an allOf are closed by what they are part of."""
        if not isinstance(schema, dict):
            return schema
        if is_part and "$ref" in schema:
            return self.closed(self.resolved(schema), True)
        changed: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword in SCHEMA_KEYWORDS:
                changed[keyword] = self.closed(value)
            elif keyword in SCHEMA_LIST_KEYWORDS:
                changed[keyword] = [self.closed(one, is_part) for one in value]
            elif keyword in SCHEMA_MAP_KEYWORDS:
                changed[keyword] = {name: self.closed(one) for name, one in value.items()}
            elif keyword == "allOf":
                changed[keyword] = [self.closed(one, True) for one in value]
            else:
                changed[keyword] = value
        names_members = any(keyword in schema for keyword in ("properties", "patternProperties", "allOf"))
        if (
            names_members
            and not is_part
            and not {"additionalProperties", "unevaluatedProperties"} & set(schema)
        ):
            changed["unevaluatedProperties"] = False
        return changed

    def faults_of(self, value: Any, schema: dict[str, Any], closed: bool = True) -> list[str]:
        """What is wrong with a value that the schema should describe."""
        key = (repr(schema), closed)
        if key not in self.validators:
            whole = {
                **copy.deepcopy(self.closed(schema) if closed else schema),
                "components": self.closed_components if closed else self.parsed["components"],
            }
            self.validators[key] = jsonschema.Draft202012Validator(whole)
        return [
            f"{one.json_path}: {one.message[:300]}"
            + "".join(f" [{more.json_path}: {more.message[:200]}]" for more in deepest(one))
            for one in self.validators[key].iter_errors(value)
        ]

    def answered_members(self) -> set[str]:
        """The names of all members that answers may have, wherever they stand."""
        names: set[str] = set()
        waiting: list[Any] = [one.responses for one in self.operations.values()]
        known: set[int] = set()
        while waiting:
            for _, part in walk(waiting.pop()):
                if not isinstance(part, dict):
                    continue
                if isinstance(part.get("properties"), dict):
                    names |= set(part["properties"])
                if isinstance(part.get("$ref"), str) and id(self.resolved(part)) not in known:
                    known.add(id(self.resolved(part)))
                    waiting.append(self.resolved(part))
        return names

    # -- soundness ------------------------------------------------------------------------

    def faults_of_schemas(self) -> list[str]:
        used = {
            value["$ref"]
            for _, value in walk(self.parsed)
            if isinstance(value, dict) and isinstance(value.get("$ref"), str)
        }
        faults = [
            f"nothing refers to {kind}/{name}"
            for kind, components in self.parsed["components"].items()
            for name in components
            if f"#/components/{kind}/{name}" not in used
        ]
        for place, schema in self.schemas():
            try:
                jsonschema.Draft202012Validator.check_schema(schema)
            except jsonschema.SchemaError as fault:
                faults.append(f"{place}: {fault.message}")
            faults += [
                f"{place}: {name} is required, and not among its members"
                for name in self.unknown_required(schema)
            ]
        return faults

    def schemas(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, schema in self.parsed["components"]["schemas"].items():
            yield f"schemas/{name}", schema
        for place, value in walk(self.parsed):
            if isinstance(value, dict) and isinstance(value.get("schema"), dict):
                yield place, value["schema"]

    def unknown_required(self, schema: dict[str, Any]) -> list[str]:
        known = set(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            known |= set(self.resolved(part).get("properties", {}))
            for deeper in self.resolved(part).get("allOf", []):
                known |= set(self.resolved(deeper).get("properties", {}))
        return [name for name in schema.get("required", []) if known and name not in known]

    def faults_of_operations(self) -> list[str]:
        faults = []
        ids = [
            item[method]["operationId"]
            for item in self.parsed["paths"].values()
            for method in METHODS
            if method in item
        ]
        faults += [f"operationId {one} stands for several" for one in set(ids) if ids.count(one) > 1]
        tags = [one["name"] for one in self.parsed["tags"]]
        for item in self.parsed["paths"].values():
            faults += [
                f"there is no tag {tag}"
                for method in METHODS
                for tag in item.get(method, {}).get("tags", [])
                if tag not in tags
            ]
        for one in self.operations.values():
            statuses = [int(status) for status in one.responses if status != "default"]
            if not any(200 <= status < 300 for status in statuses):
                faults.append(f"{one.id}: no answer says that it succeeded")
            if not any(400 <= status < 500 for status in statuses) or not any(
                status >= 500 for status in statuses
            ):
                faults.append(f"{one.id}: no answer says that it failed")
            named = sorted(parameter["name"] for parameter in one.parameters if parameter["in"] == "path")
            if named != sorted(re.findall(r"\{(\w+)\}", one.path)):
                faults.append(f"{one.id}: the path {one.path} and its parameters {named} differ")
            places = [(parameter["in"], parameter["name"].lower()) for parameter in one.parameters]
            faults += [
                f"{one.id}: parameter {place[1]} stands there twice"
                for place in set(places)
                if places.count(place) > 1
            ]
            for status, response in one.responses.items():
                bare = status in ("204", "304")
                if bare == ("content" in response):
                    faults.append(f"{one.id}: {status} must {'not ' if bare else ''}have a body")
        return faults

    def faults_of_examples(self) -> list[str]:
        faults = []
        for place, schema in self.schemas():
            for deeper, part in walk(schema, place):
                if (
                    isinstance(part, dict)
                    and isinstance(part.get("examples"), list)
                    and not deeper.endswith("/properties")
                ):
                    for value in part["examples"]:
                        faults += [f"{deeper}: {one}" for one in self.faults_of(value, part)]
                if isinstance(part, dict) and "default" in part and not deeper.endswith("/properties"):
                    faults += [f"{deeper}: default: {one}" for one in self.faults_of(part["default"], part)]
        for place, value in walk(self.parsed):
            if not isinstance(value, dict) or not isinstance(value.get("schema"), dict):
                continue
            given = [value["example"]] if "example" in value else []
            given += (
                [one["value"] for one in value.get("examples", {}).values()]
                if isinstance(value.get("examples"), dict)
                else []
            )
            for example in given:
                faults += [f"{place}: {one}" for one in self.faults_of(example, value["schema"])]
        return faults


def check(parsed: dict[str, Any]) -> list[str]:
    """Everything that is wrong with a document itself: first its form, then, where that is sound, what it says."""
    meta = jsonschema.Draft202012Validator(META_SCHEMA)
    faults = [f"{one.json_path}: {one.message[:300]}" for one in meta.iter_errors(parsed)]
    faults += [
        f"{place}: {value['$ref']} leads nowhere"
        for place, value in walk(parsed)
        if leads_nowhere(parsed, value)
    ]
    if faults:
        return faults
    read = document(parsed)
    return read.faults_of_schemas() or read.faults_of_operations() + read.faults_of_examples()


def leads_nowhere(parsed: dict[str, Any], value: Any) -> bool:
    """Whether this is a reference, and nothing is where it leads."""
    if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
        return False
    found: Any = parsed
    for step in value["$ref"].removeprefix("#/").split("/"):
        if not isinstance(found, dict) or step not in found:
            return True
        found = found[step]
    return False


def deepest(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """Of a choice that nothing fits, what is wrong in each branch."""
    return sorted(error.context or [], key=lambda one: -len(one.absolute_path))[:4]


def walk(value: Any, place: str = "#") -> Iterator[tuple[str, Any]]:
    """Every value of a document with its place."""
    yield place, value
    if isinstance(value, dict):
        for name, one in value.items():
            yield from walk(one, f"{place}/{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from walk(one, f"{place}/{number}")


def filled(path: str, values: dict[str, str]) -> str:
    """A path with its parameters in their places."""
    return re.sub(r"\{(\w+)\}", lambda found: urllib.parse.quote(values[found.group(1)], safe=":"), path)
