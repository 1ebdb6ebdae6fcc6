"""A no of the sandbox, in the envelope that the API documents.

The facts of the API know two forms of the envelope: in form A the text stands in `error.message`, in form B in
`error.details.message`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from kallyai_mcp.model.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Mapping

Form = Literal["a", "b"]

_UNCODED = {
    400: "The request is malformed.",
    401: "The request is not signed in.",
    403: "This is not allowed.",
    404: "There is nothing under this address.",
    405: "This address does not take the method.",
    409: "This clashes with what is there already.",
    413: "The body is too large.",
    415: "The body must be JSON.",
    421: "The sandbox answers under loopback names only.",
    422: "A value was refused.",
    429: "Too many requests.",
    500: "The sandbox failed.",
    503: "The sandbox is not available for now.",
}


class Refusal(Exception):
    """An error answer, raised from wherever the reason is found.

    Attributes:
        code: Documented code; None where the API documents a status only.
        status: HTTP status.
        message: Text for people.
        details: Optional background.
        retry_after: Seconds for the `Retry-After` header.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        code: str | None = None,
        message: str | None = None,
        details: Mapping[str, Any] | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse with a documented code (its status and meaning unless given), or with a bare status.

        Raises:
            KeyError: The code is not documented.
        """
        known = None if code is None else CODES[code]
        self.code = code
        self.status = status or (known.http_status if known else 400)
        self.message = message or (known.meaning if known else _UNCODED.get(self.status, "The request was refused."))
        self.details = dict(details or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def envelope(self, correlation_id: str, form: Form = "a") -> dict[str, Any]:
        """Return the documented error object."""
        error: dict[str, Any] = {} if self.code is None else {"code": self.code}
        if form == "b":
            error["details"] = {"message": self.message, **self.details}
        else:
            error["message"] = self.message
            if self.details:
                error["details"] = self.details
        return {"error": error | {"correlation_id": correlation_id}}
