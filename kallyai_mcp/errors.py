"""The one exception tree. Each error says whose problem it is and what to do next.

    KallyError
    ├── InvalidArguments    the caller's: arguments that break the declaration
    ├── UnknownCommand      the caller's: no such command, or one that is hidden
    ├── InvalidSettings     the operator's: a flag, a variable or a file
    ├── SignInRequired      the user's: no valid token
    ├── SignInFailed        the user's: a sign-in ended without a token
    ├── ActRefused          the rules': an act that the policy, a limit, a stop or a person does not allow
    ├── ApprovalRequired    the user's: an act that a person has to agree to first
    ├── CursorRefused       the caller's: a cursor that cannot be used, or not any more
    ├── ApiError            the service's answer, with its own code
    └── TransportError      nobody's: the answer was not had, or not understood

Where an error becomes visible (a tool result, a terminal) only the four texts here are shown: `code`, `message`,
`next_step`, `details`. None may hold a token, a phone number or a message text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


OWN_CODES = {
    "invalid_arguments": "Arguments that the tool does not take; nothing was sent. Each one is named with its rule.",
    "unknown_tool": "No command of this name.",
    "invalid_settings": "A flag, a variable or a file of this program cannot be used.",
    "missing_setting": "A variable that the command needs is not in the server's environment.",
    "token_origin_mismatch": "A token of a sandbox for the live service, or the other way round; nothing was sent.",
    "token_file_unusable": "The token file is damaged, not a plain file, or open to others; it is left as it is.",
    "keyring_unusable": "The system's keyring is missing, locked, or refuses the tokens; no other place is used.",
    "token_file_busy": "Another process holds the token file for too long.",
    "sign_in_required": "Nobody is signed in, or the sign-in has ended.",
    "sign_in_pending": "The sign-in still waits for a person; nothing was sent.",
    "sign_in_too_soon": "A sign-in was started and ended less than a minute ago; the next one has to wait.",
    "sign_in_denied": "The person refused the sign-in.",
    "sign_in_expired": "Nobody approved the sign-in in time.",
    "sign_in_failed": "The sign-in ended without tokens.",
    "refresh_failed": "The service could not renew the sign-in just now.",
    "port_unavailable": "No port is free for the sign-in in the browser.",
    "approval_required": "A person has to agree to the act first; nothing was sent.",
    "approval_declined": "A person has declined the act; nothing was sent.",
    "approval_used": "The approval belongs to another act, was used or has ended; nothing was sent.",
    "destination_refused": "The number or address may not be contacted from here; nothing was sent.",
    "quiet_hours": "It is too early or too late where the person is; nothing was sent.",
    "limit_reached": "A limit of credits, calls, recipients or acts under way is reached; nothing was sent.",
    "stopped": "All acts are stopped until a person resumes them in a terminal; nothing was sent.",
    "act_under_way": "The same act is under way at this moment; it was not begun a second time.",
    "outcome_unknown": "The same act was sent before and its answer was lost; it was not sent a second time.",
    "journal_unusable": "What is done cannot be written down, so that no act is begun.",
    "storage_away": "The database of the servers is away or busy for the moment; nothing was sent, nothing is lost.",
    "vault_unusable": "The tokens kept by the server cannot be read or changed; they are left as they are.",
    "insufficient_scope": "The access token with which the host came does not allow this tool; nothing was sent.",
    "too_many_runs": "One person ran too many tools within a minute; nothing was sent.",
    "not_a_terminal": "This needs a person at a terminal.",
    "connection_failed": "The service cannot be reached; nothing was sent.",
    "connection_lost": "The connection broke before the answer was complete.",
    "timeout": "No answer came in time.",
    "unexpected_answer": "The answer is not one of this service.",
    "answer_too_large": "The answer is larger than anything this service sends.",
    "cursor_invalid": "The cursor is damaged, or belongs to another account.",
    "cursor_expired": "The cursor is more than a day old.",
    "cursor_changed": "What the cursor goes on from has changed meanwhile.",
    "redirected": "The service answered with a redirect, which is never followed.",
    "http_error": "The service refused.",
    "internal_error": "This program failed in a way that was not foreseen.",
}
"""Every code that this program gives by itself; with those of the API in `model.codes` they are all there are."""


class KallyError(Exception):
    """Base of everything this program raises on purpose.

    Attributes:
        code: Stable identifier out of the documented list.
        message: What went wrong, one or two sentences.
        next_step: What the reader should do about it.
        retryable: Whether the same run may be tried again as it is without harm.
        http_status: Status of the API's answer, when there was one.
        correlation_id: The API's identifier of the failure, for its support.
        details: Further facts for programs.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        next_step: str,
        code: str | None = None,
        retryable: bool = False,
        http_status: int | None = None,
        correlation_id: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.error_code = code or self.code
        self.message = message
        self.next_step = next_step
        self.retryable = retryable
        self.http_status = http_status
        self.correlation_id = correlation_id
        self.details = dict(details or {})

    def as_dict(self) -> dict[str, object]:
        """Return the error as the JSON object shown in `structuredContent.error` and by `--json`."""
        facts: dict[str, object] = {
            "code": self.error_code,
            "message": self.message,
            "next_step": self.next_step,
            "retryable": self.retryable,
        }
        if self.http_status is not None:
            facts["http_status"] = self.http_status
        if self.correlation_id is not None:
            facts["correlation_id"] = self.correlation_id
        return facts | self.details


