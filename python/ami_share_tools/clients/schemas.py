"""A JSON Schema of the sources in the bundle's words.

- Every object and every list of words is a component with a name; nothing is in another file.
- A request document is one of several objects, told apart by `action`, each with the fields of its action.
- What makes a request need one field of several is said in words, because it has no type.
- A problem is one flat object, whether the function or API Gateway says it.
- `allOf` is merged, every array has items, every type is written out, a single word is a `const`.
"""

import json
import re
from pathlib import Path
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.repository import ROOT

# Names that read better than those made of file, definition and field.
NAMES = {
    "Image": "ImageRow",
    "Step": "StepRow",
    "TargetState": "TargetRow",
    "Key": "KeyRow",
    "Role": "RoleRow",
    "Error": "ErrorRow",
    "AnyProblem": "Problem",
    "GatewayProblem": "Problem",
    "Request": "RequestDocument",
    "Code": "RefusalCode",
    "OutcomeAction": "Action",
    "StepRowState": "StepState",
    "TargetRowState": "TargetState",
    "ErrorRowCode": "ErrorCode",
    "RefusalFault": "FaultKind",
    "KeyRowGrant": "GrantState",
    "TargetRowLaunch": "Launch",
    "KeyRowBecauseItem": "Because",
    "RefusalValuesBecauseItem": "Because",
    "KeyRowPerActionValue": "ActionVerdict",
    "BecauseStatementEffect": "Effect",
    "PermissionsLaunchItem": "LaunchPermission",
    "PermissionsCopyItem": "CreateVolumePermission",
    "KeyRowRemedyItem": "PolicyStatement",
    "LaunchPermissionType": "GranteeType",
}
# What a schema may say beside the keywords that are treated one by one.
KEPT = {
    "description",
    "type",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "default",
}
MENTIONED = {"$schema", "title", "definitions"}


class NotUnderstood(Exception):
    """A source says something that the bundle has no words for."""


