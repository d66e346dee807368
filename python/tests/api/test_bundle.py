"""openapi.bundle.yaml against the sources that it is made from, and what generators of clients need of it."""

import itertools
import json
import unittest
from collections.abc import Iterator
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from ami_share_tools.clients import bundle as maker
from ami_share_tools.clients.schemas import NotUnderstood, Schemas
from ami_share_tools.document import Document
from ami_share_tools.repository import EXAMPLES, ROOT

# Answers that nothing gives on the local AWS.
NOT_RECORDED = {"501"}
# An approval is answered with the outcome of the share.
TOLD_AS_SHARES = {"approve"}


bundle: Document
schemas: Document
recorded: list[Document]
request: Document


def setUpModule() -> None:
    global bundle, schemas, recorded, request
    bundle = yaml.safe_load((ROOT / "openapi.bundle.yaml").read_text())
    schemas = bundle["components"]["schemas"]
    recorded = json.loads(EXAMPLES.read_text())
    request = json.loads((ROOT / "schemas/request.schema.json").read_text())


def validator(schema: Document) -> Draft202012Validator:
    """Of a schema of the bundle."""
    return Draft202012Validator({"$ref": "#/schema", "schema": schema, "components": bundle["components"]})


def source(file: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / f"schemas/{file}.schema.json").read_text()))


def faults(of: Draft202012Validator, instance: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in of.iter_errors(instance)]


def nodes(value: Any, place: str = "") -> Iterator[tuple[str, Document]]:
    """(JSON Pointer, object) of every object in a document, examples left out."""
    if isinstance(value, dict):
        yield place, value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        if name not in ("examples", "example", "discriminator"):
            yield from nodes(member, f"{place}/{name}")


def every_schema() -> Iterator[tuple[str, Document]]:
    """(place, schema) of every schema: the components and what is in them, and what parameters and bodies have."""
    for place, node in nodes({name: bundle[name] for name in ("paths", "components")}):
        if place.endswith("/schema") or (
            place.startswith("/components/schemas/") and not place.endswith(("/properties", "/schemas"))
        ):
            yield place, node


def content(kind: str) -> Iterator[tuple[str, str, Document]]:
    """(operation ID or response's name, status, media type) of every body of requests or of answers."""
    for item in bundle["paths"].values():
        for operation in item.values():
            if not isinstance(operation, dict):
                continue
            bodies = [("", operation.get("requestBody", {}))] if kind == "request" else operation["responses"].items()
            for status, body in bodies:
                if "$ref" in body:
                    body = bundle["components"]["responses"][body["$ref"].rsplit("/", 1)[1]]
                for media in body.get("content", {}).values():
                    yield operation["operationId"], status, media


class Bundle(unittest.TestCase):
    def test_what_is_made_is_what_the_sources_give(self) -> None:
        for path, text in maker.files().items():
            with self.subTest(path.name):
                self.assertEqual(path.read_text(), text, "run make bundle")

    def test_it_is_a_valid_document(self) -> None:
        self.assertEqual([error.message for error in OpenAPIV31SpecValidator(bundle).iter_errors()], [])

    def test_everything_is_in_it(self) -> None:
        references = [node["$ref"] for _, node in nodes(bundle) if "$ref" in node]
        self.assertGreater(len(references), 50)
        for reference in references:
            with self.subTest(reference):
                self.assertTrue(reference.startswith("#/components/"))
                _, _, kind, name = reference.split("/")
                self.assertIn(name, bundle["components"][kind])

    def test_every_schema_has_a_type_and_every_array_has_items(self) -> None:
        for place, schema in every_schema():
            with self.subTest(place):
                self.assertTrue({"$ref", "type", "oneOf", "anyOf"} & set(schema))
                if "array" in schema.get("type", ""):
                    self.assertIn("items", schema)

    def test_no_schema_says_what_generators_do_not_understand(self) -> None:
        for place, schema in every_schema():
            with self.subTest(place):
                self.assertFalse({"allOf", "not", "if", "definitions", "$defs", "$schema"} & set(schema))
                for branch in schema.get("oneOf", []) + schema.get("anyOf", []):
                    self.assertIn(branch, ([{"type": "null"}] if "$ref" not in branch else [{"$ref": branch["$ref"]}]))

    def test_objects_and_words_have_names(self) -> None:
        for place, schema in every_schema():
            if "enum" in schema or "properties" in schema:
                self.assertRegex(place, r"^/components/schemas/\w+$")

    def test_a_problem_is_flat_and_has_the_outcomes_fields(self) -> None:
        self.assertEqual(set(schemas["Outcome"]["properties"]) - set(schemas["Problem"]["properties"]), set())
        self.assertEqual({"type", "title", "status", "detail"} - set(schemas["Problem"]["properties"]), set())
        for _, status, media in content("answers"):
            self.assertIn(
                media["schema"]["$ref"].rsplit("/", 1)[1],
                ("Outcome",) if status < "300" else ("Problem", "GatewayAnswer"),
            )

    def test_a_request_is_told_apart_by_its_action(self) -> None:
        document = schemas["RequestDocument"]
        self.assertEqual(document["discriminator"]["propertyName"], "action")
        self.assertEqual(set(document["discriminator"]["mapping"]), set(request["properties"]["action"]["enum"]))
        for action, reference in document["discriminator"]["mapping"].items():
            self.assertEqual(schemas[reference.rsplit("/", 1)[1]]["properties"]["action"]["const"], action)

    def test_what_it_does_not_understand_it_refuses(self) -> None:
        nodes: list[Document] = [
            {"type": "object", "if": {}},
            {"type": "array"},
            {"type": "object", "patternProperties": {}},
            {},
            {"oneOf": [{}]},
            {"type": "string", "not": {"const": "a"}},
            {"type": "object", "dependentRequired": {}},
        ]
        for node in nodes:
            with self.subTest(node), self.assertRaises(NotUnderstood):
                Schemas({}).written("", node, "Odd")


