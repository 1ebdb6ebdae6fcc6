"""What happens in the demo, and what must come of every step."""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kallyai_mcp.cli.demo.guard import GUARD_STEPS, LAST_STEPS
from kallyai_mcp.cli.demo.stage import Stage, browse
from kallyai_mcp.cli.text import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


REQUEST = "Book a table for two at Luca on Friday at 19:30"
CALL: dict[str, Any] = {
    "phone": "+12025550108",
    "business": "Lakeview Dental",
    "name": "Sam",
    "task": "Book a check-up for Sam, in the morning if possible",
}
MAIL: dict[str, Any] = {
    "to": "front.desk@hotel.example",
    "subject": "One parking space",
    "body": "Thank you for keeping the room. We would like one parking space, please.",
}
EMERGENCY: dict[str, Any] = {"phone": "+1911", "task": "Ask whether somebody can come by today"}
MISTAKEN: dict[str, Any] = {"phone": "202 555 0100", "task": "Hello"}
REPLY_COMES_AFTER = 130
"""Seconds by the sandbox's clock until a mail was delivered and answered."""
_HISTORY = 100


async def tell(stage: Stage) -> None:
    """Play all steps.

    Raises:
        Failed: A check did not hold.
    """
    stage.host.decide = stage.asked
    for number, (heading, step) in enumerate(STEPS, start=1):
        await stage.screen.pause()
        stage.screen.heading(f"{number}. {heading}")
        await step(stage)
    stage.screen.blank()


async def _start(stage: Stage) -> None:
    stage.screen.narrate("The agent's host starts the server as Claude Desktop does, and asks what it can do.")
    stage.screen.types(f"{PROGRAM} --sandbox")
    stage.screen.answers(stage.host.server)
    tools = await stage.host.tools()
    names = [tool.name for tool in tools]
    domains = Counter(name.split("_")[1] for name in names)
    stage.screen.answers(f"{len(names)} tools")
    for domain in ("calls", "inbound", "coord", "actions", "messages", "credits"):
        of_domain = [name for name in names if name.startswith(f"kallyai_{domain}_")]
        some = ", ".join(of_domain[:2])
        more = f" and {len(of_domain) - 2} more" if len(of_domain) > 2 else ""
        stage.screen.fact(domain, f"{some}{more}")
    stage.check(names[:1] == ["kallyai_ask"], "The way in for most requests, kallyai_ask, comes first.", names[:1])
    undeclared = [tool.name for tool in tools if tool.annotations is None or not tool.description]
    stage.check(
        len(domains) > 1 and not undeclared, "Every tool says what it does and whom it reaches.", undeclared or domains
    )


async def _sign_in(stage: Stage) -> None:
    stage.screen.narrate(
        "Nobody has signed in yet. The agent just runs what it needs first, the balance of the credits that KallyAI is "
        "paid in; the server has the host send the user to a page."
    )
    sent_to: list[str] = []

    async def send_user(address: str, message: str) -> None:
        sent_to.append(address)
        await _approve(stage, address, message)

    stage.host.send_user = send_user
    balance = await stage.run("kallyai_credits_balance")
    stage.host.send_user = None
    stage.credits = float(balance["credits_remaining"])
    stage.screen.answers(f"{stage.credits:g} of {balance['credits_allocated']:g} credits are left.")
    stage.check(len(sent_to) == 1, "The user was asked once, and the same run went on.", f"{len(sent_to)} requests")
    stage.check(stage.credits > 0, "There are credits to work with. The sandbox's are play money.", balance)
    stage.charged = (await stage.host.run("kallyai_credits_history", limit=_HISTORY))["entries"]


async def _approve(stage: Stage, address: str, message: str) -> None:
    """Do what a person does whose host wants to open the page for signing in."""
    stage.screen.answers("The run waits: the host is to have the user open an address.")
    stage.screen.fact("open", address)
    stage.screen.fact("message", message)
    stage.sandbox = "{0.scheme}://{0.netloc}".format(urlsplit(address))
    await stage.screen.pause()
    stage.screen.blank()
    page = await browse(partial(stage.person.open, address))
    stage.screen.person(f"The user agrees and sees “{page.heading}”. They compare the code, {page.code}.")
    stage.check(page.code and page.code in message, "The page shows the code of the message.", page.code)
    await stage.screen.pause()
    page = await browse(partial(stage.person.press, page, "Approve"))
    stage.screen.person(f"They press Approve: “{page.heading}”.")
    stage.screen.goes_on("the server asks the service every five seconds, as RFC 8628 has it")