class Schemas:
    """The components that the bundle has so far; a reference to another one makes it too."""

    def __init__(self, api: Document) -> None:
        self.api, self.files = api, {"": api}
        self.made: dict[str, Document] = {}

    def found(self, base: str, reference: str) -> tuple[str, Document]:
        """(file, schema) that a reference means."""
        file, _, pointer = reference.partition("#")
        file = file or base
        if file not in self.files:
            self.files[file] = json.loads((ROOT / file).read_text())
        schema = self.files[file]
        for part in filter(None, pointer.split("/")):
            schema = schema[part]
        return file, schema

    def resolved(self, base: str, node: Document) -> Document:
        return self.found(base, node["$ref"])[1] if "$ref" in node else node

    def schema(self, base: str, node: Document, name: str) -> Document:
        """The schema in the bundle's words; what has a name there is a reference."""
        if "$ref" in node:
            file, found = self.found(base, node["$ref"])
            own = (
                Path(file).name.removesuffix(".schema.json")
                if "#" not in node["$ref"]
                else node["$ref"].rsplit("/", 1)[1]
            )
            return (
                self.schema(file, found, pascal(own))
                if self.is_plain(found)
                else self.component(pascal(own), (file, found))
            )
        if len(alternatives := node.get("anyOf", [])) > 1 and all(self.is_object(base, one) for one in alternatives):
            return self.component(name, (base, node))
        if "allOf" in node:  # an outcome, of which a response says what results it may have: its description does
            [whole] = node["allOf"]
            return self.schema(base, whole, name)
        if len(node.get("enum", [])) > 1 or "properties" in node or name in NAMES:
            return self.component(name, (base, node))
        return self.written(base, node, name)

    def is_plain(self, node: Document) -> bool:
        """Whether a definition is written out where it is used: lists, flags and single words have no name."""
        return node.get("type") in ("array", "boolean", "integer") or len(node.get("enum", [])) == 1

    def is_object(self, base: str, node: Document) -> bool:
        return "properties" in self.resolved(base, node) or "allOf" in self.resolved(base, node)

    def component(self, name: str, place: tuple[str, Document]) -> Document:
        name = NAMES.get(name, name)
        reference = {"$ref": f"#/components/schemas/{name}"}
        if name not in self.made:
            self.made[name] = {}  # it may refer to itself
            self.made[name] = self.named(name, *place)
        elif (
            self.made[name]
            and name != "Problem"
            and without_words(self.made[name]) != without_words(self.named(name, *place))
        ):
            raise NotUnderstood(f"two different schemas would be named {name}; give one of them another name in NAMES")
        return reference

    def named(self, name: str, base: str, node: Document) -> Document:
        if name == "Problem":
            return self.problem()
        if name == "Outcome":
            return self.written(*self.found("", "schemas/outcome.schema.json"), name)
        if "action" in node.get("properties", {}) and "oneOf" in node:
            return self.by_action(name, base, node)
        if "anyOf" in node and "properties" not in node:
            return described(node) | {"anyOf": [self.schema(base, one, name) for one in node["anyOf"]]}
        return self.written(base, node, name)

    def written(self, base: str, node: Document, name: str) -> Document:
        """The keywords of a schema, one by one."""
        made, rest = {}, dict(node)
        for keyword in [keyword for keyword in rest if keyword in KEPT | MENTIONED]:
            value = rest.pop(keyword)
            if keyword in KEPT:
                made[keyword] = value
        if "const" in rest or len(rest.get("enum", [])) == 1:
            only = rest.pop("const") if "const" in rest else rest.pop("enum")[0]
            made |= {"type": made.get("type", type_of(only)), "const": only}
        if "enum" in rest:
            made |= {"type": made.get("type", type_of(rest["enum"][0])), "enum": rest.pop("enum")}
        if "properties" in rest:
            made["type"] = "object"
            made["properties"] = {
                field: self.schema(base, value, name + pascal(field)) for field, value in rest.pop("properties").items()
            }
        if "required" in rest:
            made["required"] = rest.pop("required")
        if "items" in rest:
            made["items"] = self.schema(base, rest.pop("items"), name + "Item")
        if "additionalProperties" in rest:
            value = rest.pop("additionalProperties")
            made["additionalProperties"] = (
                value if isinstance(value, bool) else self.schema(base, value, name + "Value")
            )
        if is_one_of_several(rest.get("anyOf")):
            made["description"] = " ".join(
                filter(None, [made.get("description"), needs(rest.pop("anyOf"), "At least")])
            )
        for union in [union for union in ("anyOf", "oneOf") if union in rest]:
            made[union] = [self.schema(base, one, name) for one in rest.pop(union)]
        if rest:
            raise NotUnderstood(f"{name} says {', '.join(rest)}")
        kinds = [made.get("type")] if isinstance(made.get("type"), str) else made.get("type") or []
        if "array" in kinds and "items" not in made:
            raise NotUnderstood(f"{name} is an array without items")
        if "object" in kinds and "properties" not in made:
            made.setdefault("additionalProperties", True)
        if not kinds and not {"anyOf", "oneOf"} & set(made):
            raise NotUnderstood(f"{name} has no type")
        return made

    def by_action(self, name: str, base: str, node: Document) -> Document:
        """A request document as one object for each action."""
        actions = node["properties"]["action"]["enum"]
        branches = {
            action: [branch for branch in node["oneOf"] if action in actions_of(name, branch)] for action in actions
        }
        if not all(branches.values()):
            raise NotUnderstood(
                f"{name}'s oneOf has no branch for {', '.join(action for action in actions if not branches[action])}"
            )
        mapping = {}
        for action in actions:
            own = pascal(action) + "Request"
            self.made[own] = self.of_action(name, base, node, action, branches[action])
            mapping[action] = f"#/components/schemas/{own}"
        return described(node) | {
            "oneOf": [{"$ref": reference} for reference in mapping.values()],
            "discriminator": {"propertyName": "action", "mapping": mapping},
        }

    def of_action(self, name: str, base: str, node: Document, action: str, branches: list[Document]) -> Document:
        """What the branches about an action say, as one object; what more than one type could say is in words."""
        without = [forbidden(self, base, branch) for branch in branches]
        required = [branch.get("required", []) for branch in branches]
        told = [
            needs(branch[kind], words)
            for branch in branches
            for kind, words in (("anyOf", "At least"), ("oneOf", "Exactly"))
            if kind in branch
        ]
        if len(branches) > 1:
            told.insert(0, f"Either {' or '.join('with ' + named(fields) for fields in required)}.")
        fields = {
            field: value for field, value in node["properties"].items() if not all(field in one for one in without)
        }
        for branch in branches if len(branches) == 1 else []:
            fields |= {
                field: self.resolved(base, fields[field]) | value
                for field, value in branch["properties"].items()
                if isinstance(value, dict)
            }
        always = [field for field in required[0] if all(field in one for one in required)]
        return self.written(
            base,
            {
                "description": " ".join([f"The document of a request to {action}.", *told]),
                "type": "object",
                "properties": fields | {"action": {"const": action}},
                "required": [*node.get("required", []), *always],
                "additionalProperties": node["additionalProperties"],
            },
            name,
        )

    def problem(self) -> Document:
        """What the function and API Gateway say when something is wrong, as one flat object."""
        own_schemas = self.api["components"]["schemas"]
        base, outcome = self.found("", own_schemas["Problem"]["allOf"][0]["$ref"])
        own = own_schemas["Problem"]["properties"] | {"result": outcome["properties"]["result"]}
        gateway = own_schemas["GatewayProblem"]
        properties = {
            field: self.schema(base, value, "Outcome" + pascal(field)) for field, value in outcome["properties"].items()
        }
        properties = {
            field: self.schema("", value, "Problem" + pascal(field))
            for field, value in own.items()
            if field not in properties
        } | properties
        for field, value in gateway["properties"].items():
            properties[field] = widened(properties[field], value)
        always = [*own_schemas["Problem"]["required"], *outcome["required"]]
        return {
            "description": own_schemas["Problem"]["description"] + " " + gateway["description"],
            "type": "object",
            "properties": properties,
            "required": [field for field in always if field in gateway["required"]],
        }


