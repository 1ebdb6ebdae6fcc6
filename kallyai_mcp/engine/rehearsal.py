"""Show what a run would send and what it would meet on its way. Nothing is sent, not even a question."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kallyai_mcp.engine import outcome
from kallyai_mcp.engine.asking import digest_of, recipients
from kallyai_mcp.engine.gate import documented_price
from kallyai_mcp.engine.naming import undo_sentence, worded
from kallyai_mcp.engine.result import Body
from kallyai_mcp.errors import ActRefused
from kallyai_mcp.model.records import Note
from kallyai_mcp.policy import Ask

if TYPE_CHECKING:
    from kallyai_mcp.auth.owner import Owner
    from kallyai_mcp.engine.gate import Gate, Order
    from kallyai_mcp.engine.result import Result
    from kallyai_mcp.journal import Journal
    from kallyai_mcp.model import ApiRequest, Command
    from kallyai_mcp.model.records import Act


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an act has to pass.

    Attributes:
        check: Which.
        passed: Whether it would.
        detail: Why not, or what was found.
    """

    check: str
    passed: bool
    detail: str


async def rehearse(
    order: Order,
    request: ApiRequest,
    gate: Gate,
    journal: Journal,
    owner: Owner,
    digest: str,
    repeated: Act | None = None,
) -> Result:
    """Return the exact request, the checks passed and failed, and the price by the documents.

    What only the service knows is not looked up: the name in the contacts, whom an identifier stands for, its estimate.
    """
    command, safety, account = order.command, gate.safety, owner.key
    checks: list[Check] = []
    stop = await journal.stopped(account)
    checks.append(
        Check(
            "not stopped",
            stop is None,
            "acts may run" if stop is None else f"stopped by {worded(stop.by, gate.allows)}",
        )
    )
    seen = None
    try:
        seen = gate.reached(order)
    except ActRefused as refusal:
        checks.append(Check("destination", passed=False, detail=f"{refusal.message} (code {refusal.error_code})"))
    else:
        shown = ", ".join(spot.shown for spot in seen.destinations) or "none of its own"
        checks.append(Check("destination", passed=True, detail=shown))
    try:
        is_harmless, repeat_of = command.idempotent or not command.is_act, None if repeated is None else repeated.id
        before = await journal.earlier(account, digest, repeat_of, harmless=is_harmless)
    except ActRefused as refusal:
        checks.append(Check("not done before", passed=False, detail=refusal.message))
    else:
        first = "no equal act before" if before is None else f"act {before.id} was the same, and is {before.state}"
        if repeated is not None and repeated.draft.digest != digest:
            checks.append(Check("repeat_of", passed=False, detail=f"act {repeated.id} was not the same"))
        elif before is None and repeated is not None:
            first = f"act {repeated.id} was the same, and another one is wanted"
        checks.append(Check("not done before", before is None, first))
    credits_ = outcome.credits_of(command, safety.max_credits_per_act)
    try:
        reached = () if seen is None else recipients(command, seen)
        await journal.would_fit(account, credits_, safety, places_call=command.places_call, recipients=reached)
    except ActRefused as refusal:
        checks.append(Check("limits", passed=False, detail=refusal.message))
    else:
        checks.append(Check("limits", passed=True, detail=f"{credits_:g} credits would be set aside"))
    if seen is not None:
        standing = await journal.standing(account, digest_of(owner), command.tool, credits_)
        verdict, _ = await gate.decision(order, seen, standing, offline=True)
        if isinstance(verdict, Ask):
            why = " ".join(verdict.reasons) or "a person would be asked"
            checks.append(Check("consent", passed=False, detail=f"A person would be asked first. {why}".strip()))
        else:
            checks.append(Check("consent", passed=True, detail=str(verdict.consent)))
    failed = [check.check for check in checks if not check.passed]
    await journal.note(
        account, Note(tool=command.tool, digest=digest, outcome="dry_run", approval_mode=safety.approval)
    )
    facts: dict[str, Any] = {
        "dry_run": True,
        "request": shown_request(command, request),
        "checks": [asdict(check) for check in checks],
        "price_estimate": documented_price(command, safety.max_credits_per_act) or "nothing",
        "undo": undo_sentence(command, gate.allows, order.given),
    }
    verdict_text = f"It would not pass: {', '.join(failed)}." if failed else "It would pass every check."
    return Body(data=facts, notes=(f"Nothing was sent. {verdict_text}",)).result()


def shown_request(command: Command, request: ApiRequest) -> dict[str, Any]:
    """Return a request as it would be sent; credentials of the environment are named, not shown."""
    body = None if request.body is None else dict(request.body)
    if command.environment is not None and body is not None:
        for fields in command.environment.fields.values():
            body |= {name: f"({variable})" for name, variable in fields.items() if name in body}
    sensitive = {command.args.model_fields[name] and name for name in command.sensitive_args}
    query = {name: "(hidden)" if name in sensitive else value for name, value in request.query}
    shown: dict[str, Any] = {"method": request.method, "path": request.path, "query": query, "body": body}
    if command.idempotency_key:
        shown["headers"] = {"Idempotency-Key": "the identifier of the act"}
    return shown