class Branches(unittest.TestCase):
    """How a request's oneOf becomes an object for each action, on smaller documents."""

    FIELDS = {
        "action": {"enum": ["list", "audit"]},
        "ids": {"type": "array", "items": {"type": "string"}},
        "token": {"type": "string"},
    }
    AUDIT = {"properties": {"action": {"const": "audit"}, "ids": False}}

    def made(self, *branches: Document) -> tuple[Document, Document]:
        document = {
            "type": "object",
            "properties": self.FIELDS,
            "required": ["action"],
            "additionalProperties": False,
            "oneOf": list(branches),
        }
        made = Schemas({})
        made.by_action("Request", "", document)
        return made.made["ListRequest"], made.made["AuditRequest"]

    def test_what_an_action_does_not_have_is_not_in_its_object(self) -> None:
        listed, audit = self.made(
            {"properties": {"action": {"enum": ["list"]}}, "required": ["ids"], "not": {"required": ["token"]}},
            self.AUDIT,
        )
        self.assertEqual((list(listed["properties"]), listed["required"]), (["action", "ids"], ["action", "ids"]))
        self.assertEqual((list(audit["properties"]), audit["required"]), (["action", "token"], ["action"]))

    def test_an_action_may_narrow_a_field(self) -> None:
        listed, _ = self.made(
            {
                "properties": {"action": {"enum": ["list"]}, "ids": {"maxItems": 1}},
                "oneOf": [{"required": ["ids"]}, {"required": ["token"]}],
            },
            self.AUDIT,
        )
        self.assertEqual(listed["properties"]["ids"], {"type": "array", "items": {"type": "string"}, "maxItems": 1})
        self.assertIn("Exactly one of `ids` and `token` is required.", listed["description"])

    def test_an_action_with_two_branches_is_one_object(self) -> None:
        listed, _ = self.made(
            {"properties": {"action": {"const": "list"}}, "required": ["ids"], "not": {"required": ["token"]}},
            {"properties": {"action": {"const": "list"}}, "required": ["token"]},
            self.AUDIT,
        )
        self.assertEqual((list(listed["properties"]), listed["required"]), (["action", "ids", "token"], ["action"]))
        self.assertIn("Either with `ids` or with `token`.", listed["description"])

    def test_what_is_not_understood_is_refused(self) -> None:
        for branches in (
            [self.AUDIT],
            [{"properties": {"action": {"const": "list"}}, "if": {}}, self.AUDIT],
            [{"required": ["ids"]}, self.AUDIT],
            [{"properties": {"action": {"const": "list"}}, "not": {"required": ["ids", "token"]}}, self.AUDIT],
            [{"properties": {"action": {"const": "list"}}, "anyOf": [{"minProperties": 2}]}, self.AUDIT],
        ):
            with self.subTest(branches), self.assertRaises(NotUnderstood):
                self.made(*branches)


