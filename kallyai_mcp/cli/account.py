"""Signing in and out, and seeing whether one is, for a person at a terminal or a script."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kallyai_mcp.catalog import find
from kallyai_mcp.cli.output import DONE, SIGNED_OUT, print_json, print_laid_out, say
from kallyai_mcp.cli.running import spinner, within
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.errors import SignInRequired

if TYPE_CHECKING:
    from rich.status import Status

    from kallyai_mcp.cli.program import App, Program, Waiting
    from kallyai_mcp.settings import Settings

_ALREADY = "Already signed in."
_CHANGE = f"To change the account, sign out first: {PROGRAM} logout"


def login(settings: Settings, program: Program, *, as_json: bool) -> int:
    """Sign in: show where to agree, wait until that is done, and say so."""
    with spinner() as status:

        async def work(app: App) -> bool:
            if await _is_signed_in(app):
                return False
            sign_in = await app.sign_in()
            _show(await sign_in.begin(), as_json=as_json)
            if status is not None:
                status.update("Waiting until you have agreed. Ctrl-C calls the sign-in off.")
                status.start()
            await sign_in.finish()
            return True

        signed_in_now = within(program, settings, work)
    facts = {"status": "authenticated", "message": "Signed in." if signed_in_now else f"{_ALREADY} {_CHANGE}"}
    if as_json:
        print_json(facts, indent=None)
    else:
        say(facts["message"], sys.stdout)
    return DONE


def logout(settings: Settings, program: Program, *, as_json: bool) -> int:
    """Forget the tokens on this machine."""
    answer = within(program, settings, lambda app: _run(app, "kallyai_logout"))
    if as_json:
        print_json(answer)
    else:
        say(str(answer["message"]), sys.stdout)
    return DONE


def status(settings: Settings, program: Program, *, check: bool, as_json: bool) -> int:
    """Show whether somebody is signed in, and with `check` whether the service agrees."""
    with spinner() as waiting:
        facts = within(program, settings, lambda app: _facts(app, settings, waiting, check=check))
    signed_in: bool = facts["authenticated"]
    if as_json:
        print_json(facts)
    else:
        shown = {"signed_in" if key == "authenticated" else key: value for key, value in facts.items()}
        if isinstance(expiry := shown.get("expires_at"), int | float):
            shown["expires_at"] = f"{_local(expiry)} (renewed by itself before)"
        print_laid_out(shown)
        if not signed_in:
            say(f"Sign in: {PROGRAM} login")
    return DONE if signed_in else SIGNED_OUT


async def _facts(app: App, settings: Settings, waiting: Status | None, *, check: bool) -> dict[str, Any]:
    facts = await _run(app, "kallyai_auth_status")
    facts["service"] = "sandbox in this process" if settings.sandbox else settings.api_url
    if check and facts["authenticated"]:
        if waiting is not None:
            waiting.update("Asking the service.")
            waiting.start()
        balance = await _run(app, "kallyai_credits_balance")
        facts["works"] = True
        facts |= {key: balance[key] for key in ("credits_remaining", "plan_type") if key in balance}
    return facts


async def _is_signed_in(app: App) -> bool:
    try:
        return bool((await _run(app, "kallyai_auth_status"))["authenticated"])
    except SignInRequired:
        return False  # there are tokens, and they are of no use any more


async def _run(app: App, tool: str) -> dict[str, Any]:
    engine = await app.engine()
    return dict((await engine.run(find(tool), {})).structured)


def _show(state: Waiting, *, as_json: bool) -> None:
    if not as_json:
        lines = [
            f"Open this address in a browser:\n\n    {state.verification_uri_complete or state.verification_uri}\n"
        ]
        if state.user_code:
            lines.append(f"It must show this code; otherwise enter it:\n\n    {state.user_code}\n")
        lines.append(
            f"{PROGRAM} on this machine then acts for that account: it can phone people, send mail and spend credits. "
            f"Agree only if you started this yourself. There are {max(1, round(state.expires_in / 60))} min for it.\n"
        )
        say("\n".join(lines), sys.stdout)
        sys.stdout.flush()
        return
    facts = {
        "status": "pending",
        "verification_uri": state.verification_uri,
        "verification_uri_complete": state.verification_uri_complete,
        "user_code": state.user_code,
        "expires_in": state.expires_in,
        "message": state.message,
    }
    print_json({key: value for key, value in facts.items() if value is not None}, indent=None)


def _local(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M %Z")
