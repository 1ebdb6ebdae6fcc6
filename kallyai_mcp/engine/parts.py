"""What acts need around the engine, each part made when it is first needed: reads and lists pay for none of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from kallyai_mcp.engine.acts import Acts
from kallyai_mcp.engine.brake import Brake
from kallyai_mcp.engine.consents import Consents
from kallyai_mcp.engine.contacts import Contacts
from kallyai_mcp.engine.control import Control
from kallyai_mcp.engine.gate import Gate
from kallyai_mcp.engine.naming import everything
from kallyai_mcp.engine.past import Past
from kallyai_mcp.engine.reader import Reader
from kallyai_mcp.engine.reading import Reading
from kallyai_mcp.engine.settling import Settler
from kallyai_mcp.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kallyai_mcp.api import ApiClient, Tokens
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.model import Defaults
    from kallyai_mcp.settings import Settings


class Parts:
    """The parts of one account.

    Args:
        settings: What the program was told.
        api: Client of the API.
        tokens: Where access tokens come from.
        defaults: What requests take from the settings.
        owner: Whose acts they are.
        start: Runs something in the background for as long as the program lives.
        journal: Where acts are recorded; in the state folder unless given. One that others share is not closed here.
        allows: Whether the caller may run a tool.
    """

    def __init__(
        self,
        settings: Settings,
        api: ApiClient,
        tokens: Tokens,
        defaults: Defaults,
        owner: Owner,
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        journal: Journal | None = None,
        allows: Allows = everything,
    ) -> None:
        self._settings = settings
        self._api = api
        self._tokens = tokens
        self._defaults = defaults
        self._start = start
        self.owner = owner
        self._journal = journal
        self._allows = allows

    @cached_property
    def journal(self) -> Journal:
        """Where acts are recorded."""
        return self._journal or Journal(self._settings.state_folder)

    @cached_property
    def reader(self) -> Reader:
        """Reads what the engine itself wants to know."""
        return Reader(self._api, self._tokens, self._defaults)

    @cached_property
    def contacts(self) -> Contacts:
        """Who is known."""
        return Contacts(self.reader)

    @cached_property
    def gate(self) -> Gate:
        """Judges acts."""
        settings = self._settings
        return Gate(self.reader, self.contacts, settings.safety, settings.zone, allows=self._allows)

    @cached_property
    def settler(self) -> Settler:
        """Looks up acts whose answer was lost."""
        return Settler(
            self.reader,
            self.journal,
            self.owner.key,
            approval_mode=self._settings.safety.approval,
            is_sandbox=lambda: self._api.is_sandbox,
            start=self._start,
        )

    @property
    def owes(self) -> bool:
        """Whether the journal is still to be told how an act has ended."""
        return "settler" in self.__dict__ and len(self.settler.owed) > 0

    @cached_property
    def reading(self) -> Reading:
        """Admits answers with strangers' words."""
        return Reading(self.journal, self.owner, self.contacts, self.reader, self._settings.safety)

    @cached_property
    def acts(self) -> Acts:
        """Runs what is recorded."""
        return Acts(
            self._api, self._tokens, self.reader, self.journal, self.owner, self.gate, self.settler, self.reading
        )

    @cached_property
    def past(self) -> Past:
        """Looks up acts."""
        settings = self._settings
        mode, zone = settings.safety.approval, settings.zone
        return Past(self.journal, self.owner, self.settler, self.reading, mode, zone, self._allows)

    @cached_property
    def consents(self) -> Consents:
        """What people decide."""
        return Consents(self.journal, self.owner)

    @cached_property
    def brake(self) -> Brake:
        """Stops everything."""
        return Brake(
            self._api,
            self._tokens,
            self._defaults,
            self.reader,
            self.journal,
            approval_mode=self._settings.safety.approval,
            allows=self._allows,
        )

    @cached_property
    def control(self) -> Control:
        """The commands about acts."""
        settings = self._settings
        return Control(
            self.journal, self.owner, settings.safety, self.settler, self.brake, settings.zone, allows=self._allows
        )

    async def aclose(self) -> None:
        """Close the journal, if it was used."""
        if "journal" in self.__dict__ and not self.journal.is_common:
            await self.journal.aclose()