class Requests(unittest.TestCase):
    def test_it_takes_the_fields_that_the_schema_takes(self) -> None:
        values = {
            "version": "1",
            "imageIds": ["ami-1a2b3c4d"],
            "accountIds": ["111122223333"],
            "access": "copy",
            "dryRun": True,
            "organizationArns": ["arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"],
            "reason": "why",
            "organizationalUnitArns": ["arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"],
            "serviceLinkedRoles": ["spot"],
            "expiresAt": "2027-01-31T12:00:00Z",
            "regions": ["us-east-1"],
            "nextToken": "ami-1a2b3c4d",
            "copyFrom": "us-east-1",
            "name": "web-*",
            "rows": True,
            "approvalId": "ask",
        }
        fields = set(request["properties"]) - {"action"}
        self.assertEqual(fields - set(values), set(), "give the new field a value here")
        ours, theirs, more = validator(schemas["RequestDocument"]), source("request"), 0
        for action in request["properties"]["action"]["enum"]:
            pairs = itertools.chain.from_iterable(itertools.combinations(sorted(fields), size) for size in (0, 1, 2))
            # And what goes with the fields that most actions require.
            for chosen in [*pairs, *({"imageIds", "accountIds", field} for field in fields)]:
                document = {"action": action} | {field: values[field] for field in chosen}
                if ours.is_valid(document) != theirs.is_valid(document):
                    # Of several fields one is required: that alone is said in words.
                    variant = schemas["RequestDocument"]["discriminator"]["mapping"][action].rsplit("/", 1)[1]
                    self.assertEqual(faults(ours, document), [], f"the schema takes {document}")
                    self.assertRegex(
                        schemas[variant]["description"], "(At least|Exactly) one of .* is required|Either with "
                    )
                    more += 1
        self.assertGreater(more, 0)

    def test_a_field_that_does_not_exist_is_refused(self) -> None:
        for action in request["properties"]["action"]["enum"]:
            self.assertNotEqual(
                faults(
                    validator(schemas["RequestDocument"]),
                    {"action": action, "imageIds": ["ami-1a2b3c4d"], "unknown": 1},
                ),
                [],
            )


class Examples(unittest.TestCase):
    def test_every_example_is_as_the_bundle_says(self) -> None:
        seen = 0
        for kind in ("request", "answers"):
            for operation, status, media in content(kind):
                for name, example in media.get("examples", {}).items():
                    with self.subTest(operation=operation, status=status, example=name):
                        self.assertEqual(faults(validator(media["schema"]), example["value"]), [])
                        seen += 1
        self.assertGreater(seen, 50)

    def test_what_was_recorded_is_as_the_sources_say_now(self) -> None:
        for one in recorded:
            if one["answer"].get("type") != "about:blank":
                with self.subTest(one["summary"]):
                    self.assertEqual(faults(source("outcome"), one["answer"]), [], "run make record")

    def test_every_status_has_an_example(self) -> None:
        shown = {status for _, status, media in content("answers") if media.get("examples")}
        told = {status for _, status, _ in content("answers")}
        self.assertEqual(told - shown, NOT_RECORDED & told)

    def test_every_operation_has_an_example_of_its_success(self) -> None:
        for operation, status, media in content("answers"):
            if status == "200":
                self.assertTrue(media.get("examples"), operation)

    def test_of_every_operation_an_answer_is_recorded(self) -> None:
        operations = {operation for operation, status, _ in content("answers") if status == "200"}
        recorded_of = {one["operationId"] for one in recorded if one["status"] < 300}
        self.assertEqual(operations - recorded_of, set(), "record.py has a row for each operation")

    def test_every_action_has_an_example(self) -> None:
        actions = set(request["properties"]["action"]["enum"])
        asked = {
            example["value"].get("action")
            for _, _, media in content("request")
            for example in media["examples"].values()
        }
        self.assertEqual(actions - asked, set(), "an event of each action, events/direct-*.json, is its example")
        answered = {one["answer"].get("action") for one in recorded if one["status"] < 300}
        self.assertEqual(actions - answered, TOLD_AS_SHARES, "record.py has a row for each action")


if __name__ == "__main__":
    unittest.main()