@dataclass(frozen=True, slots=True)
class Problem:
    """One argument that breaks one rule."""

    argument: str
    rule: str
    example: object | None = field(default=None)


class InvalidArguments(KallyError):
    """Arguments that the command's declaration refuses. Nothing was sent."""

    code = "invalid_arguments"

    def __init__(self, tool: str, problems: Sequence[Problem]) -> None:
        import json

        lines: list[str] = []
        for problem in problems:
            line = f"{problem.argument}: {problem.rule}"
            if problem.example is not None:
                line += f" For example: {json.dumps(problem.example, ensure_ascii=False)}."
            lines.append(line)
        super().__init__(
            f"{tool} was not run, nothing was sent. " + " ".join(lines),
            next_step="Correct the arguments named and run the tool again.",
            details={
                "arguments": [
                    {"argument": p.argument, "rule": p.rule} | ({} if p.example is None else {"example": p.example})
                    for p in problems
                ]
            },
        )
        self.problems = tuple(problems)


class UnknownCommand(KallyError):
    """No command of this name, or one that this server does not show."""

    code = "unknown_tool"

    def __init__(self, name: str, *, near: Sequence[str] = (), found_by: str | None = None) -> None:
        step = f"Did you mean {' or '.join(near)}? " if near else ""
        step += "Take the name from tools/list." if found_by is None else f"{found_by} finds tools and their names."
        super().__init__(f"Unknown tool: {name}", next_step=step)


class InvalidSettings(KallyError):
    """A flag, environment variable or file that cannot be used. The program does not start with it."""

    code = "invalid_settings"


class SignInRequired(KallyError):
    """The run needs an access token and there is no valid one."""

    code = "sign_in_required"


class SignInFailed(KallyError):
    """A sign-in ended without a token: refused, expired, or the service could not be used."""

    code = "sign_in_failed"


class ActRefused(KallyError):
    """The rules of this program do not allow the act. Nothing was sent. `error_code` says which rule."""

    code = "destination_refused"


class ApprovalRequired(KallyError):
    """A person has to agree first. Nothing was sent.

    Attributes:
        approval: Identifier of the question; it approves nothing by itself.
        question: What the person is to be asked.
    """

    code = "approval_required"

    def __init__(self, approval: str, question: str, *, why: str, expires: float) -> None:
        super().__init__(
            f"{why} Nothing was sent.",
            next_step="Have the user agree in a terminal with `kallyai-mcp approve`, then run the same tool again with "
            "the same arguments. Nothing that you write can approve it.",
            retryable=True,
            details={"approval": approval, "expires": expires, "outcome": "not_sent"},
        )
        self.approval = approval
        self.question = question


class CursorRefused(KallyError):
    """The rest of an answer cannot be had with this cursor."""

    code = "cursor_invalid"


class ApiError(KallyError):
    """The API answered, and the answer was no. `error_code` is the API's own code where it is documented."""

    code = "http_error"


class TransportError(KallyError):
    """The request got no answer, or one that cannot be understood.

    `details["outcome"]` is "unknown" where the service may have acted all the same.
    """

    code = "connection_failed"
