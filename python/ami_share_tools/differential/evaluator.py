"""An independent evaluator of KMS key policies and grants, written from AWS's documentation.

It is the second opinion to the product's evaluator and shares nothing with it: neither code nor tests. Logic is
three-valued (Kleene): `True`, `False`, and `None` for "not known". Each rule names the AWS page that it follows:

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

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from functools import lru_cache

ABSENT, UNKNOWN = "(absent)", "(unknown)"
VARIABLES_SINCE = "2012-10-17"


class Answer:
    """The verdict, what it depends on, and what no page of AWS settles."""

    def __init__(self, verdict, depends_on, notes):
        self.verdict, self.depends_on, self.notes = verdict, depends_on, notes


# ---------------------------------------------------------------------------------------------- three-valued logic


def all_of(values):
    result = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result


def any_of(values):
    result = False
    for value in values:
        if value is True:
            return True
        if value is None:
            result = None
    return result


def negate(value):
    return None if value is None else not value


# ------------------------------------------------------------------------------------------------------- questions

# external: what an identity of another account can do with a key. The cryptographic operations are those of
# the KMS guide's page kms-cryptography.
ENCRYPTION_CONTEXT_OPERATIONS = frozenset(
    "Decrypt Encrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext "
    "GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo".split()
)
CRYPTOGRAPHIC = ENCRYPTION_CONTEXT_OPERATIONS | frozenset(
    "DeriveSharedSecret GenerateMac Sign Verify VerifyMac".split()
)
CROSS_ACCOUNT = CRYPTOGRAPHIC | frozenset(
    "CreateGrant DescribeKey GetKeyRotationStatus GetPublicKey ListGrants RetireGrant RevokeGrant".split()
)

# kmskeys and reference: the operations that carry a key. A key of KMS that is not here is on every operation on a key.
CREATE_GRANT = frozenset(["CreateGrant"])
ATTESTED = frozenset("Decrypt DeriveSharedSecret GenerateDataKey GenerateDataKeyPair".split())
TAGGING = frozenset("CreateKey TagResource".split())
CARRIED_BY = {
    "kms:bypasspolicylockoutsafetycheck": frozenset(["CreateKey", "PutKeyPolicy"]),
    "kms:datakeypairspec": frozenset(["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"]),
    "kms:encryptionalgorithm": ENCRYPTION_CONTEXT_OPERATIONS,
    "kms:encryptioncontextkeys": ENCRYPTION_CONTEXT_OPERATIONS | {"CreateGrant", "RetireGrant"},
    "kms:expirationmodel": frozenset(["ImportKeyMaterial"]),
    "kms:grantconstraintsourcearn": CREATE_GRANT,
    "kms:grantconstrainttype": CREATE_GRANT,
    "kms:grantisforawsresource": frozenset(["CreateGrant", "ListGrants", "RevokeGrant"]),
    "kms:grantoperations": CREATE_GRANT,
    "kms:granteeprincipal": CREATE_GRANT,
    "kms:granteeserviceprincipal": CREATE_GRANT,
    "kms:keyagreementalgorithm": frozenset(["DeriveSharedSecret"]),
    "kms:macalgorithm": frozenset(["GenerateMac", "VerifyMac"]),
    "kms:messagetype": frozenset(["Sign", "Verify"]),
    "kms:primaryregion": frozenset(["UpdatePrimaryRegion"]),
    "kms:reencryptonsamekey": frozenset(["ReEncryptFrom", "ReEncryptTo"]),
    "kms:replicaregion": frozenset(["ReplicateKey"]),
    "kms:requestalias": CRYPTOGRAPHIC | {"DescribeKey", "GetPublicKey"},
    "kms:retiringprincipal": CREATE_GRANT,
    "kms:retiringserviceprincipal": CREATE_GRANT,
    "kms:rotationperiodindays": frozenset(["EnableKeyRotation"]),
    "kms:schedulekeydeletionpendingwindowindays": frozenset(["ScheduleKeyDeletion"]),
    "kms:signingalgorithm": frozenset(["Sign", "Verify"]),
    "kms:trailingdayswithoutkeyusage": frozenset(["DisableKey", "ScheduleKeyDeletion"]),
    "kms:validto": frozenset(["ImportKeyMaterial"]),
    "kms:wrappingalgorithm": frozenset(["GetParametersForImport"]),
    "kms:wrappingkeyspec": frozenset(["GetParametersForImport"]),
    "aws:tagkeys": TAGGING | {"UntagResource"},
}
CARRIED_BY_PREFIX = (
    ("kms:encryptioncontext:", ENCRYPTION_CONTEXT_OPERATIONS | {"CreateGrant", "RetireGrant"}),
    ("kms:recipientattestation:", ATTESTED),
    ("aws:requesttag/", TAGGING),
)

# reference and global: the keys that hold a set. Each of the others holds one value.
MULTI_VALUED = frozenset(
    "kms:grantoperations kms:encryptioncontextkeys kms:resourcealiases aws:principalorgpaths aws:calledvia "
    "aws:tagkeys aws:principalservicenameslist aws:resourceorgpaths aws:sourceorgpaths".split()
)


@lru_cache(maxsize=4096)
def is_carried(key, operation):
    """Whether a request of this operation can have the key at all."""
    operations = CARRIED_BY.get(key)
    if operations is None:
        for prefix, of_prefix in CARRIED_BY_PREFIX:
            if key.startswith(prefix):
                operations = of_prefix
    return operations is None or operation in operations


class Request:
    """Who asks for what, and what is known of the request's context."""

    def __init__(self, question, action):
        who = question["principal"]
        self.operation = action.partition(":")[2]
        self.action = action.lower()
        self.resource = question["resource"]
        self.owner = self.resource.split(":")[4]
        self.account, self.arn = who.get("account"), who.get("arn")
        self.role_arn = question.get("principal_role_arn")
        self.service = self.arn if self.account is None and self.arn and not self.arn.startswith("arn:") else None
        if self.account == "unknown":
            self.account = None
        self.is_closed = question.get("context_mode", "closed") == "closed"
        self.context = {
            key.lower(): ABSENT if value is None else texts(value) for key, value in question["context"].items()
        }
        self.context.update(self.of_principal(who))
        self.notes = set()

    def of_principal(self, who):
        """global: the keys that follow from who asks."""
        account = ABSENT if self.service else [self.account] if self.account else UNKNOWN
        organization, paths = who.get("org_id"), who.get("org_paths")
        return {
            "aws:principalaccount": account,
            "kms:calleraccount": account,
            "aws:principalarn": self.principal_arn(),
            "aws:principalorgid": ABSENT
            if organization is None
            else UNKNOWN
            if organization == "unknown"
            else [organization],
            "aws:principalorgpaths": UNKNOWN if paths == "unknown" else paths if paths else ABSENT,
        }

    def principal_arn(self):
        """global, aws:PrincipalArn: for a session it is its role's ARN; the session's own ARN lacks the role's path."""
        if self.service:
            return ABSENT
        if self.arn and ":assumed-role/" in self.arn:
            return [self.role_arn] if self.role_arn else UNKNOWN
        return [self.arn] if self.arn else UNKNOWN

    def value_of(self, key):
        """ABSENT, UNKNOWN or the list of values. operators: key names ignore case."""
        if not is_carried(key, self.operation):
            return ABSENT  # whatever the context says: it is that of a launch, which makes several calls
        value = self.context.get(key)
        if value is not None:
            return value
        if self.is_closed:
            return ABSENT
        if key in ("aws:sourcearn", "aws:sourceaccount"):
            self.notes.add("whether a request of an account's principal can carry " + key)
        return UNKNOWN


