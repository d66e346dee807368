"""A client of ami-share: requests signed with Signature Version 4, and the outcome events of a request gathered."""

from .client import ApiError, Client
from .documents import Outcome, Problem, RequestDocument, Share
from .events import Gathering, OutcomeEvent, put_request

__all__ = ["ApiError", "Client", "Gathering", "Outcome", "OutcomeEvent", "Problem", "RequestDocument", "Share", "put_request"]
