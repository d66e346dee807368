"""Make openapi.bundle.yaml from openapi.yaml and schemas/: one document as generators of clients want it. `make bundle`.

The sources say exactly what the function accepts. Generators understand less, so the bundle says the same in their words:

- every object and every list of words is a component with a name; nothing is in another file;
- a request document is one of several objects, told apart by `action`, each with the fields of its action;
- what makes a request need one field of several is said in words, because it has no type;
- a problem is one flat object, whether the function or API Gateway says it;
- `allOf` is merged, every array has items, every type is written out, a single word is a `const`;
- the examples are answers that the function gave, as clients/record.py recorded them.

Whatever a source says in a way that this file does not know is an error, so that nothing is lost without notice.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import python_types
import yaml

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "openapi.bundle.yaml"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# Names that read better than those made of file, definition and field.
NAMES = {
    "Image": "ImageRow", "Step": "StepRow", "TargetState": "TargetRow", "Key": "KeyRow", "Role": "RoleRow", "Error": "ErrorRow",
    "AnyProblem": "Problem", "GatewayProblem": "Problem",
    "Request": "RequestDocument",
    "OutcomeAction": "Action", "StepRowState": "StepState", "TargetRowState": "TargetState",
    "ErrorRowCode": "ErrorCode", "RefusalFault": "FaultKind", "KeyRowGrant": "GrantState", "TargetRowLaunch": "Launch",
    "KeyRowBecauseItem": "Because", "RefusalValuesBecauseItem": "Because", "KeyRowPerActionValue": "ActionVerdict",
    "BecauseStatementEffect": "Effect", "PermissionsLaunchItem": "LaunchPermission",
    "PermissionsCopyItem": "CreateVolumePermission", "KeyRowRemedyItem": "PolicyStatement", "LaunchPermissionType": "GranteeType",
}
# What a schema may say beside the keywords that are treated one by one.
KEPT = {"description", "type", "pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minimum",
        "maximum", "default"}
MENTIONED = {"$schema", "title", "definitions"}


class NotUnderstood(Exception):
    """A source says something that the bundle has no words for."""


def main():
    for path, text in files().items():
        path.write_text(text)
    if shutil.which("npm"):
        typescript = ROOT / "clients/typescript"
        is_ready = (typescript / "node_modules/openapi-typescript").exists()
        for command in ([] if is_ready else [["npm", "ci", "--silent"]]) + [["npm", "run", "--silent", "generate"]]:
            if subprocess.run(command, cwd=typescript, stdout=subprocess.DEVNULL).returncode:
                raise SystemExit(f"clients/typescript/src/schema.ts is as it was: {' '.join(command)} failed.")
    else:
        print("clients/typescript/src/schema.ts is as it was: openapi-typescript, which makes it, needs Node.js.")


def files():
    """Path → text of everything that is made from the sources."""
    made = bundle()
    return {BUNDLE: dump(made)} | python_types.files(made)


def bundle():
    api = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return Bundle(api, json.loads((ROOT / "clients/examples.json").read_text())).document()


class Bundle:
    def __init__(self, api, recorded):
        self.api, self.recorded, self.schemas, self.files = api, recorded, {}, {"": api}

    def document(self):
        paths = {path: self.path(item) for path, item in self.api["paths"].items()}
        self.component("Outcome", self.found("", "schemas/outcome.schema.json"))
        components = self.api["components"]
        kept = {kind: {name: self.parameter(value) for name, value in components[kind].items()} for kind in ("parameters", "headers")}
        responses = {name: self.response(value, self.examples(status)) for name, (status, value) in self.shared().items()}
        return {**{name: value for name, value in self.api.items() if name not in ("paths", "components")}, "paths": paths,
                "components": {"securitySchemes": components["securitySchemes"], **kept, "responses": responses,
                               "schemas": dict(sorted(self.schemas.items()))}}

    # Paths, parameters, responses.

    def path(self, item):
        made = {name: self.operation(value) if name in METHODS else value for name, value in item.items()}
        return made | self.parameters(item)

    def operation(self, operation):
        made = operation | self.parameters(operation)
        if "requestBody" in operation:
            made["requestBody"] = operation["requestBody"] | {"content": {
                kind: {"schema": self.schema("", content["schema"], "Body"), "examples": self.bodies(operation, content)}
                for kind, content in operation["requestBody"]["content"].items()}}
        # What succeeds is said at the operation, so that its examples are those of the operation.
        made["responses"] = {
            status: self.response(self.resolved("", answer), self.examples(status, operation["operationId"])) if status < "300" else answer
            for status, answer in operation["responses"].items()}
        return made

    def shared(self):
        """Name → (status, response) of the responses that operations share."""
        statuses = {answer["$ref"].rsplit("/", 1)[1]: status for item in self.api["paths"].values() for method in METHODS
                    if method in item for status, answer in item[method]["responses"].items() if "$ref" in answer}
        return {name: (statuses[name], value) for name, value in self.api["components"]["responses"].items()
                if statuses.get(name, "") >= "300"}

    def parameters(self, item):
        """The parameters of a path or operation that stand there themselves."""
        return {"parameters": [one if "$ref" in one else self.parameter(one) for one in item["parameters"]]} if "parameters" in item else {}

    def parameter(self, parameter):
        return parameter | {"schema": self.schema("", parameter["schema"], "")}

    def response(self, response, examples):
        made = dict(response)
        if "content" in response:
            made["content"] = {kind: self.answer(content, examples) for kind, content in response["content"].items()}
        return made

    def answer(self, content, examples):
        schema = self.schema("", content["schema"], "")
        is_ours = schema.get("$ref", "").rsplit("/", 1)[1] in ("Outcome", "Problem")
        examples = (examples or content.get("examples")) if is_ours else None
        return {"schema": schema} | ({"examples": examples} if examples else {})

    def examples(self, status, operation=None):
        ours = [one for one in self.recorded if str(one["status"]) == status and operation in (None, one["operationId"])]
        return {slug(one["summary"]): {"summary": one["summary"], "value": one["answer"]} for one in ours}

    def bodies(self, operation, content):
        """The examples of a body, with one of each action that has an event and no example yet."""
        examples = dict(content.get("examples", {}))
        if "oneOf" in self.schemas.get(self.schema("", content["schema"], "Body")["$ref"].rsplit("/", 1)[1], {}):
            shown = {example["value"].get("action") for example in examples.values()}
            for action in self.found("", "schemas/request.schema.json")[1]["properties"]["action"]["enum"]:
                event = ROOT / f"events/direct-{action}.json"
                if action not in shown and event.exists():
                    examples[f"direct-{action}"] = {"summary": action.capitalize(), "value": json.loads(event.read_text())}
        return examples

    # Schemas.

    def found(self, base, reference):
        """(file, schema) that a reference means."""
        file, _, pointer = reference.partition("#")
        file = file or base
        if file not in self.files:
            self.files[file] = json.loads((ROOT / file).read_text())
        schema = self.files[file]
        for part in filter(None, pointer.split("/")):
            schema = schema[part]
        return file, schema

    def resolved(self, base, node):
        return self.found(base, node["$ref"])[1] if "$ref" in node else node

    def schema(self, base, node, name):
        """The schema in the bundle's words; what has a name there is a reference."""
        if "$ref" in node:
            file, found = self.found(base, node["$ref"])
            own = Path(file).name.removesuffix(".schema.json") if "#" not in node["$ref"] else node["$ref"].rsplit("/", 1)[1]
            return self.schema(file, found, pascal(own)) if self.is_plain(found) else self.component(pascal(own), (file, found))
        if len(alternatives := node.get("anyOf", [])) > 1 and all(self.is_object(base, one) for one in alternatives):
            return self.component(name, (base, node))
        if "allOf" in node:  # an outcome, of which a response says what results it may have: its description does
            [whole] = node["allOf"]
            return self.schema(base, whole, name)
        if len(node.get("enum", [])) > 1 or "properties" in node or name in NAMES:
            return self.component(name, (base, node))
        return self.written(base, node, name)

    def is_plain(self, node):
        """Whether a definition is written out where it is used: lists, flags and single words have no name."""
        return node.get("type") in ("array", "boolean", "integer") or len(node.get("enum", [])) == 1

    def is_object(self, base, node):
        return "properties" in self.resolved(base, node) or "allOf" in self.resolved(base, node)

    def component(self, name, place):
        name = NAMES.get(name, name)
        reference = {"$ref": f"#/components/schemas/{name}"}
        if name not in self.schemas:
            self.schemas[name] = {}  # it may refer to itself
            self.schemas[name] = self.named(name, *place)
        elif self.schemas[name] and name != "Problem" and without_words(self.schemas[name]) != without_words(self.named(name, *place)):
            raise NotUnderstood(f"two different schemas would be named {name}; give one of them another name in NAMES")
        return reference

    def named(self, name, base, node):
        if name == "Problem":
            return self.problem()
        if name == "Outcome":
            return self.written(*self.found("", "schemas/outcome.schema.json"), name)
        if "action" in node.get("properties", {}) and "oneOf" in node:
            return self.by_action(name, base, node)
        if "anyOf" in node and "properties" not in node:
            return described(node) | {"anyOf": [self.schema(base, one, name) for one in node["anyOf"]]}
        return self.written(base, node, name)

    def written(self, base, node, name):
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
            made["properties"] = {field: self.schema(base, value, name + pascal(field)) for field, value in rest.pop("properties").items()}
        if "required" in rest:
            made["required"] = rest.pop("required")
        if "items" in rest:
            made["items"] = self.schema(base, rest.pop("items"), name + "Item")
        if "additionalProperties" in rest:
            value = rest.pop("additionalProperties")
            made["additionalProperties"] = value if isinstance(value, bool) else self.schema(base, value, name + "Value")
        if is_one_of_several(rest.get("anyOf")):
            made["description"] = " ".join(filter(None, [made.get("description"), needs(rest.pop("anyOf"), "At least")]))
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

    def by_action(self, name, base, node):
        """A request document as one object for each action."""
        actions = node["properties"]["action"]["enum"]
        branches = {action: [branch for branch in node["oneOf"] if action in actions_of(name, branch)] for action in actions}
        if not all(branches.values()):
            raise NotUnderstood(f"{name}'s oneOf has no branch for {', '.join(action for action in actions if not branches[action])}")
        mapping = {}
        for action in actions:
            own = pascal(action) + "Request"
            self.schemas[own] = self.of_action(name, base, node, action, branches[action])
            mapping[action] = f"#/components/schemas/{own}"
        return described(node) | {"oneOf": [{"$ref": reference} for reference in mapping.values()],
                                  "discriminator": {"propertyName": "action", "mapping": mapping}}

    def of_action(self, name, base, node, action, branches):
        """What the branches about an action say, as one object; what more than one type could say is in words."""
        without = [forbidden(self, base, branch) for branch in branches]
        required = [branch.get("required", []) for branch in branches]
        told = [needs(branch[kind], words) for branch in branches
                for kind, words in (("anyOf", "At least"), ("oneOf", "Exactly")) if kind in branch]
        if len(branches) > 1:
            told.insert(0, f"Either {' or '.join('with ' + named(fields) for fields in required)}.")
        fields = {field: value for field, value in node["properties"].items() if not all(field in one for one in without)}
        for branch in branches if len(branches) == 1 else []:
            fields |= {field: self.resolved(base, fields[field]) | value for field, value in branch["properties"].items()
                       if isinstance(value, dict)}
        always = [field for field in required[0] if all(field in one for one in required)]
        return self.written(base, {
            "description": " ".join([f"The document of a request to {action}.", *told]), "type": "object",
            "properties": fields | {"action": {"const": action}}, "required": [*node.get("required", []), *always],
            "additionalProperties": node["additionalProperties"]}, name)

    def problem(self):
        """What the function and API Gateway say when something is wrong, as one flat object."""
        schemas = self.api["components"]["schemas"]
        base, outcome = self.found("", schemas["Problem"]["allOf"][0]["$ref"])
        own = schemas["Problem"]["properties"] | {"result": outcome["properties"]["result"]}
        gateway = schemas["GatewayProblem"]
        properties = {field: self.schema(base, value, "Outcome" + pascal(field)) for field, value in outcome["properties"].items()}
        properties = {field: self.schema("", value, "Problem" + pascal(field))
                      for field, value in own.items() if field not in properties} | properties
        for field, value in gateway["properties"].items():
            properties[field] = widened(properties[field], value)
        always = [*schemas["Problem"]["required"], *outcome["required"]]
        return {"description": schemas["Problem"]["description"] + " " + gateway["description"], "type": "object",
                "properties": properties, "required": [field for field in always if field in gateway["required"]]}