def text(value):
    """grammar: quotation marks are optional for numeric and Boolean values."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def texts(value):
    if isinstance(value, str):
        return [value]
    return [text(item) for item in value] if isinstance(value, list) else [text(value)]


# -------------------------------------------------------------------------------------------------------- patterns


@lru_cache(maxsize=65536)
def compiled(pattern):
    """`pattern` has characters, and wildcards in tuples of their own: so a literal `*` can be told from a wildcard."""
    return re.compile(
        "".join(".*" if c == ("*",) else "." if c == ("?",) else re.escape(c) for c in pattern), re.DOTALL
    )


@lru_cache(maxsize=65536)
def wild(literal):
    return tuple((c,) if c in "*?" else c for c in literal)


def glob(pattern, value):
    """operators: `*` is any number of characters, `?` exactly one."""
    return compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=65536)
def plain_glob(text, value):
    return glob(wild(text), value)


# -------------------------------------------------------------------------------------------------------- variables

VARIABLE = re.compile(r"\$\{([^}]*)\}")
DEFAULT = re.compile(r"^([^,]*), '([^']*)'$")


def substitute(value, request, keeps_wildcards):
    """variables: the pattern that a policy's text stands for; ABSENT or UNKNOWN if a variable has no (known) value."""
    if "${" not in value:
        return wild(value) if keeps_wildcards else tuple(value)
    result, at = [], 0
    for found in VARIABLE.finditer(value):
        literal = value[at : found.start()]
        result += wild(literal) if keeps_wildcards else literal
        at = found.end()
        name = found.group(1)
        if name in ("*", "?", "$"):
            result.append(name)
            continue
        default = DEFAULT.match(name)
        key = (default.group(1) if default else name).lower()
        if not re.fullmatch(r"[a-z0-9.-]+:[^'\s]+", key):
            request.notes.add("a variable that is none: ${" + name + "}")
            return UNKNOWN
        known = request.value_of(key)
        if key in MULTI_VALUED and known is not ABSENT:
            request.notes.add("a multi-valued key as a variable")
            return ABSENT
        if known is ABSENT and default:
            known = [default.group(2)]
        if known is ABSENT:
            return ABSENT
        if known is UNKNOWN:
            request.unknown_variables.add(key)
            return UNKNOWN
        if "*" in known[0] or "?" in known[0]:
            request.notes.add("a wildcard that comes from a variable's value or default")
        result += known[0]
    rest = value[at:]
    if "${" in rest:
        request.notes.add("a variable that is not closed")
        return UNKNOWN
    result += wild(rest) if keeps_wildcards else rest
    return tuple(result)


