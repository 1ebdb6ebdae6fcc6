"""Everything the watch page shows, and a version of each part, so that only what changed is replaced."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.pages.reading import text
from kallyai_mcp.sandbox.pages.views import Call, Mail, balance, call, charge, entry, goal, incoming, mail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.sandbox.world import World

MOST_CALLS = 20
MOST = 10
"""How many calls, and how many entries of the other parts, the watch page shows."""


def watch(world: World) -> dict[str, Any]:
    """Return everything the watch page shows, newest first, with a version for each part."""
    documents = {kind: world.all(kind)[::-1] for kind in ("call", "goal", "outbox_email", "action", "ledger")}
    # What a larger goal is made of shows in its steps, unless it waits for the user.
    top = [d for d in documents["goal"] if not d.get("parent_goal_id") or d.get("status") == "needs_input"]
    came_in = [(d, False) for d in world.all("inbound_call")] + [(d, True) for d in world.all("voicemail")]
    came_in.sort(key=lambda pair: text(pair[0], "created_at", "received_at"), reverse=True)
    parts: dict[str, Any] = {
        "calls": [call(d) for d in _newest(documents["call"])[:MOST_CALLS]],
        "goals": [goal(d) for d in _newest(top)[:MOST]],
        "outbox": [mail(d) for d in _newest(documents["outbox_email"])[:MOST]],
        "inbound": [incoming(d, voicemail=voicemail) for d, voicemail in came_in[:MOST]],
        "actions": [entry(d) for d in _newest(documents["action"])[:MOST]],
        "ledger": [charge(d) for d in _newest(documents["ledger"], "timestamp")[:MOST]],
        "credits": balance(world.get("account", "me")),
        "clock": f"{world.clock.now():%H:%M}",
    }
    totals = {
        **{part: len(documents[kind]) for part, kind in (("calls", "call"), ("actions", "action"))},
        "goals": len(top),
        "outbox": len(documents["outbox_email"]),
        "inbound": len(came_in),
    }
    parts["news"] = _news(parts["calls"], parts["outbox"])
    versions = {name: _version([part, totals.get(name)]) for name, part in parts.items()}
    versions["credits"] = _version([parts["credits"], parts["ledger"]])
    return parts | {"totals": totals, "versions": versions}


def _newest(documents: list[dict[str, Any]], field_: str = "created_at") -> list[dict[str, Any]]:
    # Stable, so that of two in the same second the one stored later comes first.
    return sorted(documents, key=lambda document: text(document, field_), reverse=True)


def _news(calls: Iterable[Call], mails: Iterable[Mail]) -> str:
    latest = [*((c.at.iso if c.at else "", f"{c.title}: {c.state.text}") for c in calls)][:1]
    latest += [*((m.at.iso if m.at else "", f"Mail to {m.to}: {m.state.text}") for m in mails)][:1]
    return max(latest)[1] if latest else ""


def _version(shown: Any) -> str:
    return hashlib.sha256(json.dumps(shown, default=asdict, sort_keys=True).encode()).hexdigest()[:12]
