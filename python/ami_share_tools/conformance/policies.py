"""What no page of AWS settles about key policies (`differential/open-questions.md`), each as policies that the target meets."""

from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ami_share_tools.conformance.world import World, answer
from ami_share_tools.document import Document

Context = dict[str, str]
# A statement, and the encryption contexts that the target then encrypts with; without one, it asks for the key's description.
Ask = tuple[Document, list[Context]]

REFUSED = "refused: MalformedPolicyDocumentException"
NOT_LET_IN = f"AccessDeniedException or {REFUSED}"


@dataclass
class Policies:
    """A question, and what the target is told under one policy after the other."""

    name: str
    question: str
    asks: Callable[[World], list[Ask]]
    expected: str | None = None

    def ask(self, world: World) -> str:
        return ", ".join(told for statement, contexts in self.asks(world) for told in tell(world, statement, contexts))


def tell(world: World, statement: Document, contexts: list[Context]) -> list[str]:
    action = "kms:Encrypt" if contexts else "kms:DescribeKey"
    if problem := refused(world, {"Action": action, **statement}):
        return [problem]
    if not contexts:
        return [answer(world.their_kms.describe_key, KeyId=world.key())]
    return [answer(encrypt, world=world, context=context) for context in contexts]


def refused(world: World, statement: Document) -> str | None:
    """Puts the statement into the key's policy; what KMS says if it does not take it."""
    try:
        world.let_in(statement)
    except ClientError as error:
        return f"refused: {error.response['Error']['Code']}"
    return None


def encrypt(world: World, context: Context) -> None:
    world.their_kms.encrypt(KeyId=world.key(), Plaintext=b"check", EncryptionContext=context)


def when(*conditions: Document) -> Callable[[World], list[Ask]]:
    """A policy for each condition."""
    return lambda _: [({"Condition": condition}, []) for condition in conditions]


def encrypting(condition: Document, *contexts: Context) -> Callable[[World], list[Ask]]:
    """One policy with this condition, and the contexts to encrypt with."""
    return lambda _: [({"Condition": condition}, list(contexts))]


def naming(**element: Document) -> Callable[[World], list[Ask]]:
    """A policy that names principals so. Whatever AWS makes of it, it lets in nobody but the target."""
    return lambda world: [(element | {"Condition": {"StringEquals": {"aws:PrincipalAccount": world.target}}}, [])]


def not_principal_with_allow(world: World) -> list[Ask]:
    owner, target = (f"arn:{world.partition}:iam::{account}:root" for account in (world.owner, world.target))
    return [ask for listed in ([owner], [owner, target]) for ask in naming(NotPrincipal={"AWS": listed})(world)]


def key_named_twice(world: World) -> list[Ask]:
    return [
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": world.target, "AWS:principalaccount": "none"}}}, [])
    ]


def operators(*names: str) -> Callable[[World], list[Ask]]:
    return lambda world: [({"Condition": {name: {"aws:PrincipalAccount": world.target}}}, []) for name in names]


def not_resource_with_a_variable(world: World) -> list[Ask]:
    return [({"NotResource": f"{world.key().rpartition('/')[0]}/${{aws:PrincipalTag/none}}"}, [])]


def malformed_statement(world: World) -> list[Ask]:
    statements: list[Document] = [
        {"Resource": "*", "NotResource": "*"},
        {"Condition": []},
        {"Principal": world.target},
    ]
    return [(statement, []) for statement in statements]


def wildcard_across_segments(world: World) -> list[Ask]:
    """Of the ARN's Region and account, the pattern has the first two letters and the last digit."""
    key = world.key().rpartition(":")[2]
    return [({"Resource": f"arn:{world.partition}:kms:{world.options.region[:2]}*{world.owner[-1]}:{key}"}, [])]