# -------------------------------------------------------------------------------------------------------- operators


def match_string(value, wanted, request, *, ignores_case=False, is_like=False):
    pattern = (
        substitute(wanted, request, is_like) if request.has_variables else (wild(wanted) if is_like else tuple(wanted))
    )
    if pattern is ABSENT:
        return False
    if pattern is UNKNOWN:
        return None
    if is_like:
        return glob(pattern, value)
    plain = "".join(pattern)
    return plain.lower() == value.lower() if ignores_case else plain == value


def match_arn(value, wanted, request):
    """operators: each of the six parts is checked separately; the last one may hold colons."""
    pattern = substitute(wanted, request, True) if request.has_variables else wild(wanted)
    if pattern is ABSENT:
        return False
    if pattern is UNKNOWN:
        return None
    parts, part = [], []
    for c in pattern:
        if c == ":" and len(parts) < 5:
            parts.append(tuple(part))
            part = []
        else:
            part.append(c)
    parts.append(tuple(part))
    values = value.split(":", 5)
    if len(parts) < 6:
        request.notes.add("a pattern for an ARN that has not six parts")
        return None
    if len(values) < 6 or values[0] != "arn":
        request.notes.add("an ARN operator on a value that is no ARN")
        return False
    return all(glob(p, v) for p, v in zip(parts, values))


def number(value):
    try:
        return float(value) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value) else None
    except ValueError:
        return None


DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)")


def moment(value, notes):
    """operators: one of the W3C's profiles of ISO 8601, or seconds since 1970."""
    if re.fullmatch(r"\d{4}|\d{4}-\d\d|\d{4}-\d\d-\d\d", value):
        notes.add("a date without a time of day")
        return None
    if re.fullmatch(r"\d+", value):
        return float(value)
    found = DATE.fullmatch(value)
    if not found:
        if re.match(r"\d{4}-\d\d-\d\d", value):
            notes.add("a date that is nearly one of W3C's forms")
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    zone = found.group(8)
    try:
        at = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
    except ValueError:
        return None
    offset = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[4:6])) * (60 if zone[0] == "+" else -60)
    return at.timestamp() - offset + float(found.group(7) or 0)


