"""Signing in and out, and seeing whether one is, for a person at a terminal or a script."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.catalog import find
from kallyai_mcp.cli.output import DONE, SIGNED_OUT, UsageError, print_json, print_laid_out, report, say, status_of
from kallyai_mcp.cli.running import spinner, within
from kallyai_mcp.cli.standing import shown_standing, standing
from kallyai_mcp.cli.text import PROGRAM, visible
from kallyai_mcp.engine.account import all_accounts, check, waiting_facts
from kallyai_mcp.errors import KallyError, SignInRequired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.status import Status

    from kallyai_mcp.cli.program import App, Program, Waiting
    from kallyai_mcp.settings import Settings

_ALREADY = "Already signed in."
_CHANGE = f"To change the account, sign out first: {PROGRAM} logout"


def login(settings: Settings, program: Program, *, paste: bool = False, as_json: bool) -> int:
    """Sign in: show where to agree, wait until that is done, and say so."""
    with spinner() as waiting:

        async def work(app: App) -> bool:
            if await _is_signed_in(app):
                return False
            sign_in = await app.sign_in()
            _show(await sign_in.begin(paste=paste, lasting=True), as_json=as_json, paste=paste)
            if paste:
                from kallyai_mcp.cli.paste import take_pasted

                await take_pasted(sign_in)
            elif waiting is not None:
                waiting.update("Waiting until you have agreed. Ctrl-C calls the sign-in off.")
                waiting.start()
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
        facts, problem = within(program, settings, lambda app: _facts(app, settings, waiting, with_check=check))
    if as_json:
        print_json(facts)
    else:
        _print_facts({key: value for key, value in facts.items() if key != "problem"})
        if problem is not None:
            report(problem, as_json=False)
        elif not facts["authenticated"]:
            say(f"Sign in: {PROGRAM} login")
    if problem is not None:
        return status_of(problem)
    return DONE if facts["authenticated"] else SIGNED_OUT


def status_of_all(settings: Settings, *, check: bool, as_json: bool) -> int:
    """List the profiles with tokens on this machine, whether or not these still serve."""
    if check:
        raise UsageError(
            "--all asks no service, and --check does.", next_step=f"Check one profile: {PROGRAM} status --check"
        )
    accounts = all_accounts(settings)
    facts = {"profiles": accounts, "access_token_in_environment": settings.access_token is not None}
    if as_json:
        print_json(facts)
        return DONE
    for number, account in enumerate(accounts):
        if number:
            sys.stdout.write("\n")
        _print_facts({"profile": account["profile"], **account})
    if settings.access_token is not None:
        say("KALLYAI_ACCESS_TOKEN is set and is used whatever the profile.")
    return DONE


def _print_facts(facts: dict[str, Any]) -> None:
    acts = cast("dict[str, Any] | None", facts.get("acts"))
    shown = {"signed_in" if key == "authenticated" else key: value for key, value in facts.items() if key != "acts"}
    if account := cast("dict[str, Any]", shown.get("account")):
        shown["account"] = f"{account.get('email') or account.get('sub')} (as the token says; not verified)"
    if isinstance(scopes := shown.get("scopes"), list):
        shown["scopes"] = " ".join(cast("list[str]", scopes))
    if isinstance(expiry := shown.get("expires_at"), int | float):
        shown["expires_at"] = f"{_local(expiry)} (renewed by itself before)"
    print_laid_out(shown)
    if acts is not None:
        sys.stdout.write("\n")
        print_laid_out(shown_standing(acts))


async def _facts(
    app: App, settings: Settings, waiting: Status | None, *, with_check: bool
) -> tuple[dict[str, Any], KallyError | None]:
    facts = await _run(app, "kallyai_auth_status")
    facts.setdefault("service", "sandbox in this process" if settings.sandbox else settings.api_url)
    facts["acts"] = await standing(app, settings)
    if not with_check:
        return facts, None
    if waiting is not None and facts["authenticated"]:
        waiting.update("Asking the service.")
        waiting.start()

    async def balance() -> Mapping[str, Any]:
        return await _run(app, "kallyai_credits_balance")

    return facts, await check(facts, balance)


async def _is_signed_in(app: App) -> bool:
    try:
        return bool((await _run(app, "kallyai_auth_status"))["authenticated"])
    except SignInRequired:
        return False  # there are tokens, and they are of no use any more
    except KallyError as error:
        if error.error_code != "token_file_unusable":
            raise
        return False  # a damaged file is replaced; whether it can be is looked at before anybody is asked


async def _run(app: App, tool: str) -> dict[str, Any]:
    engine = await app.engine()
    return dict((await engine.run(find(tool), {})).structured)


def _show(state: Waiting, *, as_json: bool, paste: bool) -> None:
    if as_json:
        print_json(waiting_facts(state), indent=None)
        return
    where = "in a browser, on whatever machine" if paste else "in a browser"
    say(f"Open this address {where}:\n", sys.stdout)
    # Not wrapped: a long address must stay in one piece to be copied.
    sys.stdout.write(f"    {visible(state.verification_uri_complete or state.verification_uri)}\n\n")
    lines: list[str] = []
    if state.user_code:
        lines.append(f"It must show this code; otherwise enter it:\n\n    {state.user_code}\n")
    lines.append(
        f"{PROGRAM} on this machine then acts for that account: it can phone people, send mail and spend credits. "
        f"Agree only if you started this yourself. There are {max(1, round(state.expires_in / 60))} min for it.\n"
    )
    say("\n".join(lines), sys.stdout)
    sys.stdout.flush()


def _local(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M %Z")
