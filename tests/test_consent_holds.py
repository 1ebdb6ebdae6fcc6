"""What a person agreed to was about something: where that is not to be seen any more, they are asked anew."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from histories import INTENTS, Life

from kallyai_mcp.catalog import find
from kallyai_mcp.commands.acts import ProposeMandate
from kallyai_mcp.errors import ApprovalRequired
from kallyai_mcp.model import Consent
from kallyai_mcp.model.records import Question
from kallyai_mcp.policy import still_shows
from kallyai_mcp.safety import ALL_DAY, Safety

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from histories import Process

pytestmark = pytest.mark.anyio

FRIEND = "+12025550188"
CALL = find("kallyai_calls_make")
CALLED = {"phone": FRIEND, "task": "Ask whether the blue coat is mended"}
UNSEEN = "What its identifier stands for could not be seen at the service."


@pytest.fixture
async def life(tmp_path: Path) -> AsyncGenerator[Life]:
    life = Life(tmp_path, safety=Safety(contact_hours=ALL_DAY))
    await life.begin()
    yield life
    for name in list(life.processes):
        await life.end(name)


async def asked(process: Process, tool: str, arguments: dict[str, Any]) -> ApprovalRequired:
    with pytest.raises(ApprovalRequired) as caught:
        await process.engine.run(find(tool), arguments)
    return caught.value


async def agree(life: Life, process: Process, question: ApprovalRequired) -> None:
    await process.journal.decide(
        life.owner.key, question.approval, agreed=True, how=Consent.PAGE, shown=question.question
    )


def unread(process: Process, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have what a command reads not be there from now on."""
    read = process.parts.reader.read

    async def without(command: str, arguments: Any) -> Any:
        return None if command == name else await read(command, arguments)

    monkeypatch.setattr(process.parts.reader, "read", without)


async def test_consent_to_a_draft_is_asked_anew_where_the_draft_cannot_be_seen_any_more(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = life.process("one")
    send, mail = INTENTS["mail"]
    draft = (await life.agreed(process, find(send), mail)).structured["id"]
    approve, arguments = "kallyai_actions_email_approve", {"email_id": draft}
    first = await asked(process, approve, arguments)
    assert "One space." in first.question
    await agree(life, process, first)
    before = life.world.need("outbox_email", draft)["status"]
    unread(process, monkeypatch, "actions email outbox")
    again = await asked(process, approve, arguments)
    assert again.approval != first.approval
    assert (UNSEEN in again.question, UNSEEN in first.question) == (True, False)
    assert life.world.need("outbox_email", draft)["status"] == before
    # Who agrees to the identifier alone has agreed to that.
    await agree(life, process, again)
    done = await process.engine.run(find(approve), arguments)
    assert done.structured["_act"]["outcome"] == "done"


@pytest.mark.parametrize("name", [None, "Somebody else"])
async def test_consent_to_reach_a_contact_is_asked_anew_where_they_are_none_any_more(
    life: Life, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    process = life.process("one")
    await process.engine.run(find("kallyai_inbound_add_contact"), {"phone": FRIEND, "name": "Marta Ruiz"})
    first = await asked(process, CALL.tool, CALLED)
    assert "Marta Ruiz, in your contacts" in first.question
    await agree(life, process, first)
    if name is None:
        unread(process, monkeypatch, "inbound contacts")
    else:
        contact = next(one for one in life.world.all("contact") if one["phone_number"] == FRIEND)
        life.world.save("contact", contact | {"name": name})
    again = await asked(process, CALL.tool, CALLED)
    assert again.approval != first.approval
    assert life.world.all("call", to=FRIEND) == []
    assert (name or "whether in your contacts is not known") in again.question
    await agree(life, process, again)
    assert (await process.engine.run(CALL, CALLED)).structured["_act"]["outcome"] == "done"


async def test_consent_holds_where_the_contacts_tell_more_than_they_did(life: Life) -> None:
    process = life.process("one")
    first = await asked(process, CALL.tool, CALLED)
    await agree(life, process, first)
    await process.engine.run(find("kallyai_inbound_add_contact"), {"phone": FRIEND, "name": "Marta Ruiz"})
    assert (await process.engine.run(CALL, CALLED)).structured["_act"]["outcome"] == "done"


@pytest.mark.parametrize(
    ("read", "subject", "names", "holds"),
    [
        ((), (), {}, True),
        ((), (), {FRIEND: "Marta"}, True),
        ((("Body", "A"),), (), {}, False),
        ((("Body", "A"),), (("body", "A"), ("status", "draft")), {}, True),
        ((("Body", "A"),), (("body", "B"),), {}, False),
        ((("Body", "A"),), (("body", "A"), ("cc", "x@y.example")), {}, False),
        (((FRIEND, "Marta"),), (), {FRIEND: "Marta"}, True),
        (((FRIEND, "Marta"),), (), {FRIEND: None}, False),
        (((FRIEND, "Marta"),), (), {}, False),
        (None, (), {}, False),
    ],
)
def test_a_question_holds_as_long_as_what_was_read_for_it_does(
    read: Any, subject: Any, names: dict[str, str | None], holds: bool
) -> None:
    kept = Question.of(Question("Send", "kallyai_x", (), (), read).as_dict())
    assert still_shows(kept, subject, names) is holds


def test_a_question_that_does_not_say_what_was_read_for_it_does_not_hold() -> None:
    """Such as one that an earlier version has kept."""
    kept = Question("Send", "kallyai_x", ()).as_dict()
    del kept["read"]
    assert not still_shows(Question.of(kept), (), {})


async def test_a_mandate_covers_nothing_of_somebody_else_who_has_signed_in_since(life: Life) -> None:
    process, (tool, arguments) = life.process("one"), INTENTS["mail"]
    life.owner.subject = "sub ann"
    until = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat(timespec="minutes")
    to = [arguments["to"]]
    proposed = ProposeMandate(purpose="Mails", tools=[tool], recipients=to, acts=3, credits=9, until=until)
    control = process.parts.control
    with pytest.raises(ApprovalRequired) as caught:
        await control.mandate(proposed)
    await agree(life, process, caught.value)
    await control.mandate(proposed)
    first = await process.engine.run(find(tool), arguments)
    assert first.structured["_act"]["outcome"] == "done"
    life.owner.subject = "sub somebody else"
    await asked(process, tool, arguments | {"subject": "Another"})
    assert (await control.standing())["mandates"] == []