COMPARISONS = {
    "Equals": lambda a, b: a == b,
    "NotEquals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def comparer(parse, holds):
    def match(value, wanted, request):
        left, right = parse(value, request.notes), parse(wanted, request.notes)
        if left is None:
            request.notes.add("a value in the request that is not of the operator's type")
        return None if left is None or right is None else holds(left, right)

    return match


def match_bool(value, wanted, request):
    """operators: `true` or `false`. Any other spelling is not documented: unknown."""
    if "${" in wanted:
        request.notes.add("a variable under Bool: one page says supported, another not")
    if value not in ("true", "false"):
        request.notes.add("a value in the request that is not of the operator's type")
    return value == wanted if wanted in ("true", "false") else None


def match_binary(value, wanted, request):
    try:
        right = base64.b64decode(wanted, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return base64.b64decode(value, validate=True) == right
    except (binascii.Error, ValueError):
        request.notes.add("a value in the request that is not of the operator's type")
        return False


@lru_cache(maxsize=4096)
def network(value):
    """operators: CIDR; an address without a prefix is the address alone."""
    address, slash, length = value.partition("/")
    try:
        if slash and not re.fullmatch(r"\d{1,3}", length):
            return None, None
        note = None
        if not slash and ":" in address:
            note = "an IPv6 address without a prefix: the page's default of /32 is not meant for it"
        if slash:
            try:
                ipaddress.ip_network(value)
            except ValueError:
                note = "a CIDR whose address has bits beyond the prefix"
        return ipaddress.ip_network(value, strict=False), note
    except ValueError:
        return None, None


def match_ip(value, wanted, request):
    range_, note = network(wanted)
    if note:
        request.notes.add(note)
    if range_ is None:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        request.notes.add("a value in the request that is not of the operator's type")
        return False
    return address in range_


def string_matcher(**how):
    return lambda value, wanted, request: match_string(value, wanted, request, **how)


# Name of an operator -> (is it negated, does one value of the request match one of the policy's).
OPERATORS = {
    "StringEquals": (False, string_matcher()),
    "StringNotEquals": (True, string_matcher()),
    "StringEqualsIgnoreCase": (False, string_matcher(ignores_case=True)),
    "StringNotEqualsIgnoreCase": (True, string_matcher(ignores_case=True)),
    "StringLike": (False, string_matcher(is_like=True)),
    "StringNotLike": (True, string_matcher(is_like=True)),
    "ArnEquals": (False, match_arn),
    "ArnLike": (False, match_arn),
    "ArnNotEquals": (True, match_arn),
    "ArnNotLike": (True, match_arn),
    "Bool": (False, match_bool),
    "BinaryEquals": (False, match_binary),
    "IpAddress": (False, match_ip),
    "NotIpAddress": (True, match_ip),
}
for name, holds in COMPARISONS.items():
    OPERATORS["Numeric" + name] = (name == "NotEquals", comparer(lambda value, notes: number(value), holds))
    OPERATORS["Date" + name] = (name == "NotEquals", comparer(moment, holds))

OPERATOR = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?")


@lru_cache(maxsize=1024)
def operator_parts(operator):
    return OPERATOR.fullmatch(operator)


# ------------------------------------------------------------------------------------------------------- conditions


def is_readable(operator, wanted):
    """Whether a policy's value is of the operator's type. A variable counts: it is another question."""
    if operator.startswith("Numeric"):
        return number(wanted) is not None
    if operator.startswith("Date"):
        return moment(wanted, set()) is not None
    if operator == "Bool":
        return wanted in ("true", "false")
    if operator.endswith("IpAddress"):
        return network(wanted)[0] is not None
    return True


def condition_holds(operator, key, wanted, request):
    """One operator on one key. logic: several wanted values are OR, for a negated operator NOR."""
    parts = operator_parts(operator)
    key = key.lower()
    known = request.value_of(key)
    if parts and parts.group(2) == "Null":
        return null_holds(parts, key, known, wanted, request)
    if not parts or parts.group(2) not in OPERATORS:
        return None  # not an operator: what AWS would do is not known
    quantifier, (negated, match), if_exists = parts.group(1), OPERATORS[parts.group(2)], parts.group(3)
    if any(item is None for item in wanted) or not wanted:
        request.notes.add("a condition without a plain value")
        return None
    unreadable = sum(not is_readable(parts.group(2), item) for item in wanted)
    if unreadable and (known is ABSENT or unreadable < len(wanted)):
        request.notes.add("an unreadable value beside others, or for a key that is absent")
    if known is ABSENT:
        if quantifier == "ForAnyValue" and if_exists:
            request.notes.add("ForAnyValue with IfExists and a missing key")
        if quantifier == "ForAllValues" and negated:
            request.notes.add("ForAllValues with a negated operator and a missing key: the pages say both")
        if if_exists:
            return True  # operators: "If the key is not present, evaluate the condition element as true"
        if quantifier:
            return quantifier == "ForAllValues"  # sets: true, or false, "if there are no context keys in the request"
        return negated  # operators, "Important": not present is false, or true for what must not match
    if known is UNKNOWN:
        return None
    if key in MULTI_VALUED and not quantifier:
        request.notes.add("a multi-valued key without a set operator")

    def value_holds(value):
        matches = any_of([match(value, item, request) for item in wanted])
        return negate(matches) if negated else matches

    if known in ([], [""]):
        if quantifier:  # operators: "or if the context key value resolves to a null dataset, such as an empty string"
            return quantifier == "ForAllValues"
        request.notes.add("a key whose value is an empty set or an empty text")
    results = [value_holds(value) for value in known]
    if quantifier == "ForAllValues":
        return all_of(results)  # sets: every value of the request
    return any_of(results)  # sets: at least one value of the request; a single-valued key has one


def null_holds(parts, key, known, wanted, request):
    """operators, Null: `true` the key is absent, `false` it exists and its value is not null."""
    if parts.group(1) or parts.group(3) or any(item not in ("true", "false") for item in wanted):
        if not (parts.group(3) and not parts.group(1)):  # NullIfExists is not an operator: plainly unknown
            request.notes.add("Null with a set operator, or with a value that is neither true nor false")
        return None
    if known is UNKNOWN:
        return None
    if known in ([], [""]):
        request.notes.add("a key whose value is an empty set or an empty text")
    return any_of([(known is ABSENT) == (item == "true") for item in wanted])


def conditions_hold(condition, request, depends_on):
    """logic: all operators and all keys must hold."""
    result = True
    for operator, keys in condition.items():
        if len({key.lower() for key in keys}) < len(keys):
            request.notes.add("a key twice under one operator")
        for key, wanted in keys.items():
            request.unknown_variables = set()
            holds = condition_holds(operator, key, texts(wanted), request)
            if holds is False:
                return False
            if holds is None:
                result = None
                depends_on |= request.unknown_variables or {key.lower()}
                if request.value_of(key.lower()) is UNKNOWN:
                    depends_on.add(key.lower())
    return result


# ------------------------------------------------------------------------------------------------------- principals

ACCOUNT_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root")
IDENTITY_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::(\d{12}):(?:user|role)/|sts::(\d{12}):(?:assumed-role|federated-user)/)"
)