def widened(ours, theirs):
    """A field of a problem, such that it holds what either says."""
    types = theirs.get("type")
    if "$ref" in ours or "items" in ours or ours.get("const") == theirs.get("const", ""):
        return ours
    if "const" in theirs and not re.match(ours.get("pattern", ""), theirs["const"]):
        ours = {keyword: value for keyword, value in ours.items() if keyword != "pattern"}
        return ours | {"description": ours["description"] + f" From API Gateway: `{theirs['const']}`."}
    return ours | {"type": types} if isinstance(types, list) else ours


def actions_of(name, branch):
    known = {"properties", "required", "anyOf", "oneOf", "not"}
    if set(branch) - known or "action" not in branch.get("properties", {}):
        raise NotUnderstood(f"a branch of {name}'s oneOf says more than {', '.join(sorted(known))}, or not of which action")
    about = branch["properties"]["action"]
    return about["enum"] if "enum" in about else [about["const"]]


def forbidden(bundle, base, branch):
    """The fields that a branch rules out, by `not` or by `false`."""
    never = {field for field, value in branch["properties"].items() if value is False}
    return never | excluded(bundle, base, branch["not"]) if "not" in branch else never


def excluded(bundle, base, node):
    node = bundle.resolved(base, node)
    if set(node) == {"required"} and len(node["required"]) == 1:
        return set(node["required"])
    if set(node) == {"anyOf"}:
        return set().union(*(excluded(bundle, base, one) for one in node["anyOf"]))
    raise NotUnderstood(f"a `not` of {', '.join(node)}")