CONTEXT = "kms:EncryptionContext:text"
POLICIES = [
    Policies(
        "key-policy",
        "May the target describe the key, and encrypt with it, where the policy says so without a condition? If not, its own "
        "policies forbid it, and the answers about policies and grants mean nothing.",
        lambda _: [({}, []), ({}, [{"text": "a"}])],
        "accepted, accepted",
    ),
    Policies(
        "bool-spelling",
        'Are the values "True" and "1" the same as "true" for `Bool`? The evaluator calls them unknown.',
        when({"Bool": {"aws:SecureTransport": "True"}}, {"Bool": {"aws:SecureTransport": "1"}}),
    ),
    Policies(
        "for-any-value-if-exists",
        "Does `ForAnyValue:…IfExists` hold where the key is absent? The evaluator calls it unknown.",
        when({"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": "none"}}),
    ),
    Policies(
        "for-all-values-negated",
        "Does `ForAllValues` with a negated operator hold where the key is absent?",
        when({"ForAllValues:StringNotLike": {"aws:TagKeys": "none"}}),
        "accepted",
    ),
    Policies(
        "not-principal-with-allow",
        "Does an Allow with NotPrincipal let in whom it does not list, and not whom it lists? The evaluator calls the first "
        "unknown.",
        not_principal_with_allow,
        f"accepted, AccessDeniedException or AccessDeniedException, AccessDeniedException or {REFUSED}, {REFUSED}",
    ),
    Policies(
        "many-values-without-a-set-operator",
        "Does `StringEquals` hold for a key with many values if it has the right one, that and another one, or none? The "
        "evaluator calls it unknown.",
        encrypting(
            {"StringEquals": {"kms:EncryptionContextKeys": "text"}}, {"text": "a"}, {"text": "a", "more": "a"}, {}
        ),
    ),
    Policies(
        "many-values-as-a-variable",
        "Is a key with many values replaced by its only value where it is a variable, or kept as it is written?",
        encrypting(
            {"StringEquals": {CONTEXT: "${kms:EncryptionContextKeys}"}},
            {"text": "text"},
            {"text": "${kms:EncryptionContextKeys}"},
        ),
        f"AccessDeniedException, AccessDeniedException or {REFUSED}",
    ),
    Policies(
        "wildcard-of-a-variable",
        "Is a `*` a wildcard for `StringLike` that comes from a variable's value or default? Each is asked with a text that "
        "the wildcard matches, and with the `*` itself. The evaluator calls it unknown.",
        lambda world: [
            *encrypting(
                {"StringLike": {CONTEXT: "${kms:EncryptionContext:pattern}"}},
                {"text": "abc", "pattern": "a*"},
                {"text": "a*", "pattern": "a*"},
            )(world),
            *encrypting({"StringLike": {CONTEXT: "${aws:PrincipalTag/none, 'a*'}"}}, {"text": "abc"}, {"text": "a*"})(
                world
            ),
        ],
    ),
    Policies(
        "empty-variable",
        "Is an empty text a variable's value, as if nothing were written there?",
        encrypting({"StringEquals": {CONTEXT: "a${kms:EncryptionContext:empty}"}}, {"text": "a", "empty": ""}),
        "accepted",
    ),
    Policies(
        "variable-in-bool",
        "Is a variable replaced in a `Bool` condition? The evaluator calls it unknown.",
        when({"Bool": {"aws:SecureTransport": "${aws:SecureTransport}"}}),
    ),
    Policies(
        "broken-variable",
        "Is a variable whose brace doesn't close, or that is no key, a text like any other?",
        lambda world: [
            *encrypting({"StringEquals": {CONTEXT: "${aws:username"}}, {"text": "${aws:username"})(world),
            *encrypting({"StringEquals": {CONTEXT: "${nonsense}"}}, {"text": "${nonsense}"})(world),
        ],
    ),
    Policies(
        "not-resource-with-a-variable",
        "Does a statement apply whose NotResource has a variable without a value?",
        not_resource_with_a_variable,
        "accepted",
    ),
    Policies(
        "null-of-an-empty-text",
        "Is a key there for `Null` if its value is an empty text? The first policy wants it absent, the second there.",
        lambda world: [
            *encrypting({"Null": {CONTEXT: "true"}}, {"text": ""})(world),
            *encrypting({"Null": {CONTEXT: "false"}}, {"text": ""})(world),
        ],
        "AccessDeniedException, accepted",
    ),
    Policies(
        "unreadable-value",
        "Does a condition hold with a date that can't be read? With a readable one that fits beside it, or with such addresses? "
        "With a number that can't be read, IfExists, and an absent key? The evaluator calls them unknown.",
        when(
            {"DateGreaterThan": {"aws:CurrentTime": "nonsense"}},
            {"DateGreaterThan": {"aws:CurrentTime": ["nonsense", "2020-01-01T00:00:00Z"]}},
            {"IpAddress": {"aws:SourceIp": ["nonsense", "0.0.0.0/1", "128.0.0.0/1"]}},
            {"NumericEqualsIfExists": {"s3:max-keys": "nonsense"}},
        ),
    ),
    Policies(
        "date-without-a-time",
        "Is a date without a time of day read?",
        when({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}}),
        "accepted",
    ),
    Policies(
        "date-without-a-zone",
        "Is a date without a zone read? And is 3000 a second of 1970, so that now is later, or a year? The evaluator calls "
        "them unknown.",
        when(
            {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00"}},
            {"DateGreaterThan": {"aws:CurrentTime": "3000"}},
        ),
    ),
    Policies(
        "range-with-more-bits",
        "Is a range of addresses with bits beyond its prefix (0.0.0.1/1, 128.0.0.1/1) the range? Asked over IPv4.",
        when({"IpAddress": {"aws:SourceIp": ["0.0.0.1/1", "128.0.0.1/1"]}}),
        "accepted",
    ),
    Policies(
        "short-arn-pattern",
        "Does `ArnLike` match every ARN by the patterns `*` and `arn:*`? The evaluator calls it unknown.",
        when({"ArnLike": {"aws:PrincipalArn": "*"}}, {"ArnLike": {"aws:PrincipalArn": "arn:*"}}),
    ),
    Policies(
        "wildcard-across-segments",
        "Does a `*` in the middle of a segment of a Resource match a colon? The evaluator calls it unknown.",
        wildcard_across_segments,
    ),
    Policies(
        "key-named-twice",
        "Does KMS take a condition with the same key twice, in different case, and what does it mean? The evaluator calls it "
        "unknown.",
        key_named_twice,
    ),
    Policies(
        "operator-spelling",
        "Does KMS take the operators `stringequals`, `StringIs` and `StringEqualsIfExistsIfExists`? The evaluator calls them "
        "unknown.",
        operators("stringequals", "StringIs", "StringEqualsIfExistsIfExists"),
    ),
    Policies(
        "effect-spelling",
        "Does KMS take the effect `allow`? The evaluator calls it unknown.",
        lambda _: [({"Effect": "allow"}, [])],
    ),
    Policies(
        "null-spelling",
        "Does KMS take `ForAllValues:Null`, and `Null` with a value other than true and false? The evaluator calls them unknown.",
        when({"ForAllValues:Null": {"aws:TagKeys": "true"}}, {"Null": {"aws:TagKeys": "maybe"}}),
    ),
    Policies(
        "arn-operator-on-a-text",
        "Does `ArnNotLike` hold for a text that is no ARN?",
        encrypting({"ArnNotLike": {CONTEXT: "arn:aws:iam::*:role/none"}}, {"text": "a"}),
        "accepted",
    ),
    Policies(
        "value-of-another-type",
        "Do `NumericNotEquals`, and `Bool` with false, hold for a text that is neither number nor Boolean? The evaluator calls "
        "them unknown.",
        lambda world: [
            *encrypting({"NumericNotEquals": {CONTEXT: "5"}}, {"text": "a"})(world),
            *encrypting({"Bool": {CONTEXT: "false"}}, {"text": "a"})(world),
        ],
    ),
    Policies(
        "malformed-statement",
        "Does KMS take a statement with both Resource and NotResource, with a list as its condition, or with a text as its "
        "principal? The evaluator calls them unknown.",
        malformed_statement,
    ),
    Policies(
        "no-action",
        "Does a statement with an empty list of actions let in anybody?",
        lambda _: [({"Action": []}, [])],
        NOT_LET_IN,
    ),
    Policies(
        "not-principal-everybody",
        "Does an Allow whose NotPrincipal is everybody let in anybody?",
        naming(NotPrincipal={"AWS": "*"}),
        NOT_LET_IN,
    ),
    Policies(
        "any-service",
        "Does the principal `Service: *` let in an account?",
        naming(Principal={"Service": "*"}),
        NOT_LET_IN,
    ),
    Policies(
        "canonical-user",
        "Does KMS take a `CanonicalUser`, which no account has?",
        naming(Principal={"CanonicalUser": "0" * 64}),
        NOT_LET_IN,
    ),
    Policies(
        "no-principal", "Does an empty list of principals let in anybody?", naming(Principal={"AWS": []}), NOT_LET_IN
    ),
]