@lru_cache(maxsize=4096)
def account_of(listed):
    """principal: an account is its 12 digits or the ARN of its root, and both are the same."""
    if re.fullmatch(r"\d{12}", listed):
        return listed
    found = ACCOUNT_ARN.fullmatch(listed)
    return found.group(1) if found else None


def same_account(account, request):
    return None if request.account is None else account == request.account


@lru_cache(maxsize=4096)
def identity_account(listed):
    """The account of a user, role, session or federated user; nothing for what names none of them."""
    found = IDENTITY_ARN.match(listed)
    if not found or "*" in listed or "?" in listed:
        return None  # a deleted principal's unique id, a group, part of a name
    return found.group(1) or found.group(2)


def is_identity(listed, request):
    """principal: a user, a role, a session or a federated user, named by its whole ARN. A wildcard names nobody."""
    account = identity_account(listed)
    if account is None:
        return False
    if request.arn is None:
        # Not one identity asks but any of an account or an organization.
        return False if same_account(account, request) is False else None
    if listed == request.arn:
        return True
    if ":role/" in listed and ":assumed-role/" in request.arn:
        if request.role_arn:
            return listed == request.role_arn
        # principal: a role's sessions act as the role; their ARN has the role's name without its path.
        return account == request.account and listed.rsplit("/", 1)[1] == request.arn.split("/")[1]
    return False


