"""Make openapi.bundle.yaml from openapi.yaml and schemas/: one document as generators of clients want it. `make bundle`.

The sources say exactly what the function accepts. Generators understand less, so the bundle says the same in their words:

- every object and every list of words is a component with a name; nothing is in another file;
- a request document is one of several objects, told apart by `action`, each with the fields of its action;
- what makes a request need one field of several is said in words, because it has no type;
- a problem is one flat object, whether the function or API Gateway says it;
- `allOf` is merged, every array has items, every type is written out, a single word is a `const`;
- the examples are answers that the function gave, as `make record` recorded them.

Whatever a source says in a way that this file does not know is an error, so that nothing is lost without notice.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from ami_share_tools.clients import python_types
from ami_share_tools.clients.schemas import Schemas
from ami_share_tools.document import Document
from ami_share_tools.repository import CLIENTS, EXAMPLES, ROOT

BUNDLE = ROOT / "openapi.bundle.yaml"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def main() -> None:
    for path, text in files().items():
        path.write_text(text)
    if shutil.which("npm"):
        typescript = CLIENTS / "typescript"
        is_ready = (typescript / "node_modules/openapi-typescript").exists()
        for command in ([] if is_ready else [["npm", "ci", "--silent"]]) + [["npm", "run", "--silent", "generate"]]:
            if subprocess.run(command, cwd=typescript, stdout=subprocess.DEVNULL).returncode:
                raise SystemExit(f"clients/typescript/src/schema.ts is as it was: {' '.join(command)} failed.")
    else:
        print("clients/typescript/src/schema.ts is as it was: openapi-typescript, which makes it, needs Node.js.")


def files() -> dict[Path, str]:
    """Path → text of everything that is made from the sources."""
    made = bundle()
    return {BUNDLE: dump(made)} | python_types.files(made)


def bundle() -> Document:
    api = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return Bundle(api, json.loads(EXAMPLES.read_text())).document()


class Bundle:
    """The document: the paths and responses of openapi.yaml, with schemas in the bundle's words and recorded examples."""

    def __init__(self, api: Document, recorded: list[Document]) -> None:
        self.api, self.recorded, self.schemas = api, recorded, Schemas(api)

    def document(self) -> Document:
        paths = {path: self.path(item) for path, item in self.api["paths"].items()}
        self.schemas.component("Outcome", self.schemas.found("", "schemas/outcome.schema.json"))
        components = self.api["components"]
        kept = {
            kind: {name: self.parameter(value) for name, value in components[kind].items()}
            for kind in ("parameters", "headers")
        }
        responses = {
            name: self.response(value, self.examples(status)) for name, (status, value) in self.shared().items()
        }
        return {
            **{name: value for name, value in self.api.items() if name not in ("paths", "components")},
            "paths": paths,
            "components": {
                "securitySchemes": components["securitySchemes"],
                **kept,
                "responses": responses,
                "schemas": dict(sorted(self.schemas.made.items())),
            },
        }

    def path(self, item: Document) -> Document:
        made = {name: self.operation(value) if name in METHODS else value for name, value in item.items()}
        return made | self.parameters(item)

    def operation(self, operation: Document) -> Document:
        made = operation | self.parameters(operation)
        if "requestBody" in operation:
            made["requestBody"] = operation["requestBody"] | {
                "content": {
                    kind: {
                        "schema": self.schemas.schema("", content["schema"], "Body"),
                        "examples": self.bodies(operation, content),
                    }
                    for kind, content in operation["requestBody"]["content"].items()
                }
            }
        # What succeeds is said at the operation, so that its examples are those of the operation.
        made["responses"] = {
            status: self.response(self.schemas.resolved("", answer), self.examples(status, operation["operationId"]))
            if status < "300"
            else answer
            for status, answer in operation["responses"].items()
        }
        return made

    def shared(self) -> dict[str, tuple[str, Document]]:
        """Name → (status, response) of the responses that operations share."""
        statuses = {
            answer["$ref"].rsplit("/", 1)[1]: status
            for item in self.api["paths"].values()
            for method in METHODS
            if method in item
            for status, answer in item[method]["responses"].items()
            if "$ref" in answer
        }
        return {
            name: (statuses[name], value)
            for name, value in self.api["components"]["responses"].items()
            if statuses.get(name, "") >= "300"
        }

    def parameters(self, item: Document) -> Document:
        """The parameters of a path or operation that stand there themselves."""
        return (
            {"parameters": [one if "$ref" in one else self.parameter(one) for one in item["parameters"]]}
            if "parameters" in item
            else {}
        )

    def parameter(self, parameter: Document) -> Document:
        return parameter | {"schema": self.schemas.schema("", parameter["schema"], "")}

    def response(self, response: Document, examples: Document) -> Document:
        made = dict(response)
        if "content" in response:
            made["content"] = {kind: self.answer(content, examples) for kind, content in response["content"].items()}
        return made

    def answer(self, content: Document, examples: Document) -> Document:
        schema = self.schemas.schema("", content["schema"], "")
        is_ours = schema.get("$ref", "").rsplit("/", 1)[1] in ("Outcome", "Problem")
        shown = (examples or content.get("examples")) if is_ours else None
        return {"schema": schema} | ({"examples": shown} if shown else {})

    def examples(self, status: str, operation: str | None = None) -> Document:
        ours = [
            one for one in self.recorded if str(one["status"]) == status and operation in (None, one["operationId"])
        ]
        return {slug(one["summary"]): {"summary": one["summary"], "value": one["answer"]} for one in ours}

    def bodies(self, operation: Document, content: Document) -> Document:
        """The examples of a body, with one of each action that has an event and no example yet."""
        examples = dict(content.get("examples", {}))
        if "oneOf" in self.schemas.made.get(
            self.schemas.schema("", content["schema"], "Body")["$ref"].rsplit("/", 1)[1], {}
        ):
            shown = {example["value"].get("action") for example in examples.values()}
            for action in self.schemas.found("", "schemas/request.schema.json")[1]["properties"]["action"]["enum"]:
                event = ROOT / f"events/direct-{action}.json"
                if action not in shown and event.exists():
                    examples[f"direct-{action}"] = {
                        "summary": action.capitalize(),
                        "value": json.loads(event.read_text()),
                    }
        return examples


def slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


class Dumper(yaml.SafeDumper):
    """Without anchors, and so that YAML 1.1 and 1.2 read the same."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def as_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    looks_like_a_number = re.match(r"[-+.]?[0-9]", value) and not re.search(r"\s", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'" if looks_like_a_number else None)


Dumper.add_representer(str, as_text)


def dump(document: Document) -> str:
    return "# Made from openapi.yaml, schemas/ and clients/examples.json by make bundle. Edit those.\n" + yaml.dump(
        document, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True
    )


if __name__ == "__main__":
    main()
