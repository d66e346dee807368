"""openapi.yaml against what it describes: the template, the router, the statuses, the schemas and the events."""

import json
import re
import unittest
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.readers import read_from_filename
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from ami_share_tools.document import Document
from ami_share_tools.repository import ROOT
from ami_share_tools.template import resources

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# What API Gateway answers by itself: too many requests, and that an authorizer or integration failed.
OF_THE_GATEWAY = {429, 500}


def deployed_api() -> Document:
    """The REST API of the template."""
    return resources()["Api"]["Properties"]


def text(path: str) -> str:
    return (ROOT / path).read_text()


api: Document
routes: dict[tuple[str, str], Document]
registry: Registry[Any]


def refusals() -> set[tuple[str, int]]:
    """Every refusal code with its status: the code's kind is in the core, the kind's status in the triggers."""
    statuses = dict(re.findall(r"RefusalKind::(\w+) => (\d{3}),$", text("crates/triggers/src/problem.rs"), re.M))
    kinds = re.findall(r"^    (\w+) = (\w+) \[.*\];$", text("crates/sharing/src/outcome/code.rs"), re.M)
    return {(code, int(statuses[kind])) for code, kind in kinds}


def setUpModule() -> None:
    global api, routes, registry
    api = yaml.safe_load(text("openapi.yaml"))
    routes = {
        (method.upper(), path): operation
        for path, item in api["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }
    # References are relative to the document they are in, as files are.
    resources = [("https://api.example/openapi.yaml", api)]
    resources += [
        (f"https://api.example/schemas/{path.name}", json.loads(path.read_text()))
        for path in (ROOT / "schemas").glob("*.json")
    ]
    registry = Registry().with_resources(
        (uri, Resource.from_contents(document, default_specification=DRAFT202012)) for uri, document in resources
    )


def resolve(place: str) -> Any:
    """The object at a JSON Pointer of the document, references followed."""
    found = api
    for part in place.lstrip("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
        if isinstance(found, dict) and str(found.get("$ref", "")).startswith("#/"):
            found = resolve(found["$ref"])
    return found


def faults(place: str, instance: Any) -> list[str]:
    """What is wrong with an instance of the schema at a JSON Pointer of the document."""
    validator = Draft202012Validator(
        {"$ref": f"https://api.example/openapi.yaml#{place}"},
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]


class OpenApi(unittest.TestCase):
    def test_it_is_a_valid_document(self) -> None:
        document, base_uri = read_from_filename(str(ROOT / "openapi.yaml"))
        errors = [error.message for error in OpenAPIV31SpecValidator(document, base_uri=base_uri).iter_errors()]
        self.assertEqual(errors, [])

    def test_the_schemas_are_valid_schemas(self) -> None:
        for path in sorted((ROOT / "schemas").glob("*.json")):
            with self.subTest(path.name):
                Draft202012Validator.check_schema(json.loads(path.read_text()) | {"$schema": DRAFT202012_URI})

    def test_its_routes_are_the_templates(self) -> None:
        deployed = {
            (method.upper(), path)
            for path, item in deployed_api()["DefinitionBody"]["paths"].items()
            for method in item
            if method in METHODS
        }
        self.assertEqual(set(routes), deployed)

    def test_what_the_gateway_answers_is_described(self) -> None:
        place = "/components/schemas/GatewayProblem"
        for name, answer in deployed_api()["GatewayResponses"].items():
            with self.subTest(name):
                template = answer["ResponseTemplates"]["application/json"]
                template = template.replace("$context.error.messageString", '"Forbidden"').replace(
                    "$context.requestId", "id"
                )
                self.assertNotIn("$", template)
                document = json.loads(template)
                self.assertEqual(faults(place, document), [])
                self.assertEqual(document.get("status"), answer.get("StatusCode"))
                self.assertEqual(answer["ResponseParameters"]["Headers"]["Content-Type"], "'application/problem+json'")

    def test_its_routes_are_the_routers(self) -> None:
        router = text("crates/triggers/src/http.rs")
        paths = {name: path for path, name in re.findall(r'Some\("(/[^"]*)"\) =>[^R]*Resource::(\w+)', router)}
        routed = {
            (method, paths[name])
            for method, name in re.findall(r'\("([A-Z]+)", Resource::(\w+)[^)]*\) => Ok\(', router)
        }
        self.assertEqual(set(routes), routed)

    def test_its_statuses_are_the_codes(self) -> None:
        statuses = {status for _, status in refusals()}
        errors = set(map(int, re.findall(r"=> (\d{3}),$", text("crates/triggers/src/problem.rs"), re.M)))
        self.assertGreater(len(statuses), 5)
        self.assertEqual(errors & {502, 503, 504}, {502, 503, 504})
        for route, operation in routes.items():
            with self.subTest(route):
                told = set(map(int, operation["responses"]))
                self.assertEqual(told, {200} | statuses | errors | OF_THE_GATEWAY)

    def test_every_refusal_is_told_under_its_status(self) -> None:
        names = {
            "Malformed": 400,
            "Unauthenticated": 401,
            "NotAllowed": 403,
            "NotFound": 404,
            "MethodNotAllowed": 405,
            "InTheWay": 409,
        }
        told = {
            (code, status)
            for name, status in names.items()
            for code in re.findall(r"`([A-Z]\w+)`", api["components"]["responses"][name]["description"])
        }
        self.assertEqual(told, refusals())

    def test_path_parameters_are_declared(self) -> None:
        for path, item in api["paths"].items():
            declared = {resolve(parameter["$ref"])["name"] for parameter in item.get("parameters", [])}
            self.assertEqual(declared, set(re.findall(r"{(\w+)}", path)), path)

    def test_dry_run_is_for_the_routes_that_may_write(self) -> None:
        dry = {
            route
            for route, operation in routes.items()
            if "#/components/parameters/DryRun" in [p["$ref"] for p in operation.get("parameters", [])]
        }
        self.assertEqual(dry, {route for route in routes if route[0] != "GET"})


class Examples(unittest.TestCase):
    def test_request_examples_are_the_events_and_valid(self) -> None:
        seen = 0
        for (method, path), operation in routes.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                place = f"/paths/{path.replace('/', '~1')}/{method.lower()}/requestBody/content/{kind.replace('/', '~1')}/schema"
                for name, example in content["examples"].items():
                    with self.subTest(name):
                        event = json.loads(text(f"events/{name}.json"))
                        self.assertEqual((event["httpMethod"], event["resource"]), (method, path))
                        self.assertEqual(example["value"], json.loads(event["body"]))
                        self.assertEqual(faults(place, example["value"]), [])
                        self.assertNotEqual(faults(place, example["value"] | {"unknown": 1}), [])
                        seen += 1
        self.assertGreater(seen, 5)

    def test_parameter_examples_are_valid(self) -> None:
        for name, parameter in api["components"]["parameters"].items():
            if "example" in parameter:
                self.assertEqual(faults(f"/components/parameters/{name}/schema", parameter["example"]), [], name)

    def test_response_examples_are_valid(self) -> None:
        seen = 0
        for name, response in api["components"]["responses"].items():
            for kind, content in response.get("content", {}).items():
                place = f"/components/responses/{name}/content/{kind.replace('/', '~1')}/schema"
                for title, example in content.get("examples", {}).items():
                    with self.subTest(title):
                        self.assertEqual(faults(place, example["value"]), [])
                        self.assertNotEqual(faults(place, example["value"] | {"result": "done"}), [])
                        seen += 1
        self.assertGreater(seen, 4)

    def test_the_share_body_is_the_request_without_what_the_route_says(self) -> None:
        request = json.loads(text("schemas/request.schema.json"))["properties"]
        self.assertEqual(
            set(api["components"]["schemas"]["Share"]["properties"]),
            set(request) - {"action", "approvalId", "imageIds", "name", "nextToken", "rows"},
        )


DRAFT202012_URI = "https://json-schema.org/draft/2020-12/schema"

if __name__ == "__main__":
    unittest.main()
