"""The commands about acts, which run on this machine: the list, the brake, and mandates."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kallyai_mcp.catalog import by_tool
from kallyai_mcp.engine.asking import digest_of, own_mandates
from kallyai_mcp.engine.naming import everything, named, worded
from kallyai_mcp.engine.outcome import told
from kallyai_mcp.errors import ApprovalRequired, InvalidArguments, Problem
from kallyai_mcp.model.records import Mandate
from kallyai_mcp.policy import mandate_question, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.commands.acts import ListActs, ProposeMandate, RevokeMandate, StopActs
    from kallyai_mcp.engine.brake import Brake
    from kallyai_mcp.engine.naming import Allows
    from kallyai_mcp.engine.run import LocalCommand
    from kallyai_mcp.engine.settling import Settler
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model.records import Act
    from kallyai_mcp.safety import Safety

MANDATE_TOOL = "kallyai_mandate"


class Control:
    """What people and models can see of acts, and do about them.

    Args:
        journal: Where acts are recorded.
        owner: Whose they are.
        safety: The rules in force.
        settler: Looks up what is unknown.
        brake: Stops everything.
        zone: IANA zone of the user.
        clock: Seconds since the epoch.
        allows: Whether the caller may run a tool.
    """

    def __init__(
        self,
        journal: Journal,
        owner: Owner,
        safety: Safety,
        settler: Settler,
        brake: Brake,
        zone: str,
        clock: Callable[[], float] = time.time,
        *,
        allows: Allows = everything,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._safety = safety
        self._settler = settler
        self._brake = brake
        self._zone = zone
        self._clock = clock
        self._allows = allows

    def commands(self) -> Mapping[str, LocalCommand]:
        """Return the commands by name, for the engine."""
        return {"stop": self.stop, "acts": self.acts, "mandate": self.mandate, "mandate-revoke": self.revoke}

    async def stop(self, args: StopActs) -> dict[str, Any]:
        """Freeze all acts and cancel what can be cancelled."""
        del args
        return await self._brake.stop(self._owner.key, "the tool kallyai_stop")

    async def acts(self, args: ListActs) -> dict[str, Any]:
        """List the acts, after looking up the unknown ones."""
        account = self._owner.key
        await self._settler.owed.try_to_write()
        await self._journal.recover(account, self._safety.approval)
        await self._settler.look_all()
        listed = await self._journal.acts(account, limit=args.limit)
        return {"acts": [self._shown(act) for act in listed], **await self.standing()}

    async def standing(self) -> dict[str, Any]:
        """Return who agrees, what is stopped, what of the limits is used, and the mandates."""
        account, safety = self._owner.key, self._safety
        stop = await self._journal.stopped(account)
        used = asdict(await self._journal.usage(account))
        allowed = {
            name: getattr(safety, name)
            for name in (
                "max_credits_per_act",
                "max_credits_per_hour",
                "max_credits_per_day",
                "max_calls_per_hour",
                "max_new_recipients_per_day",
                "max_acts_in_flight",
            )
        }
        mandates = await own_mandates(self._journal, self._owner)
        facts: dict[str, Any] = {
            "approval": safety.approval,
            "limits": {"used": used, "allowed": allowed},
            "mandates": [await self._shown_mandate(mandate) for mandate in mandates],
        }
        return (
            facts
            if stop is None
            else facts | {"stopped": {"since": _moment(stop.since), "by": worded(stop.by, self._allows)}}
        )

    async def mandate(self, args: ProposeMandate) -> dict[str, Any]:
        """Have a person agree to a mandate, and put it in force.

        Raises:
            InvalidArguments: Bounds that are none.
            ApprovalRequired: A person has to agree first.
        """
        account, now = self._owner.key, self._clock()
        until = _read_moment(args.until, self._zone)
        bounds = terms(
            purpose=args.purpose,
            tools=tuple(args.tools),
            recipients=tuple(args.recipients or ()),
            acts=args.acts,
            credits=args.credits,
            until=until,
            now=now,
            known=lambda tool: (command := by_tool().get(tool)) is not None and command.is_act and self._allows(tool),
        )
        whole = [MANDATE_TOOL, self._owner.world, self._owner.subject, asdict(bounds)]
        digest = hashlib.sha256(json.dumps(whole).encode()).hexdigest()
        approval = await self._journal.agreed(account, MANDATE_TOOL, digest)
        if approval is None:
            is_tainted = await self._journal.tainted(account) is not None
            question = mandate_question(bounds, is_tainted=is_tainted, zone=self._zone)
            asked = await self._journal.ask(account, MANDATE_TOOL, digest, question)
            raise ApprovalRequired(
                asked.id, question.text(), why="A person has to agree to a mandate.", expires=asked.expires
            )
        used = await self._journal.use(account, approval.id, MANDATE_TOOL, digest)
        mandate = Mandate(
            id=f"m-{used.id[:8]}",
            purpose=bounds.purpose,
            tools=bounds.tools,
            recipients=bounds.recipients,
            acts=bounds.acts,
            credits=bounds.credits,
            until=bounds.until,
            # What the person agreed to may say that strangers' words were behind it, though that is over by now.
            is_trusted=used.question == mandate_question(bounds, is_tainted=False, zone=self._zone)
            and await self._journal.tainted(account) is None,
            created=now,
            consent=used.consent,
            person=digest_of(self._owner),
        )
        await self._journal.add_mandate(account, mandate)
        message = (
            f"Until {args.until}, {args.acts} acts with at most {args.credits:g} credits need no further question."
        )
        return {"mandate": await self._shown_mandate(mandate), "message": message}

    async def revoke(self, args: RevokeMandate) -> dict[str, Any]:
        """Take a mandate back.

        Raises:
            InvalidArguments: There is none of this identifier.
        """
        account = self._owner.key
        known = {mandate.id for mandate in await self._journal.mandates(account)}
        if args.mandate_id not in known:
            raise InvalidArguments(
                "kallyai_mandate_revoke",
                [Problem("mandate_id", "must be the id of a mandate; kallyai_acts lists them.")],
            )
        await self._journal.revoke(account, args.mandate_id)
        return {"revoked": True}

    def _shown(self, act: Act) -> dict[str, Any]:
        command = by_tool().get(act.draft.tool)
        facts = {"tool": named(act.draft.tool, self._allows), "to": act.draft.masked}
        if command is None:
            return facts | {"id": act.id, "outcome": str(act.state)}
        return facts | told(command, act, self._allows)

    async def _shown_mandate(self, mandate: Mandate) -> dict[str, Any]:
        acts, credits_ = await self._journal.mandate_usage(self._owner.key, mandate.id)
        return {
            "id": mandate.id,
            "purpose": mandate.purpose,
            "tools": [named(tool, self._allows) for tool in mandate.tools],
            "recipients": list(mandate.recipients),
            "acts_left": max(0, mandate.acts - acts),
            "credits_left": round(max(0.0, mandate.credits - credits_), 2),
            "until": _moment(mandate.until),
        }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _read_moment(text: str, zone: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp()
