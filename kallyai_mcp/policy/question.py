"""What a person is asked before an act: all of it, in plain words, with nothing in it that could mislead the eye."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.markup import defused
from kallyai_mcp.model.acts import State
from kallyai_mcp.model.args import arg_of
from kallyai_mcp.model.records import Question
from kallyai_mcp.policy.countries import name_of
from kallyai_mcp.policy.mails import cautions
from kallyai_mcp.visible import shown, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kallyai_mcp.model import Args, Command
    from kallyai_mcp.model.records import Act
    from kallyai_mcp.policy.destinations import Destination, Role

HIDDEN = "(hidden)"
DESCRIBED = "What it does"
PROGRESS = frozenset({"status", "credits_used", "result_summary", "completion_summary"})
"""Fields of what is shown that change by themselves while a person thinks."""

_LONGEST_NAME = 80
_GAP = re.compile(r"[^\S\n]{12,}")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*\n")


def question(
    command: Command,
    args: Args,
    *,
    destinations: Sequence[Destination],
    names: Mapping[str, str | None],
    subject: Sequence[tuple[str, str]],
    estimate: str | None,
    undo: str,
    reasons: Sequence[str],
    repeat_of: Act | None,
) -> Question:
    """Put into words what a person is to agree to.

    Args:
        command: What would be run.
        args: With which arguments; every one is shown, but secrets.
        destinations: Whom it reaches.
        names: For each of their values, the name in the contacts, or None for one that is not there; a value that is
            missing could not be looked up.
        subject: What the identifiers among the arguments stand for, field and value.
        estimate: What it may cost, in words; None where there is no estimate.
        undo: Whether and how it can be taken back, until when.
        reasons: Why a person is asked although the settings would not have it, or what makes it delicate.
        repeat_of: The equal act that was done before, where this is to be done once more.
    """
    facts = [
        *_whom(command, destinations, names),
        *([(DESCRIBED, command.description)] if command.diverts else []),
        *_arguments(command, args),
        *((_label(name), _shown(value)) for name, value in subject),
        ("May cost", _cost(command) if estimate is None else _shown(estimate)),
        ("Can be undone", _shown(undo)),
    ]
    warnings = [*map(_line, reasons)]
    if command.diverts:
        warnings.append("It changes where calls or mail go, who is known, or how you appear to others.")
    if repeat_of is not None:
        when = datetime.fromtimestamp(repeat_of.created, UTC)
        warnings.append(
            f"The same was begun at {when:%Y-%m-%d %H:%M} UTC and is {repeat_of.state}; it would be done once more."
        )
    for spot in destinations:
        if spot.kind == "mail":
            warnings += cautions(spot.value)
    warnings += _hidden(command, args, subject)
    if command.subject is not None and not subject:
        warnings.append("What its identifier stands for could not be seen at the service.")
    read = (*_meant(subject, repeat_of), *_known(names))
    return Question(_title(command), command.tool, tuple(facts), tuple(dict.fromkeys(warnings)), read)


def still_shows(
    asked: Question,
    subject: Sequence[tuple[str, str]],
    names: Mapping[str, str | None],
    repeat_of: Act | None = None,
) -> bool:
    """Whether all that a question says of what was read is so now, and says all of it, but for how far that has come.

    A name that has come into the contacts since takes nothing from what was agreed to.

    Args:
        asked: What a person has agreed to.
        subject: Field and value of what the identifiers stand for now; nothing where that cannot be seen.
        names: As for `question`, as they are now.
        repeat_of: The same; consent to one act more is none where it was asked for before it was known that the
            earlier one was done.
    """
    meant = set(_meant(subject, repeat_of))
    return asked.read is not None and meant <= set(asked.read) <= meant | set(_known(names))


def _meant(subject: Sequence[tuple[str, str]], repeat_of: Act | None) -> list[tuple[str, str]]:
    shown = [(_label(name), _shown(value)) for name, value in subject if name not in PROGRESS]
    if repeat_of is not None:
        shown.append((f"Repeats {repeat_of.id}", "done" if repeat_of.state is State.DONE else "perhaps done"))
    return shown


def _known(names: Mapping[str, str | None]) -> list[tuple[str, str]]:
    return [(value, _line(name)) for value, name in names.items() if name is not None]


def _title(command: Command) -> str:
    """The first sentence of the description, which begins with a verb."""
    sentence, _, _ = command.description.partition(". ")
    return sentence.rstrip(".") or command.title


def _whom(
    command: Command, destinations: Sequence[Destination], names: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    labels: Mapping[Role, str] = {
        "contact": "Reaches" if command.contacts_people or not command.diverts else "Leads to",
        "callback": "Has people call back",
        "mentioned": "Names in its text",
    }
    for role, label in labels.items():
        lines = dict.fromkeys(_who(spot, names) for spot in destinations if spot.role == role)
        if lines:
            yield label, "\n".join(lines)
        elif role == "contact" and command.delegates:
            yield label, "whomever the assistant chooses"
        elif role == "contact" and command.contacts_people:
            yield label, "somebody whom the request does not name"


def _who(spot: Destination, names: Mapping[str, str | None]) -> str:
    where = f", {name_of(spot.country)}" if spot.country else ""
    if spot.value not in names:
        known = "whether in your contacts is not known"
    elif (name := names[spot.value]) is None:
        known = "not in your contacts"
    else:
        known = f"{_line(name)[:_LONGEST_NAME] or 'without a name'}, in your contacts"
    return f"{_line(spot.shown)}{where}: {known}"


def _cost(command: Command) -> str:
    if command.costs_money:
        return "money, by the terms of the plan"
    return "credits, how many is not known" if command.costs_credits else "nothing"


def _arguments(command: Command, args: Args) -> Iterator[tuple[str, str]]:
    for name in command.args.model_fields:
        value = getattr(args, name)
        if value is None:
            continue
        spelled = HIDDEN if arg_of(command.args, name).sensitive else _value(value)
        yield _label(name), spelled if name in args.model_fields_set else f"{spelled} (by default)"
    if command.environment is not None:
        yield "Credentials", f"{HIDDEN}, from the settings of this program"


def _hidden(command: Command, args: Args, subject: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Say of which values characters are left out that would be sent all the same."""
    values = [(name, getattr(args, name)) for name in command.args.model_fields if name in args.model_fields_set]
    for name, value in [*values, *subject]:
        count = sum(map(unseen, _texts(value)))
        if count:
            yield f"{_label(name)} holds {count} characters that cannot be seen; they are left out here."


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[Any]", value)):
        return "\n".join(f"- {_shown(item)}" for item in cast("list[str]", value)) or "none"
    return _shown(json.dumps(value, ensure_ascii=False, indent=2))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in cast("list[Any]", value):
                yield from _texts(item)
        case dict():
            for name, item in cast("dict[str, Any]", value).items():
                yield name
                yield from _texts(item)
        case _:
            pass


def _label(name: str) -> str:
    words = _line(name).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _shown(text: str) -> str:
    """Return a text with its lines, but without gaps or markup that put the rest of it out of sight."""
    return _EMPTY_LINES.sub("\n\n", _GAP.sub(" ", defused(shown(text))))


def _line(text: str) -> str:
    return " ".join(defused(shown(text)).split())