def principals(element, notes):
    """The pairs (kind, text) of a Principal element. grammar: `*` or a map of kinds to one or more texts."""
    if element == "*":
        return [("AWS", "*")]
    if not isinstance(element, dict):
        notes.add("a Principal that is neither * nor a map")
        return []
    pairs = [(kind, item) for kind, items in element.items() for item in texts(items)]
    if not pairs or any(kind not in ("AWS", "Service", "Federated") or item is None for kind, item in pairs):
        notes.add("a Principal that is empty or of a kind that key policies do not have")
    return pairs


def is_listed(kind, listed, request):
    if kind == "Service":
        return listed == request.service
    if kind != "AWS" or request.service and listed != "*":
        return False
    if listed == "*":
        return True
    account = account_of(listed)
    return same_account(account, request) if account else is_identity(listed, request)


def principal_holds(statement, request, depends_on):
    if "Principal" in statement and "NotPrincipal" in statement:
        request.notes.add("a statement with both an element and its negation")
    if statement.get("Principal") == "*" and "NotPrincipal" not in statement:
        return True
    if "Principal" in statement:
        listed = principals(statement["Principal"], request.notes)
        result = any_of([is_listed(kind, item, request) for kind, item in listed])
        if result is None:
            depends_on.add(
                "aws:principalaccount"
                if request.account is None and all(account_of(item) for _, item in listed)
                else "aws:principalarn"
            )
        return result
    if "NotPrincipal" in statement:
        result = not_principal_holds(statement, request)
        if result is None:
            depends_on.add("aws:principalarn")
        return result
    return False  # overview: Principal is required


def not_principal_holds(statement, request):
    listed = principals(statement["NotPrincipal"], request.notes)
    if statement.get("Effect") != "Deny":
        request.notes.add("NotPrincipal with Allow: not supported")
    if any(kind == "AWS" and item == "*" for kind, item in listed):
        request.notes.add("NotPrincipal that lists everybody")
        return False
    if request.service:
        return not any(is_listed(kind, item, request) for kind, item in listed)
    items = [item for kind, item in listed if kind == "AWS"]
    by_account = any_of([same_account(account_of(item), request) for item in items if account_of(item)])
    by_itself = any_of([is_identity(item, request) for item in items if not account_of(item)])
    if request.arn and request.arn.endswith(":root") and by_account:
        return False
    if by_account is False and by_itself is False:
        return True
    if by_itself is True and by_account is True and ":assumed-role/" not in (request.arn or ""):
        return False
    # notprincipal: "you must also specify the account ARN of the not-denied principal. Otherwise, the policy might
    # deny access to the entire account". Listing the account alone exempts nobody else for sure.
    if request.arn and ":assumed-role/" in request.arn and by_itself is True and by_account is True:
        has_session = request.arn in items
        has_role = any(":role/" in item and is_identity(item, request) for item in items)
        if has_session and has_role:
            return False
        request.notes.add("NotPrincipal with a session's role but not the session, or the other way round")
    elif by_itself is True:
        request.notes.add("NotPrincipal with an identity but without its account")
    return None


# ------------------------------------------------------------------------------------------------------- statements


def action_holds(statement, request):
    """overview: without Action a statement has no effect. Action names ignore case."""
    if "Action" in statement and "NotAction" in statement:
        request.notes.add("a statement with both an element and its negation")
    for element, sign in (("Action", True), ("NotAction", False)):
        if element in statement:
            items = texts(statement[element])
            if not items or None in items:
                request.notes.add("an element without a plain value")
                return None
            return any([plain_glob(item.lower(), request.action) for item in items]) is sign
    return False


