"""The rules for acts: whom one reaches, where none may go, whether a person must agree, and what they are asked.

Pure functions over a command's declaration, its arguments and what the caller knows: no clock, no input or output.
"""

from kallyai_mcp.policy.consent import Allow, Ask, decide
from kallyai_mcp.policy.destinations import Destination, as_judged, destinations, of_value
from kallyai_mcp.policy.mandates import Terms, covers, mandate_question, names_all, terms
from kallyai_mcp.policy.masking import masked
from kallyai_mcp.policy.question import DESCRIBED, question, still_shows
from kallyai_mcp.policy.rules import check
from kallyai_mcp.policy.spelling import normalise
from kallyai_mcp.policy.trust import is_trusted

__all__ = [
    "DESCRIBED",
    "Allow",
    "Ask",
    "Destination",
    "Terms",
    "as_judged",
    "check",
    "covers",
    "decide",
    "destinations",
    "is_trusted",
    "mandate_question",
    "masked",
    "names_all",
    "normalise",
    "of_value",
    "question",
    "still_shows",
    "terms",
]
