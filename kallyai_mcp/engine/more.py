"""What comes next: the rest of an answer that was too large for one, and the next page of a list.

A cursor says what to read again and where to go on. It is sealed, so that a model can neither read nor change it, and
bound to the account; another process of the same state folder opens it as well. Nothing is kept: what an act brought
is taken from the journal, everything else is read anew, and if that has changed meanwhile, it is said and not glossed
over.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from kallyai_mcp.engine.cutting import compact, cuttable, where
from kallyai_mcp.engine.result import Ending
from kallyai_mcp.errors import CursorRefused
from kallyai_mcp.model.answer import Each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.engine.cutting import Place
    from kallyai_mcp.engine.result import Body, Result
    from kallyai_mcp.model import Command

MORE = "_more"
"""Field of an answer that is a piece: which one, and how to get the next."""

NEXT = "_next"
"""Field of an answer that is a page: the run that gets the next."""

TOOL = "kallyai_more"

LIFETIME = 86_400.0
"""Seconds for which a cursor is good."""

_LONGEST = 8_000


class Seal(Protocol):
    """Makes and opens cursors."""

    def seal(self, payload: bytes) -> str:
        """Return a token that only this key opens."""
        ...

    def open(self, token: str) -> bytes | None:
        """Return what was sealed; None where it was not sealed with this key."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer comes from, and can be had again.

    Attributes:
        command: What was run.
        arguments: As they were given.
        act: The act that brought it, where it was one.
    """

    command: Command
    arguments: Mapping[str, Any]
    act: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """An opened cursor.

    Attributes:
        tool: What to run again.
        arguments: With what.
        act: Whose answer to take instead.
        place: Where to go on.
        digest: Of what was cut.
        piece: Number of the piece that comes, from 2.
    """

    tool: str
    arguments: dict[str, Any]
    act: str | None
    place: Place
    digest: str
    piece: int


class Continued:
    """Cuts answers, and makes and opens cursors.

    Args:
        seal: Seals cursors; without one, what is too large is cut for good.
        account: Gives the key of the account.
        whole_at: Gives the address of the whole of what a run reads, where the host can read it in another way.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        seal: Seal | None,
        account: Callable[[], str],
        whole_at: Callable[[Command, Mapping[str, Any]], str | None] = lambda _, __: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seal = seal
        self._account = account
        self._whole_at = whole_at
        self._clock = clock

    def finish(self, result: Result, source: Source, cursor: Cursor | None = None) -> Result:
        """Return a result or, where it is too large, a piece of it with a cursor; and say how the next page is had.

        Args:
            result: All of it.
            source: Where it comes from.
            cursor: Where the piece begins; at the beginning without one.

        Raises:
            CursorRefused: What it goes on from has changed.
        """
        body = result.body
        if body is None:
            return result
        if (following := next_page(source, body.data)) is not None:
            sentence, facts = following
            body = replace(body, after=(*body.after, sentence), facts=body.facts | ({NEXT: facts} if facts else {}))
        elif cursor is None and not result.cut:
            return result
        if cursor is None and (whole := body.whole(result.file)) is not None:
            return whole
        if self._seal is None or not _can_be_had_again(source):
            return body.result()
        data = cuttable(body.data)
        if cursor is not None and cursor.digest != _digest(data, cursor.place):
            raise _changed(source)
        number = 1 if cursor is None else cursor.piece
        last = body
        if following is not None:  # the next page comes after the last piece of this one
            body = replace(body, after=result.body.after if result.body else (), facts=_without(body.facts, NEXT))
        if number > 1:  # what is said of an act was said with the first piece
            body, last = replace(body, facts={}, after=()), replace(last, facts=_only(last.facts, NEXT))
        return self._piece(body, last, source, data, cursor, number)

    def _piece(
        self, body: Body, last: Body, source: Source, data: dict[str, Any], cursor: Cursor | None, number: int
    ) -> Result:
        start = () if cursor is None else cursor.place

        def ending(end: Place | None, spot: str) -> Ending:
            if end is None:
                return Ending((f"Piece {number}, the last one.",), {MORE: {"piece": number, "cursor": None}})
            token = self._sealed(source, end, _digest(data, end), number + 1)
            facts = {"piece": number, "ends_at": spot, "tool": TOOL, "cursor": token}
            elsewhere = ""
            if (uri := self._whole_at(source.command, source.arguments)) is not None:
                facts["whole"] = uri
                elsewhere = f" All of it: {uri}"
            sentence = f"Piece {number}; more follows at {spot}: {TOOL} {compact({'cursor': token})}{elsewhere}"
            return Ending((sentence,), {MORE: facts})

        try:
            piece, end = body.piece(start, ending, data)
            if end is None and last is not body:
                piece, end = last.piece(start, ending, data)
        except LookupError:
            raise _changed(source) from None
        return piece

    def _sealed(self, source: Source, place: Place, digest: str, number: int) -> str:
        assert self._seal is not None  # noqa: S101 - looked at before
        arguments = {} if source.act else dict(source.arguments)
        told = [
            self._account(),
            int(self._clock() + LIFETIME),
            source.command.tool,
            arguments,
            source.act,
            list(place),
            digest,
            number,
        ]
        return self._seal.seal(zlib.compress(compact(told).encode(), 9))

    def open(self, token: str) -> Cursor:
        """Open a cursor.

        Raises:
            CursorRefused: It is none of this account, or has expired.
        """
        payload = None if self._seal is None or len(token) > _LONGEST else self._seal.open(token)
        if payload is None:
            raise _unknown()
        account, ends, tool, arguments, act, place, digest, piece = json.loads(zlib.decompress(payload))
        if account != self._account():
            raise _unknown()
        if ends < self._clock():
            raise CursorRefused(
                "This cursor is more than a day old.",
                code="cursor_expired",
                next_step=f"Run {tool} again, and go on with the cursor that it gives.",
            )
        return Cursor(tool, arguments, act, tuple(place), digest, piece)


