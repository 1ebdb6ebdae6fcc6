"""List the jobs, give the text of one, and complete their arguments."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptResult,
    ListPromptsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from kallyai_mcp.server.jobs.checking import checked
from kallyai_mcp.server.jobs.job import all_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.server.jobs.job import Input, Job, Language

DAYS_OFFERED = 14
"""Days from today that are offered for a date."""


def listed(language: Language, is_exposed: Callable[[str], bool]) -> ListPromptsResult:
    """Return the jobs whose tools are there, told in the usual language."""
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=job.name,
                title=job.title[language],
                description=job.description[language],
                arguments=[
                    PromptArgument(name=one.name, description=one.description[language], required=one.required or None)
                    for one in job.inputs
                ],
            )
            for job in all_jobs()
            if all(map(is_exposed, job.needs))
        ]
    )


def given(
    name: str, arguments: Mapping[str, str], usual: Language, is_exposed: Callable[[str], bool]
) -> GetPromptResult:
    """Return the text of one job.

    Raises:
        MCPError: There is no such job, or an argument cannot be used.
    """
    job = _find(name, is_exposed)
    language, values = checked(job, arguments, usual)
    text = TextContent(text=job.filled(language, values, is_exposed))
    return GetPromptResult(description=job.description[language], messages=[PromptMessage(role="user", content=text)])


def offered(name: str, argument: str, is_exposed: Callable[[str], bool]) -> list[str]:
    """Return what an argument may be; empty where anything may be typed.

    Raises:
        MCPError: There is no such job, or it has no such argument.
    """
    one = next((one for one in _find(name, is_exposed).inputs if one.name == argument), None)
    if one is None:
        raise MCPError(INVALID_PARAMS, f"{name} has no argument {argument}")
    return _values(one)


def _values(one: Input) -> list[str]:
    if one.form == "date":
        today = date.today()  # noqa: DTZ011 - the day of the person in front of this machine
        return [(today + timedelta(days=number)).isoformat() for number in range(DAYS_OFFERED)]
    if one.form == "time":
        return [f"{hour:02}:{minute:02}" for hour in range(8, 23) for minute in (0, 30)]
    if one.form == "count":
        return [str(number) for number in range(1, 21)]
    return list(one.offers)


def _find(name: str, is_exposed: Callable[[str], bool]) -> Job:
    job = next((job for job in all_jobs() if job.name == name), None)
    if job is None or not all(map(is_exposed, job.needs)):
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")
    return job
