"""An independent evaluator of KMS key policies and grants, written from AWS's documentation.

It is the second opinion to the product's evaluator and shares nothing with it: neither code nor tests. Reading order: this
file, `conditions`, `operators`, `principals`, `grants`. Each rule names the AWS page that it follows:

  operators   IAM guide, reference_policies_elements_condition_operators
  sets        IAM guide, reference_policies_condition-single-vs-multi-valued-context-keys
  logic       IAM guide, reference_policies_condition-logic-multiple-context-keys-or-values
  variables   IAM guide, reference_policies_variables
  principal   IAM guide, reference_policies_elements_principal
  notprincipal IAM guide, reference_policies_elements_notprincipal
  resource    IAM guide, reference_policies_elements_resource
  grammar     IAM guide, reference_policies_grammar
  global      IAM guide, reference_policies_condition-keys
  overview    KMS guide, key-policy-overview
  external    KMS guide, key-policy-modifying-external-accounts
  kmskeys     KMS guide, conditions-kms
  reference   Service Authorization Reference, list_awskeymanagementservice
  grants      KMS guide, grants and create-grant-overview

Where no page settles what AWS does, the answer carries a note, and nobody is judged by it. open-questions.md has them.
"""

from ami_share_tools.differential.conditions import conditions_hold
from ami_share_tools.differential.grants import grant_holds
from ami_share_tools.differential.logic import Kleene, all_of, any_of, negate
from ami_share_tools.differential.patterns import Pattern, glob, plain_glob, substitute, wild, within_segments
from ami_share_tools.differential.principals import principal_holds
from ami_share_tools.differential.request import ABSENT, CROSS_ACCOUNT, Marker, Question, Request, texts
from ami_share_tools.document import Document


class Answer:
    """The verdict, what it depends on, and what no page of AWS settles."""

    def __init__(self, verdict: str, depends_on: set[str], notes: set[str]) -> None:
        self.verdict, self.depends_on, self.notes = verdict, depends_on, notes


def action_holds(statement: Document, request: Request) -> Kleene:
    """overview: without Action a statement has no effect. Action names ignore case."""
    if "Action" in statement and "NotAction" in statement:
        request.notes.add("a statement with both an element and its negation")
    for element, sign in (("Action", True), ("NotAction", False)):
        if element in statement:
            items = texts(statement[element])
            if not items or None in items:
                request.notes.add("an element without a plain value")
                return None
            return any(plain_glob(item.lower(), request.action) for item in items) is sign
    return False


def resource_holds(statement: Document, request: Request, depends_on: set[str]) -> Kleene:
    """overview: `*` is this key; without Resource a statement has no effect. resource: wildcards and variables."""
    if "Resource" in statement and "NotResource" in statement:
        request.notes.add("a statement with both an element and its negation")
    for element, sign in (("Resource", True), ("NotResource", False)):
        if element in statement:
            if statement[element] == "*":
                return sign
            items = texts(statement[element])
            if not items or None in items:
                request.notes.add("an element without a plain value")
                return None
            request.unknown_variables = set()
            results: list[Kleene] = []
            for item in items:
                pattern = substitute(item, request, True) if request.has_variables else wild(item)
                if pattern is ABSENT and not sign:
                    # variables: "a resource that includes a policy variable with no value will not match any resource"
                    request.notes.add("NotResource with a variable that has no value")
                results.append(
                    False
                    if pattern is ABSENT
                    else None
                    if isinstance(pattern, Marker)
                    else resource_matches(pattern, request)
                )
            result = any_of(results)
            if result is None:
                depends_on |= request.unknown_variables
            return result if sign else negate(result)
    return False


def resource_matches(pattern: Pattern, request: Request) -> bool:
    matches = glob(pattern, request.resource)
    if matches and not within_segments(pattern).fullmatch(request.resource):
        request.notes.add("a wildcard in the middle of a segment of a resource's ARN that matches a colon")
    return matches


def statement_holds(statement: Document, request: Request, depends_on: set[str]) -> Kleene:
    """A statement applies if its principal, action, resource and all of its conditions do."""
    acts = action_holds(statement, request)
    if acts is False:
        return False
    found: set[str] = set()
    parts = [acts, resource_holds(statement, request, found)]
    if False not in parts:
        parts.append(principal_holds(statement, request, found))
    if False not in parts and "Condition" in statement:
        condition = statement["Condition"]
        if not isinstance(condition, dict) or not all(isinstance(keys, dict) for keys in condition.values()):
            request.notes.add("a Condition that is not a map of maps")
            parts.append(None)
        else:
            parts.append(conditions_hold(condition, request, found))
    result = all_of(parts)
    if result is None:
        depends_on |= found
    return result


def judge_action(question: Question, action: str) -> Answer:
    """IAM guide, reference_policies_evaluation-logic: a Deny wins over every Allow; without an Allow it is a no."""
    request = Request(question, action)
    policy = question["policy"]
    statements = policy.get("Statement", [])
    allows: list[Kleene] = []
    denies: list[Kleene] = []
    allow_keys: set[str] = set()
    deny_keys: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        effect = statement.get("Effect")
        if effect == "Allow":
            allows.append(statement_holds(statement, request, allow_keys))
        elif effect == "Deny":
            denies.append(statement_holds(statement, request, deny_keys))
        else:
            request.notes.add("an Effect that is neither Allow nor Deny")
    for grant in question.get("grants") or ():
        allows.append(grant_holds(grant, request, allow_keys))
    if not request.service and request.account != request.owner and request.operation not in CROSS_ACCOUNT:
        if request.account is None:
            request.notes.add("an operation that only the owner's account can do, asked by an organization")
        if any_of(denies) is True:
            request.notes.add("a Deny of what another account can't do anyway")
        return Answer("implicit-deny", set(), request.notes)  # external
    allowed, denied = any_of(allows), any_of(denies)
    if denied is True:
        return Answer("denied", set(), request.notes)
    if allowed is False:
        return Answer("implicit-deny", set(), request.notes)
    if allowed is True and denied is False:
        return Answer("allowed", set(), request.notes)
    return Answer("conditional", (set() if allowed is True else allow_keys) | deny_keys, request.notes)


SEVERITY = ("denied", "implicit-deny", "conditional", "allowed")


def judge(question: Question) -> tuple[str, dict[str, Answer]]:
    """The verdict of each action asked for, and the worst of them."""
    actions = question.get("needed_actions") or [question["action"]]
    per_action = {action: judge_action(question, action) for action in actions}
    worst = min((answer.verdict for answer in per_action.values()), key=SEVERITY.index)
    return worst, per_action
