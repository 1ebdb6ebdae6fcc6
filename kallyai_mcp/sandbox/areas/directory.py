"""What the receptionist goes by: the rules that route calls, and the contacts by which it knows callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area, Reply
from kallyai_mcp.sandbox.areas.callers import IMPORTS
from kallyai_mcp.sandbox.areas.phone import need_number
from kallyai_mcp.sandbox.areas.receptionist import TRANSFER, target_of
from kallyai_mcp.sandbox.numbers import outcome_of
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.inbound import (
        AddInboundContact,
        AddRoutingRule,
        DeleteInboundContact,
        DeleteRoutingRule,
        ImportInboundContacts,
        ListInboundContacts,
        ListRoutingRules,
        UpdateInboundContact,
        UpdateRoutingRule,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()
IMPORT_SECONDS = 20.0


@area.answers("inbound rules")
def rules(world: World, args: ListRoutingRules) -> dict[str, Any]:
    found = sorted(world.all("rule"), key=lambda rule: rule["priority"])
    return {"rules": found, "total": len(found)}


@area.answers("inbound add-rule")
def add_rule(world: World, args: AddRoutingRule) -> Reply:
    need_number(world)
    rule: dict[str, Any] = {
        "name": args.name,
        "action": args.action,
        "priority": args.priority,
        "conditions": args.conditions or {},
        "is_active": args.is_active,
        "action_config": args.action_config or {},
        "created_at": world.now(),
    }
    _check_target(rule)
    rule = world.add("rule", rule)
    _note(world, "rule", rule["id"], f"Added the rule {args.name}", None)
    return Reply(rule, status=201)


@area.answers("inbound update-rule")
def update_rule(world: World, args: UpdateRoutingRule) -> dict[str, Any]:
    """Change what is given and keep the rest."""
    before = world.need("rule", args.rule_id)
    after = before | _given(args, "name", "action", "priority", "conditions", "is_active", "action_config")
    if not after["name"] or not after["action"]:
        raise Refusal(status=422, message="A rule needs a name and an action.")
    _check_target(after)
    return _replace(world, "rule", before, after, f"Changed the rule {after['name']}")


@area.answers("inbound delete-rule")
def delete_rule(world: World, args: DeleteRoutingRule) -> dict[str, Any]:
    return _remove(world, "rule", args.rule_id, "Deleted the rule")


@area.answers("inbound contacts")
def contacts(world: World, args: ListInboundContacts) -> dict[str, Any]:
    found = sorted(world.all("contact"), key=lambda contact: str(contact["name"]).casefold())
    return {"contacts": found, "total": len(found)}


@area.answers("inbound add-contact")
def add_contact(world: World, args: AddInboundContact) -> Reply:
    _check_free(world, args.phone, None)
    contact = new_contact(world, args.name, args.phone, vip=bool(args.vip), notes=args.notes or "", source="manual")
    _note(world, "contact", contact["id"], f"Added the contact {args.name}", None)
    return Reply(contact, status=201)


@area.answers("inbound update-contact")
def update_contact(world: World, args: UpdateInboundContact) -> dict[str, Any]:
    before = world.need("contact", args.contact_id)
    after = before | _given(args, "name", "notes", phone="phone_number", vip="is_vip")
    if not after["name"]:
        raise Refusal(status=422, message="A contact needs a name.")
    _check_free(world, after["phone_number"], before["id"])
    return _replace(world, "contact", before, after, f"Changed the contact {after['name']}")


@area.answers("inbound delete-contact")
def delete_contact(world: World, args: DeleteInboundContact) -> dict[str, Any]:
    return _remove(world, "contact", args.contact_id, "Deleted the contact")


@area.answers("inbound import-contacts")
async def import_contacts(world: World, args: ImportInboundContacts) -> dict[str, Any]:
    """Take over the contacts of a source; who is there already stays as it is."""
    source = args.source.lower()
    if source not in IMPORTS:
        raise Refusal(status=422, message=f"The source must be one of {', '.join(IMPORTS)}.")
    await world.until(IMPORT_SECONDS)
    with world.transaction():
        fresh = [entry for entry in IMPORTS[source] if not world.all("contact", phone_number=entry[1])]
        added = [new_contact(world, name, number, source=source) for name, number in fresh]
        world.act("contacts_import", f"Imported contacts from {source}")
    return {
        "source": source,
        "imported": len(added),
        "skipped": len(IMPORTS[source]) - len(added),
        "contacts": added,
    }


@area.event("directory_undo")
def undo(world: World, data: dict[str, Any]) -> None:
    """Put a rule or a contact back to what it was before an action."""
    if data["before"] is None:
        world.delete(data["kind"], data["id"])
    else:
        world.save(data["kind"], data["before"])


def new_contact(
    world: World, name: str, number: str, *, vip: bool = False, notes: str = "", source: str = "manual"
) -> dict[str, Any]:
    """Store a contact."""
    return world.add(
        "contact",
        {
            "name": name,
            "phone_number": number,
            "is_vip": vip,
            "notes": notes,
            "source": source,
            "created_at": world.now(),
        },
    )


def _given(args: Any, *names: str, **renamed: str) -> dict[str, Any]:
    stored = {name: name for name in names} | renamed
    return {field: getattr(args, name) for name, field in stored.items() if getattr(args, name) is not None}


def _check_free(world: World, number: str, own_id: str | None) -> None:
    if any(contact["id"] != own_id for contact in world.all("contact", phone_number=number)):
        raise Refusal(status=409, message="Another contact has this number already.")


def _check_target(rule: dict[str, Any]) -> None:
    target = target_of(rule) if str(rule["action"]).lower() in TRANSFER else None
    if target is not None and (code := outcome_of(target).bar):
        raise Refusal(code)


def _replace(world: World, kind: str, before: dict[str, Any], after: dict[str, Any], said: str) -> dict[str, Any]:
    after |= {"updated_at": world.now()}
    world.save(kind, after)
    _note(world, kind, after["id"], said, before)
    return after


def _remove(world: World, kind: str, id: str, said: str) -> dict[str, Any]:  # noqa: A002 - the field's name
    before = world.need(kind, id)
    world.delete(kind, id)
    _note(world, kind, id, f"{said} {before['name']}", before)
    return {"id": id, "deleted": True}


def _note(world: World, kind: str, id: str, said: str, before: dict[str, Any] | None) -> None:  # noqa: A002 - the field's name
    undo_by = {"event": "directory_undo", "kind": kind, "id": id, "before": before}
    world.act(f"{kind}_change", said, undoable=True, undo=undo_by)
