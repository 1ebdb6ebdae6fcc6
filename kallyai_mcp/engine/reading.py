"""What reading strangers' words leads to: the account is marked, and what is written meanwhile is not trusted later.

The mark is set before the words are handed over. Where it cannot be written down, that is made good before the next
act is judged; until then none is begun. Where other servers judge acts of the account, too, who know nothing of what
this one owes, the words are not handed over without the mark.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from kallyai_mcp.engine.contacts import reached_in
from kallyai_mcp.engine.lockdown import admitted, sender_look
from kallyai_mcp.errors import KallyError
from kallyai_mcp.model.looking import entries, given, matches, values_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.api import Answer
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.contacts import Contacts
    from kallyai_mcp.engine.reader import Reader
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import Command
    from kallyai_mcp.model.records import Act
    from kallyai_mcp.safety import Safety

TAINTED_FOR = 1800.0
"""Seconds for which acts are looked at more closely after strangers' words were read."""

WRITTEN_EVERY = 30.0
"""Seconds for which a mark that was written is not written again; it is set to last so much longer."""

CONTACT = "contact"
"""Kind under which numbers and addresses are kept that were written down while strangers' words had just been read."""

ACT = "act"
"""Kind under which acts are kept that were begun in such a time and write down who is known."""

_log = logging.getLogger(__name__)


class Reading:
    """Watches over answers of one account.

    Args:
        journal: Where the marks are kept.
        owner: Whose they are.
        contacts: Who is known.
        reader: Finds the sender of words whose answer does not tell.
        safety: The rules.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        journal: Journal,
        owner: Owner,
        contacts: Contacts,
        reader: Reader,
        safety: Safety,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._contacts = contacts
        self._reader = reader
        self._safety = safety
        self._clock = clock
        self._written = float("-inf")
        self._owed: tuple[str, float] | None = None

    async def admit(self, command: Command, given_: Mapping[str, Any], answer: Answer) -> Answer:
        """Note that strangers' words of an answer are handed over, and return what of it may be shown.

        Raises:
            KallyError: That strangers' words were read cannot be noted, and other servers would not know of it.
        """
        if not command.third_party_text:
            return answer
        await self.mark(command)
        if not self._safety.lockdown:
            return answer
        distrusted = {value for _, value in await self._journal.distrusted(self._owner.key)}
        known = frozenset(await self._contacts.names() or ()) - distrusted
        own = await self._contacts.own()
        return admitted(command, answer, known, own, sender=await self._sender(command, given_))

    async def expect(self, command: Command, given_: Mapping[str, Any], act: str | None = None) -> bool:
        """Note, before it is sent, what a run is to write down of who is known: its answer may never come.

        Returns:
            Whether strangers may be behind it.

        Raises:
            KallyError: It cannot be noted; the run must not be sent then.
        """
        if not command.introduces:
            return False
        self._contacts.forget()
        account = self._owner.key
        if await self._journal.tainted(account) is None:
            return False
        await self._journal.distrust(account, CONTACT, reached_in(dict(given_)))
        if act is not None:
            await self._journal.distrust(account, ACT, {act})
        return True

    async def wrote(
        self,
        command: Command,
        given_: Mapping[str, Any],
        data: Any,
        *,
        act: str | None = None,
        is_tainted: bool = False,
    ) -> None:
        """Note what a run has written down of who is known, now that its answer has come.

        Args:
            command: What was run.
            given_: With which arguments.
            data: What was answered.
            act: The act that it was, if it was one.
            is_tainted: What `expect` has said of it.
        """
        if not command.introduces:
            return
        self._contacts.forget()
        account = self._owner.key
        try:
            if is_tainted or await self._was_tainted(act) or await self._journal.tainted(account) is not None:
                await self._journal.distrust(account, CONTACT, reached_in(dict(given_)) | reached_in(data))
        except KallyError as error:  # it has happened: what was given is noted already, and the answer is due
            _log.warning("What was written of contacts could not be noted: %s", error.message)

    async def recall(self, command: Command, act: Act) -> None:
        """Note whom an act of some time ago has written down: where its answer was lost, nobody has noted it.

        What is read now has no part in it: what counts is whether strangers may have been behind it then.

        Raises:
            KallyError: It cannot be noted.
        """
        if command.introduces and await self._was_tainted(act.id):
            await self._journal.distrust(self._owner.key, CONTACT, reached_in(act.answer))

    async def _was_tainted(self, act: str | None) -> bool:
        return act is not None and (ACT, act) in await self._journal.distrusted(self._owner.key)

    async def catch_up(self) -> None:
        """Set a mark that could not be set when its words were handed over.

        Raises:
            KallyError: It still cannot be; no act may be judged without it.
        """
        owed = self._owed
        if owed is None:
            return
        await self._journal.taint(self._owner.key, *owed)
        if self._owed is owed:
            self._owed = None

    async def mark(self, command: Command) -> None:
        """Note that strangers' words of a command's answer are handed over now.

        Raises:
            KallyError: It cannot be noted, and other servers would not know of it.
        """
        now = self._clock()
        if now - self._written < WRITTEN_EVERY:
            return
        self._owed = (command.name, now + TAINTED_FOR + WRITTEN_EVERY)
        try:
            await self.catch_up()
        except KallyError as error:
            if self._journal.is_shared:
                raise
            _log.warning("That strangers' words were read could not be written down: %s", error.message)
        else:
            self._written = now

    async def _sender(self, command: Command, given_: Mapping[str, Any]) -> str | None:
        look = sender_look(command)
        if look is None:
            return None
        answer = await self._reader.read(look.look.command, given(look.look, given_))
        for entry in [] if answer is None else entries(look.look, answer):
            if matches(look.look, entry, given_, None):
                found = (value for field in look.reaches for value in values_at(entry, field))
                return next((value for value in found if isinstance(value, str)), None)
        return None
