"""GitHub's published OpenAPI description, as far as it says what a request has to look like."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import jsonschema

VARIABLE = "EVALGATE_GITHUB_OPENAPI"


class Asked(Protocol):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@functools.cache
def published_description() -> Description | None:
    """The description that the environment names; None where it names none."""
    path = os.environ.get(VARIABLE)
    return Description(json.loads(Path(path).read_text("utf-8"))) if path else None


class Description:
    """Says of a request what GitHub would not accept in it, and counts how often it was asked."""

    def __init__(self, content: dict[str, Any], *, prefix: str = "/api/v3") -> None:
        self._content = content
        self._prefix = prefix
        self.n_asked = 0
        self._paths = {
            re.compile(re.sub(r"\\{[^}]*\\}", "([^/]+)", re.escape(path))): path for path in content["paths"]
        }

    def faults(self, request: Asked) -> list[str]:
        """One sentence for each thing that does not fit; empty where the request is as described."""
        self.n_asked += 1
        where = f"{request.method} {request.path}"
        path = request.path.removeprefix(self._prefix)
        for pattern, template in sorted(self._paths.items(), key=lambda item: item[1].count("{")):
            found = pattern.fullmatch(path)
            operation = self._content["paths"][template].get(request.method.lower())
            if found and operation:
                values = dict(zip(re.findall(r"{([^}]*)}", template), map(unquote, found.groups()), strict=True))
                faults = [*self._parameters(operation, values, request.query), *self._body(operation, request.body)]
                return [f"{where}: {fault}" for fault in [*faults, *_headers(request.headers)]]
        return [f"{where}: GitHub describes no such operation"]

    def _parameters(self, operation: dict[str, Any], path: dict[str, str], query: dict[str, str]) -> list[str]:
        known: dict[tuple[str, str], Any] = {}
        for parameter in operation.get("parameters", []):
            found = self._resolved(parameter)
            known[(found["in"], found["name"])] = found
        given = {("path", name): value for name, value in path.items()} | {("query", n): v for n, v in query.items()}
        faults = [f"unknown parameter {name} in {place}" for place, name in given.keys() - known.keys()]
        missing = {key for key, found in known.items() if found.get("required")} - given.keys()
        faults += [f"missing parameter {name} in {place}" for place, name in missing]
        for key in given.keys() & known.keys():
            schema = self._schema(known[key].get("schema", {}))
            value: Any = int(given[key]) if schema.get("type") == "integer" and given[key].isdecimal() else given[key]
            faults += [
                f"{key[1]}: {fault.message}" for fault in jsonschema.Draft202012Validator(schema).iter_errors(value)
            ]
        return faults

    def _body(self, operation: dict[str, Any], body: Any) -> list[str]:
        described = operation.get("requestBody")
        if described is None:
            return [] if body is None else ["a body where none is described"]
        if body is None:
            return ["no body"] if described.get("required") else []
        schema = self._schema(described["content"]["application/json"]["schema"])
        faults = [f"body: {fault.message}" for fault in jsonschema.Draft202012Validator(schema).iter_errors(body)]
        # GitHub ignores keys that it does not know; here they are typing errors.
        return faults + [f"body: unknown key {key}" for key in body.keys() - schema.get("properties", {}).keys()]

    def _schema(self, schema: Any) -> Any:
        """The schema with references followed and OpenAPI 3.0's `nullable` said in JSON Schema's way."""
        if isinstance(schema, list):
            return [self._schema(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._schema(self._resolved(schema))
        plain = {
            key: self._schema(value) for key, value in schema.items() if key not in ("nullable", "example", "examples")
        }
        return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self._content
            for name in value["$ref"].removeprefix("#/").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")]
            value = found
        return value


def _headers(headers: dict[str, str]) -> list[str]:
    wanted = {
        "accept": r"application/vnd\.github\+json",
        "x-github-api-version": r"2022-11-28",
        "authorization": r"(token|Bearer) \S+",
        "user-agent": r"\S.*",
    }
    return [
        f"header {name} is {headers.get(name)!r}"
        for name, form in wanted.items()
        if not re.fullmatch(form, headers.get(name, ""))
    ]
