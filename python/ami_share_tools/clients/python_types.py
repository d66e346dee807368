"""Make the generated half of the Python client from the bundle: its types, and a method for each operation."""

import keyword
import re
from pathlib import Path
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.repository import CLIENTS

FOLDER = CLIENTS / "python/ami_share_client"
HEADER = '"""Made from openapi.bundle.yaml by make bundle. Edit openapi.yaml and schemas/."""\n\n'
PLAIN = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict[str, Any]",
}


def files(bundle: Document) -> dict[Path, str]:
    """Path → text."""
    return {FOLDER / "documents.py": documents(bundle), FOLDER / "operations.py": operations(bundle)}


def documents(bundle: Document) -> str:
    schemas = bundle["components"]["schemas"]
    objects = {name: schema for name, schema in schemas.items() if "properties" in schema}
    unions = {name: schema for name, schema in schemas.items() if "oneOf" in schema or "anyOf" in schema}
    aliases = {name: schema for name, schema in schemas.items() if name not in objects and name not in unions}
    text = (
        HEADER
        + "from __future__ import annotations\n\nfrom typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n\n"
    )
    text += "".join(f"{comment(schema)}{name}: TypeAlias = {written(schema)}\n" for name, schema in aliases.items())
    text += "".join(map(object_type, objects, objects.values()))
    return (
        text
        + "\n\n"
        + "".join(f"{comment(schema)}{name}: TypeAlias = {written(schema)}\n" for name, schema in unions.items())
    )


def object_type(name: str, schema: Document) -> str:
    lines = [f"\n\nclass {name}(TypedDict):"]
    if "description" in schema:
        lines.append(f'    """{one_line(schema["description"])}"""\n')
    for field, value in schema["properties"].items():
        if keyword.iskeyword(field) or not field.isidentifier():
            raise ValueError(f"{name}.{field} is no name in Python")
        kind = written(value)
        lines.append(f"    {field}: {kind if field in schema.get('required', []) else f'NotRequired[{kind}]'}")
        if "description" in value:
            lines.append(f'    """{one_line(value["description"])}"""')
    return "\n".join(lines) + "\n"


def written(schema: Document) -> str:
    """A schema as a type."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    for kind in ("oneOf", "anyOf"):
        if kind in schema:
            return " | ".join(map(written, schema[kind]))
    if "const" in schema or "enum" in schema:
        return f"Literal[{', '.join(map(literal, schema.get('enum', [schema.get('const')])))}]"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " | ".join(of_type(kind, schema) for kind in kinds)


def of_type(kind: str, schema: Document) -> str:
    if kind == "array":
        return f"list[{written(schema['items'])}]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {written(schema['additionalProperties'])}]"
    return PLAIN[kind]


def operations(bundle: Document) -> str:
    used: set[str] = set()
    methods: list[str] = []
    for path, item in bundle["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "delete", "patch"):
                methods.append(method_of(bundle, path, method.upper(), operation, item.get("parameters", []), used))
    imports = ", ".join(sorted(used))
    return (
        HEADER + "from __future__ import annotations\n\nfrom collections.abc import Mapping\nfrom typing import Any\n"
        f"from urllib.parse import quote\n\nfrom .documents import {imports}\n\n\nclass Operations:\n"
        '    """A method for each operation of the API. What is not answered with success is raised as `ApiError`."""\n\n'
        "    def call(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> Any:\n"
        "        raise NotImplementedError\n" + "".join(methods)
    )


def method_of(
    bundle: Document, path: str, method: str, operation: Document, parameters: list[Document], used: set[str]
) -> str:
    in_path: list[Document] = []
    in_query: list[Document] = []
    for parameter in parameters + operation.get("parameters", []):
        if "$ref" in parameter:
            parameter = bundle["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
        (in_path if parameter["in"] == "path" else in_query).append(parameter)
    arguments, keywords, body = ["self"], [], "None"
    for parameter in in_path:
        arguments.append(f"{snake(parameter['name'])}: {type_for(parameter, used)}")
    if "requestBody" in operation:
        [content] = operation["requestBody"]["content"].values()
        arguments.append(f"body: {type_for(content, used)}")
        body = "body"
    for parameter in in_query:
        kind = type_for(parameter, used)
        keywords.append(f"{snake(parameter['name'])}: {kind}" + ("" if parameter.get("required") else " | None = None"))
    route = re.sub(r"{(\w+)}", lambda name: "{quote(" + snake(name[1]) + ", safe='')}", path)
    query = "{" + ", ".join(f'"{parameter["name"]}": {snake(parameter["name"])}' for parameter in in_query) + "}"
    [success] = [
        content
        for status, answer in operation["responses"].items()
        if status == "200"
        for content in answer["content"].values()
    ]
    outcome = type_for(success, used)
    told = one_line(
        " ".join(
            filter(
                None,
                [
                    operation["summary"].rstrip(".?") + ("?" if operation["summary"].endswith("?") else "."),
                    operation.get("description"),
                ],
            )
        )
    )
    return (
        f"\n    def {snake(operation['operationId'])}({', '.join(arguments + (['*'] if keywords else []) + keywords)}) -> {outcome}:\n"
        f'        """{told}"""\n'
        f'        answer: {outcome} = self.call("{method}", {"f" if in_path else ""}"{route}", {query}, {body})\n'
        "        return answer\n"
    )


def type_for(holder: Document, used: set[str]) -> str:
    """The type of what has a schema; the names in it are added to those that are used."""
    kind = written(holder["schema"])
    used.update(re.findall(r"#/components/schemas/(\w+)", repr(holder["schema"])))
    return kind


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def one_line(words: str) -> str:
    return re.sub(r"\s+", " ", words.strip()).replace("\\", "\\\\").replace('"""', "'''").removesuffix('"')


def comment(schema: Document) -> str:
    return f"# {one_line(schema['description'])}\n" if "description" in schema else ""
