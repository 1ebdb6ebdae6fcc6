"""What the arguments of a job must look like: the rules of the tools that they end up in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from kallyai_mcp.server.jobs.job import LANGUAGES
from kallyai_mcp.visible import neutral

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.server.jobs.job import Form, Input, Job, Language

MOST = 50
"""Highest number that a job takes."""

LONGEST = 500
"""Characters of one argument."""

_RULES: dict[Form, str] = {
    "phone": "must be a phone number in international form: + and 2 to 15 digits, no blanks, such as +12025550143",
    "date": "must be a calendar date written YYYY-MM-DD",
    "time": "must be a 24-hour time written HH:MM",
    "count": f"must be a whole number from 1 to {MOST}",
}


def checked(job: Job, given: Mapping[str, str], usual: Language) -> tuple[Language, dict[str, str]]:
    """Return the language and the other arguments of a job; what is blank counts as not given.

    Args:
        job: Which job.
        given: As the host sent them.
        usual: Language where none is given.

    Raises:
        MCPError: An argument that there is not, that is missing, or that breaks its rule; all of them are named.
    """
    values = {name: " ".join(neutral(value).split()) for name, value in given.items()}
    values = {name: value for name, value in values.items() if value}
    known = {one.name: one for one in job.inputs}
    problems = [f"{name}: there is no such argument, only {', '.join(known)}" for name in values.keys() - known.keys()]
    for name, one in known.items():
        if name not in values:
            problems += [f"{name}: is required"] if one.required else []
        elif (rule := _broken(one, values[name])) is not None:
            problems.append(f"{name}: {rule}")
    if problems:
        raise MCPError(INVALID_PARAMS, f"{job.name} cannot be given. {'; '.join(sorted(problems))}.")
    chosen = values.pop("language", usual)
    return next(one for one in LANGUAGES if one == chosen), values


def _broken(one: Input, value: str) -> str | None:
    if len(value) > LONGEST:
        return f"must have at most {LONGEST} characters"
    if one.form == "choice":
        return None if value in one.offers else f"must be one of {', '.join(one.offers)}"
    return None if _fits(one.form, value) else _RULES[one.form]


def _fits(form: Form, value: str) -> bool:
    if form == "count":
        return re.fullmatch(r"[1-9][0-9]?", value, re.ASCII) is not None and int(value) <= MOST
    if form == "text":
        return True
    from pydantic import TypeAdapter, ValidationError

    from kallyai_mcp.model import types

    kinds: dict[str, Any] = {"phone": types.PhoneNumber, "date": types.Date, "time": types.Time}
    try:
        TypeAdapter[str](kinds[form]).validate_python(value)
    except ValidationError:
        return False
    return True