def next_page(source: Source, data: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None] | None:
    """Return in words and for a program how the next page of a list is had; None where there is none.

    Where the answer says that there is more, and the API has no way to get it, there are words only.
    """
    command, fields = source.command, source.command.args.model_fields
    entries = _entries(command, data)
    if not entries:
        return None
    given = {name: value for name, value in source.arguments.items() if value is not None}
    count, total = len(entries), data.get("total")
    limit = given.get("limit", fields["limit"].default) if "limit" in fields else None
    is_full = not isinstance(limit, int) or count >= limit
    known = isinstance(total, int) and not isinstance(total, bool)
    seen = count + (int(given.get("offset") or 0) if "offset" in fields else 0)
    if data.get("has_more") is False or (known and seen >= cast("int", total)):
        return None
    is_sure = known or data.get("has_more") is True
    amount = f"{seen} of {total}" if known else f"{seen}"
    # Without a limit a service gives as many as it likes; fewer than asked for is all that it gives.
    if not (is_sure or (limit is not None and is_full)):
        return None
    if "offset" in fields:
        arguments = given | {"offset": seen}
        sentence = f"{amount} shown; {'the next' if is_sure else 'any next'}: {command.tool} {compact(arguments)}"
        return sentence, {"tool": command.tool, "arguments": arguments}
    told = f"{amount} shown; more" if is_sure else f"{count} shown, as many as asked for; any more"
    if "limit" in fields and is_full:
        bounds = [count * 4, _highest(fields["limit"].metadata), total if known else None]
        arguments = given | {"limit": min(bound for bound in bounds if isinstance(bound, int))}
        if arguments["limit"] > count:
            return f"{told}: {command.tool} {compact(arguments)}", {"tool": command.tool, "arguments": arguments}
    # With a second list it would not be certain of which one the total is.
    is_list = sum(isinstance(value, list) for value in data.values()) == 1
    return (f"{amount} shown; {command.tool} cannot get more.", None) if is_sure and is_list else None


def _entries(command: Command, data: Mapping[str, Any]) -> list[Any] | None:
    named = [name for name, field in command.answer.items() if isinstance(field, Each)]
    for name in (*named, "items", "entries", *data):
        if isinstance(data.get(name), list):
            return cast("list[Any]", data[name])
    return None


def _highest(metadata: list[Any]) -> int | None:
    found = [bound for rule in metadata if (bound := getattr(rule, "le", None)) is not None]
    return min(found, default=None)


def _can_be_had_again(source: Source) -> bool:
    from kallyai_mcp.model import Effect

    return source.act is not None or (source.command.effect is Effect.READ and not source.command.is_recorded)


def _digest(data: dict[str, Any], place: Place) -> str:
    """Return a digest of the large field in which a place lies; what stands beside it may change."""
    try:
        field = where(data, place)[1]
    except (LookupError, TypeError):
        return ""
    return hashlib.sha256(compact(field).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _without(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


def _only(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key == name}


def _unknown() -> CursorRefused:
    return CursorRefused(
        "This cursor cannot be used: it is not whole, or was not given to this account.",
        code="cursor_invalid",
        next_step="Copy it character by character from the answer that it came with, or run that tool again.",
    )


def _changed(source: Source) -> CursorRefused:
    arguments = "" if source.act else f" with {compact(dict(source.arguments))}"
    return CursorRefused(
        "What the cursor goes on from has changed since, so that the next piece would not fit the last one.",
        code="cursor_changed",
        next_step=f"Read it from its beginning: run {source.command.tool}{arguments} again."
        if source.act is None
        else "Look with kallyai_acts what the act brought.",
    )