def resource_holds(statement, request, depends_on):
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
            results = []
            for item in items:
                pattern = substitute(item, request, True) if request.has_variables else wild(item)
                if pattern is ABSENT and not sign:
                    # variables: "a resource that includes a policy variable with no value will not match any resource"
                    request.notes.add("NotResource with a variable that has no value")
                results.append(
                    False if pattern is ABSENT else None if pattern is UNKNOWN else glob(pattern, request.resource)
                )
            result = any_of(results)
            if result is None:
                depends_on |= request.unknown_variables
            return result if sign else negate(result)
    return False


def statement_holds(statement, request, depends_on):
    """A statement applies if its principal, action, resource and all of its conditions do."""
    acts = action_holds(statement, request)
    if acts is False:
        return False
    found = set()
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


# ----------------------------------------------------------------------------------------------------------- grants


def grant_holds(grant, request, depends_on):
    """grants: a grant allows its operations to its one grantee, if its constraints are met. It never denies."""
    if request.operation not in grant.get("Operations", ()):
        return False
    grantee = grant.get("GranteePrincipal")
    if not grantee or request.service:
        return False  # a grantee service principal is not an identity of an account
    account = account_of(grantee)
    if account and re.fullmatch(r"\d{12}", grantee):
        request.notes.add("a grantee that is an account's bare number")
    found = set()
    is_grantee = same_account(account, request) if account else is_identity(grantee, request)
    if is_grantee is None:
        found.add("aws:principalaccount" if account else "aws:principalarn")
    result = all_of([is_grantee, constraints_hold(grant.get("Constraints") or {}, request, found)])
    if result is None:
        depends_on |= found
    return result


def constraints_hold(constraints, request, found):
    results = []
    for name, wanted in constraints.items():
        if name == "SourceArn":
            # grants: "effectively putting an aws:SourceArn global condition key into the grant"
            known = request.value_of("aws:sourcearn")
            results.append(False if known is ABSENT else None if known is UNKNOWN else known[0] == wanted)
            if known is UNKNOWN:
                found.add("aws:sourcearn")
        elif request.operation not in ("DescribeKey", "RetireGrant"):
            # grants: encryption context constraints are "ignored for DescribeKey and RetireGrant operations"
            results.append(encryption_context_holds(name, wanted, request, found))
    return all_of(results)


def encryption_context_holds(name, wanted, request, found):
    prefix = "kms:encryptioncontext:"
    given = {
        key[len(prefix) :]: value
        for key, value in request.context.items()
        if key.startswith(prefix) and value is not ABSENT
    }
    results = []
    for key, value in wanted.items():
        known = request.value_of(prefix + key.lower())
        if known is UNKNOWN:
            found.add(prefix + key.lower())
        results.append(False if known is ABSENT else None if known is UNKNOWN else known[0] == value)
    if name == "EncryptionContextEquals":
        if set(given) - {key.lower() for key in wanted}:
            results.append(False)
        elif not request.is_closed:
            # Whether the request has more pairs is not known, unless it is known which keys it has.
            keys = request.context.get("kms:encryptioncontextkeys")
            request.notes.add("EncryptionContextEquals where further pairs are not known")
            results.append(None if keys is None else True)
    return all_of(results)


# ---------------------------------------------------------------------------------------------------------- verdicts


def judge_action(question, action):
    """IAM guide, reference_policies_evaluation-logic: a Deny wins over every Allow; without an Allow it is a no."""
    request = Request(question, action)
    policy = question["policy"]
    request.has_variables = policy.get("Version") == VARIABLES_SINCE  # variables: only since 2012-10-17
    request.unknown_variables = set()
    statements = policy.get("Statement", [])
    allows, denies, allow_keys, deny_keys = [], [], set(), set()
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


def judge(question):
    """The verdict of each action asked for, and the worst of them."""
    actions = question.get("needed_actions") or [question["action"]]
    per_action = {action: judge_action(question, action) for action in actions}
    worst = min((answer.verdict for answer in per_action.values()), key=SEVERITY.index)
    return worst, per_action