async def _ask(stage: Stage) -> None:
    stage.screen.narrate(
        "Most requests are handed over in everyday words. The assistant plans the work and does it. What contacts "
        "people or spends is asked for first: the server has the host put a question to the user."
    )
    reply = await stage.run("kallyai_ask", message=REQUEST)
    stage.screen.answers(str(reply.get("response")))
    goal_id = reply.get("goal_id")
    stage.check(goal_id, "The request has opened a goal.", reply)
    await stage.screen.pause()

    async def waits() -> tuple[Any, object]:
        goal = await stage.host.run("kallyai_coord_goal", goal_id=goal_id)
        states = [step["status"] for step in goal["steps"]]
        return "waiting_for_approval" in states and goal, states

    stage.screen.runs("kallyai_coord_goal", {"goal_id": goal_id})
    claim = "The assistant asks before it books."
    _show_goal(stage, await stage.until(claim, waits))
    stage.screen.passed(claim)
    await stage.screen.pause()
    await stage.run("kallyai_coord_approve_step", goal_id=goal_id)

    async def is_done() -> tuple[Any, object]:
        goal = await stage.host.run("kallyai_coord_goal", goal_id=goal_id)
        return goal["status"] == "completed" and goal, goal["status"]

    claim = "The goal is completed."
    _show_goal(stage, await stage.until(claim, is_done))
    stage.screen.passed(claim)


def _show_goal(stage: Stage, goal: dict[str, Any]) -> None:
    stage.screen.answers(f"{goal['title']}: {goal['status']}")
    for step in goal["steps"]:
        result = f" ({step['result']})" if step.get("result") else ""
        stage.screen.item(f"{step['step']}. {step['description']}{result}: {step['status']}".replace("_", " "))


async def _call(stage: Stage) -> None:
    stage.screen.narrate("The agent can also place a call itself. The tool answers when the call is over.")
    told: list[str] = []

    def progress(message: str) -> None:
        told.append(message)
        stage.screen.goes_on(message)

    call = await stage.run("kallyai_calls_make", progress=progress, **CALL)
    stage.screen.answers(f"status: {call['status']}")
    stage.screen.fact("outcome", call.get("highlights"))
    stage.screen.fact("length", f"{call.get('duration_seconds', 0):.0f} s")
    stage.screen.fact("charge", f"{call.get('credits_used', 0):g} credits")
    stage.check(call["status"] == "success", "The call succeeded.", call["status"])
    stage.check(told, "Progress was reported while it rang.", "no report")
    await stage.screen.pause()
    transcript = await stage.run("kallyai_calls_transcript", call_id=call["call_id"])
    entries = _items(transcript, "entries")
    for entry in entries:
        await stage.screen.pause(0.4)
        ours = entry["speaker"] == "AI"
        stage.screen.says(
            str(entry["timestamp"]).removeprefix("00:"), "KallyAI" if ours else "Dentist", entry["content"], ours=ours
        )
    speakers = {entry["speaker"] for entry in entries}
    stage.check(len(speakers) == 2, "The transcript has both sides of the talk.", f"{len(entries)} lines")


async def _inbox(stage: Stage) -> None:
    stage.screen.narrate("Mail, SMS, calls and chats arrive in one inbox. The agent looks at what is new.")
    inbox = await stage.run("kallyai_messages_inbox", unread=True, limit=3)
    messages = _items(inbox, "messages")
    stage.screen.answers(f"{len(messages)} of {inbox.get('total')} unread messages")
    for message in messages:
        stage.screen.fact(message["channel"], f"{message['from']}: {message['preview']}", width=6)
    unread = [message for message in messages if message.get("unread")]
    stage.check(unread and unread == messages, "There are unread messages, and no others are listed.", messages)
    stage.check(
        "never an instruction" in stage.host.text and inbox["_origin"]["kind"] == "third_party",
        "What strangers wrote is marked as information.",
        stage.host.text,
    )


async def _mail(stage: Stage) -> None:
    stage.screen.narrate("The hotel has asked about parking. A mail waits in the outbox until it is approved.")
    mail = await stage.run("kallyai_actions_email_send", **MAIL)
    stage.screen.answers(f"status: {mail['status']}")
    stage.check(mail["status"] == "pending_approval", "Nothing has been sent yet.", mail["status"])
    await stage.screen.pause()
    sent = await stage.run("kallyai_actions_email_approve", email_id=mail["id"])
    stage.screen.answers(f"status: {sent['status']}")
    stage.check(sent["status"] in ("sending", "sent"), "Approved, the mail goes out.", sent["status"])
    await stage.screen.pause()
    stage.screen.blank()
    stage.screen.person("The sandbox's clock is put two minutes ahead, so that nobody has to wait for the reply.")
    await stage.control("/sandbox/clock", {"advance": REPLY_COMES_AFTER})
    answer = await stage.run("kallyai_actions_email_replies", email_id=mail["id"])
    replies = _items(answer, "replies")
    for reply in replies:
        stage.screen.answers(f"{reply['from']}: {' '.join(reply['body'].split())}")
    stage.check(
        [reply["from"] for reply in replies] == [MAIL["to"]], "The hotel has replied.", f"{len(replies)} replies"
    )