def named(fields):
    return " and ".join(f"`{field}`" for field in fields) or "nothing else"


def is_one_of_several(branches):
    return bool(branches) and all(set(branch) == {"required"} for branch in branches)


def needs(branches, quantity):
    if not is_one_of_several(branches):
        raise NotUnderstood("branches that say more than what is required")
    *others, last = [named(branch["required"]) for branch in branches]
    return f"{quantity} one of {', '.join(others)} and {last} is required."


def described(node):
    return {"description": node["description"]} if "description" in node else {}


def without_words(node):
    if isinstance(node, dict):
        return {name: without_words(value) for name, value in node.items() if name != "description"}
    return [without_words(value) for value in node] if isinstance(node, list) else node


def type_of(value):
    return {str: "string", bool: "boolean", int: "integer"}[type(value)]


def pascal(name):
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))


def slug(words):
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


class Dumper(yaml.SafeDumper):
    """Without anchors, and so that YAML 1.1 and 1.2 read the same."""

    def ignore_aliases(self, data):
        return True

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def as_text(dumper, value):
    looks_like_a_number = re.match(r"[-+.]?[0-9]", value) and not re.search(r"\s", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'" if looks_like_a_number else None)


Dumper.add_representer(str, as_text)


def dump(document):
    return ("# Made from openapi.yaml, schemas/ and clients/examples.json by clients/bundle.py (make bundle). Edit those.\n"
            + yaml.dump(document, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True))


if __name__ == "__main__":
    main()
