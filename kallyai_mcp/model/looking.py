"""What a look at the service shows: the entries of an answer, and which of them is meant. Pure functions.

Nothing is taken for granted of the answer. What it lacks leaves the question open: an act is settled only by an entry
that says so, and counts as not found only where the service surely would have told of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.model.acts import Look

    Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look says of an act.

    Attributes:
        happened: Whether it has; None where nobody can tell by it.
        entry: The entry that says so.
    """

    happened: bool | None
    entry: Mapping[str, Any] | None = None


def given(look: Look, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the command that reads."""
    return {**look.fixed, **{name: args[ours] for name, ours in look.given.items() if args.get(ours) is not None}}


def entries(look: Look, answer: Mapping[str, Any]) -> list[Entry]:
    """Return the entries of an answer, the answer itself where it is the entry; none where it is of another form."""
    if not look.entries:
        return [answer]
    return [_mapping(entry) for entry in _list(look, answer) or () if isinstance(entry, Mapping)]


def matches(look: Look, entry: Entry, args: Mapping[str, Any], since: datetime | None) -> bool:
    """Whether an entry is surely the one that is meant.

    Args:
        look: What is looked for.
        entry: One of `entries`.
        args: What the run was given.
        since: An entry made earlier is not meant; any may be if not given.
    """
    return not look.is_gone and judge(look, entry, args, since) is True


def judge(look: Look, entry: Entry, args: Mapping[str, Any], since: datetime | None) -> bool | None:
    """Return whether an entry is as described; None where it lacks what would tell."""
    verdicts = [
        _equals(look, entry, field, args[ours])
        for field, ours in look.match.items()
        if _was_given(args, ours) and (field not in look.where_shown or values_at(entry, field))
    ]
    verdicts += [_is_one_of(entry, field, values) for field, values in look.states.items()]
    if look.since is not None and since is not None:
        verdicts.append(_is_since(value_at(entry, look.since), since))
    if False in verdicts:
        return False
    return None if None in verdicts else True


def see(
    look: Look,
    answer: Mapping[str, Any],
    args: Mapping[str, Any],
    since: datetime | None,
    *,
    is_other: Callable[[Entry], bool] = lambda _: False,
) -> Sight:
    """Say what an answer tells of an act.

    Args:
        look: Where the act shows.
        answer: What the command that reads has answered.
        args: What the run was given.
        since: When it was sent, less what the service's clock may be behind.
        is_other: Whether an entry is known to belong to another act.
    """
    if look.entries and _list(look, answer) is None:
        return Sight(None)
    judged = [(entry, judge(look, entry, args, since)) for entry in entries(look, answer) if not is_other(entry)]
    found = next((entry for entry, verdict in judged if verdict), None)
    is_open = any(verdict is None for _, verdict in judged)
    if look.is_gone:
        return Sight(False, found) if found is not None else Sight(None if is_open else True)
    if found is not None:
        return Sight(True, found)
    return Sight(None if is_open or not look.is_complete else False)


def values_at(entry: Entry, field: str) -> list[Any]:
    """Return what stands in a field, dotted, with `|` between alternatives; each part of a list, each value once."""
    values: list[Any] = []
    for path in field.split("|"):
        for value in _follow(entry, path.split(".")):
            if value not in values:
                values.append(value)
    return values


def value_at(entry: Entry, field: str) -> Any:
    """Return the first alternative of a field that holds something, or None."""
    return next((value for value in values_at(entry, field) if value is not None), None)


def text(value: Any) -> str:
    """Return a value as declarations write it: `true`, `false`, `null`, a number's digits, a text as it is."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(look: Look, answer: Mapping[str, Any]) -> list[Any] | None:
    found = (answer[name] for name in look.entries if isinstance(answer.get(name), list))
    return next(found, None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value)


def _was_given(args: Mapping[str, Any], name: str) -> bool:
    return args.get(name) is not None


def _equals(look: Look, entry: Entry, field: str, wanted: Any) -> bool | None:
    values = values_at(entry, field)
    if any(value == wanted or text(value) == text(wanted) for value in values):
        return True
    return None if not values or field in look.loose else False


def _is_one_of(entry: Entry, field: str, wanted: tuple[str, ...]) -> bool | None:
    values = values_at(entry, field)
    if any(text(value) in wanted for value in values):
        return True
    return False if values else None


def _is_since(value: Any, since: datetime) -> bool | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (at.replace(tzinfo=UTC) if at.tzinfo is None else at) >= since


def _follow(value: Any, path: list[str]) -> list[Any]:
    if isinstance(value, list):
        return [found for part in cast("list[Any]", value) for found in _follow(part, path)]
    if not path:
        return [value]
    if not isinstance(value, Mapping) or path[0] not in value:
        return []
    return _follow(_mapping(value)[path[0]], path[1:])