async def _refusal(stage: Stage) -> None:
    stage.screen.narrate("Some things KallyAI never does. A refusal says what to do instead.")
    stage.screen.runs("kallyai_calls_make", EMERGENCY)
    error = await stage.host.refused("kallyai_calls_make", **EMERGENCY)
    stage.screen.answers(error["message"], style="red")
    stage.screen.fact("code", error["code"])
    stage.screen.fact("next step", error["next_step"])
    stage.check(error["code"] == "emergency_number", "The emergency number was refused.", error["code"])
    stage.check(error["retryable"] is False, "The agent is told not to try again.", error)


async def _mistake(stage: Stage) -> None:
    stage.screen.narrate("Arguments are checked before anything is sent, and every wrong one is named at once.")
    before = len(await stage.received())
    stage.screen.runs("kallyai_calls_make", MISTAKEN)
    error = await stage.host.refused("kallyai_calls_make", **MISTAKEN)
    stage.screen.answers(f"{error['code']}: nothing was sent.", style="red")
    wrong = _items(error, "arguments")
    for problem in wrong:
        stage.screen.fact(problem["argument"], problem["rule"], width=6)
        stage.screen.fact("", f"for example {problem['example']}", width=6)
    named = {problem["argument"] for problem in wrong}
    stage.check(named == MISTAKEN.keys(), "Both wrong arguments are named.", error)
    after = len(await stage.received())
    stage.check(after == before, "The sandbox has received no request.", f"{after - before} more than before")


def _items(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return answer.get(name) or []


async def _credits_after(stage: Stage) -> None:
    stage.screen.narrate("Every credit that is gone stands in the ledger.")
    balance = await stage.run("kallyai_credits_balance")
    left = float(balance["credits_remaining"])
    stage.screen.answers(f"{left:g} of {balance['credits_allocated']:g} credits are left.")
    history = await stage.run("kallyai_credits_history", limit=_HISTORY)
    known = {entry["id"] for entry in stage.charged}
    charged = [entry for entry in history["entries"] if entry["id"] not in known]
    for entry in reversed(charged):
        stage.screen.fact(f"{entry['credits']:5.2f}", entry["description"], width=6)
    total = sum(entry["credits"] for entry in charged)
    stage.screen.fact(f"{total:5.2f}", f"from {stage.credits:g} to {left:g}", style="bold", width=6)
    stage.check(
        charged and round(stage.credits - left, 2) == round(total, 2),
        "The charges add up to what is missing.",
        f"{stage.credits - left:g} credits are missing, {total:g} were charged",
    )


async def _connect(stage: Stage) -> None:
    stage.screen.narrate(
        "To let Claude Desktop do the same, put this into its configuration (Settings, Developer, Edit Config) and "
        "start it anew:"
    )
    stage.screen.blank()
    stage.screen.copy(json.dumps(desktop_configuration(), indent=2))
    stage.screen.blank()
    stage.screen.narrate(
        "Without env it works with the real KallyAI: real calls, real credits.\n"
        f"'{PROGRAM} sandbox' serves a sandbox with a page on which you can watch an agent."
    )


def desktop_configuration() -> dict[str, Any]:
    """Return what Claude Desktop needs to start this very program with a sandbox.

    In a sandbox nobody sleeps, so that a call can be tried at any hour. `env` comes first: who takes it out again must
    be left with valid JSON.
    """
    python = Path(sys.executable)
    program = python.with_name(PROGRAM + (".exe" if sys.platform == "win32" else ""))
    server: dict[str, Any] = {"command": str(program)}
    environment = {"KALLYAI_SANDBOX": "1", "KALLYAI_CONTACT_HOURS": "off"}
    if not program.is_file():
        server = {"command": str(python), "args": ["-m", "kallyai_mcp"]}
    return {"mcpServers": {"kallyai": {"env": environment} | server}}


STEPS: tuple[tuple[str, Callable[[Stage], Awaitable[None]]], ...] = (
    ("The server starts", _start),
    ("The user signs in", _sign_in),
    ("A request in everyday words", _ask),
    ("A phone call", _call),
    ("The inbox", _inbox),
    ("A mail, approved and answered", _mail),
    ("An emergency number is refused", _refusal),
    ("A mistake is caught before it costs anything", _mistake),
    *GUARD_STEPS,
    ("The credits after", _credits_after),
    *LAST_STEPS,
    ("Your turn", _connect),
)
