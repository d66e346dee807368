"""The type of what has no type of its own: a JSON object, or an answer of boto3."""

from typing import Any

Document = dict[str, Any]