def widened(ours: Document, theirs: Document) -> Document:
    """A field of a problem, such that it holds what either says."""
    types = theirs.get("type")
    if "$ref" in ours or "items" in ours or ours.get("const") == theirs.get("const", ""):
        return ours
    if "const" in theirs and not re.match(ours.get("pattern", ""), theirs["const"]):
        ours = {keyword: value for keyword, value in ours.items() if keyword != "pattern"}
        return ours | {"description": ours["description"] + f" From API Gateway: `{theirs['const']}`."}
    return ours | {"type": types} if isinstance(types, list) else ours


def actions_of(name: str, branch: Document) -> list[str]:
    known = {"properties", "required", "anyOf", "oneOf", "not"}
    if set(branch) - known or "action" not in branch.get("properties", {}):
        raise NotUnderstood(
            f"a branch of {name}'s oneOf says more than {', '.join(sorted(known))}, or not of which action"
        )
    about = branch["properties"]["action"]
    return about["enum"] if "enum" in about else [about["const"]]


def forbidden(schemas: Schemas, base: str, branch: Document) -> set[str]:
    """The fields that a branch rules out, by `not` or by `false`."""
    never = {field for field, value in branch["properties"].items() if value is False}
    return never | excluded(schemas, base, branch["not"]) if "not" in branch else never


def excluded(schemas: Schemas, base: str, node: Document) -> set[str]:
    node = schemas.resolved(base, node)
    if set(node) == {"required"} and len(node["required"]) == 1:
        return set(node["required"])
    if set(node) == {"anyOf"}:
        return set().union(*(excluded(schemas, base, one) for one in node["anyOf"]))
    raise NotUnderstood(f"a `not` of {', '.join(node)}")


def named(fields: list[str]) -> str:
    return " and ".join(f"`{field}`" for field in fields) or "nothing else"


def is_one_of_several(branches: list[Document] | None) -> bool:
    return bool(branches) and all(set(branch) == {"required"} for branch in branches or ())


def needs(branches: list[Document], quantity: str) -> str:
    if not is_one_of_several(branches):
        raise NotUnderstood("branches that say more than what is required")
    *others, last = [named(branch["required"]) for branch in branches]
    return f"{quantity} one of {', '.join(others)} and {last} is required."


def described(node: Document) -> Document:
    return {"description": node["description"]} if "description" in node else {}


def without_words(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: without_words(value) for name, value in node.items() if name != "description"}
    return [without_words(value) for value in node] if isinstance(node, list) else node


def type_of(value: Any) -> str:
    return {str: "string", bool: "boolean", int: "integer"}[type(value)]


def pascal(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))
