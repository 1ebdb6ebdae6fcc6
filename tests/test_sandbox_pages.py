"""The sandbox's pages for people: what they show, whom they turn away, and whether everybody can use them."""

from __future__ import annotations

import io
import re
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from page_rules import Page, problems_of
from sandbox_browser import ORIGIN, hidden_fields, open_client, still_world

from kallyai_mcp.looks import sheet
from kallyai_mcp.sandbox import pages, signin
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.pages import overview, reading

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    import httpx2

    from kallyai_mcp.sandbox.world import World

pytestmark = pytest.mark.anyio

SCREEN = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
TALK = [
    {"speaker": "AI", "content": "Do you have a table?", "timestamp": "00:00:02"},
    {"speaker": "HUMAN", "content": "Yes, at eight.", "timestamp": "00:00:06"},
]


@pytest.fixture
def world() -> Generator[World]:
    with still_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncGenerator[httpx2.AsyncClient]:
    async with open_client(world) as client:
        yield client


def begin(world: World, client_id: str = "kallyai-mcp") -> str:
    return signin.begin(world, client_id, "calls:read calls:write")[1]["user_code"]


def fill(world: World) -> None:
    """Put one of everything into a world."""
    world.add("account", {"credits_allocated": 200, "credits_used": 79.4, "plan_type": "starter"}, id="me")
    call = {"call_id": "sbx_call_1", "status": "success", "to": "+12025550100", "business_name": "Luca"}
    call |= {"highlights": "Table at eight.", "duration_seconds": 74.5, "credits_used": 1.2, "transcript": TALK}
    world.add("call", call | {"created_at": "2026-03-02T09:00:00Z"}, id="sbx_call_1")
    steps = [{"step": 1, "description": "Phone them", "status": "completed"}]
    world.add("goal", {"title": "Reserve at Luca", "status": "active", "steps": steps})
    mail = {"to": "desk@hotel.example", "subject": "Late arrival", "status": "pending_approval", "body": "At eleven."}
    world.add("outbox_email", mail)
    world.add("ledger", {"type": "call", "description": "Call to Luca", "credits": 1.2})
    world.add("inbound_call", {"caller_number": "+12025550177", "caller_name": "Garage", "status": "completed"})
    world.add("voicemail", {"caller_number": "+12025550178", "transcription": "Call me back."})
    world.act("ride", "Ride to the station", undoable=True)


async def every_page(client: httpx2.AsyncClient, world: World) -> dict[str, httpx2.Response]:
    code, sign_in = begin(world), "/v1/auth/cli?redirect_uri=http://127.0.0.1:8740"
    paths = {
        "watch": "/",
        "call": "/calls/sbx_call_1",
        "no call": "/calls/none",
        "enter": "/activate",
        "wrong": "/activate?user_code=wrong",
        "confirm": f"/activate?user_code={code}",
        "sign in": sign_in,
        "bad sign in": "/v1/auth/cli?redirect_uri=https://example.com",
    }
    answers = {name: await client.get(path) for name, path in paths.items()}
    form = hidden_fields(answers["confirm"].text) | {"decision": "approve"}
    return answers | {"approved": await client.post("/activate", data=form)}


# Rules that hold for every page


@pytest.mark.parametrize("filled", [False, True])
async def test_every_page_can_be_used_by_everybody(client: httpx2.AsyncClient, world: World, filled: bool) -> None:
    if filled:
        fill(world)
    wrong = {name: problems_of(answer.text) for name, answer in (await every_page(client, world)).items()}

    assert {name: found for name, found in wrong.items() if found} == {}


async def test_every_page_is_closed_to_other_sites(client: httpx2.AsyncClient, world: World) -> None:
    fill(world)
    for name, answer in (await every_page(client, world)).items():
        rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
        allowed = {"style-src": "'self'", "img-src": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'"}
        if name == "watch":
            allowed |= {"script-src": "'self'", "connect-src": "'self'"}
        if name == "call":
            allowed |= {"media-src": "'self'"}
        target = "'self' http://127.0.0.1:8740" if name == "sign in" else "'self'"
        assert rules == {"default-src": "'none'", "form-action": target} | allowed, name
        wanted = {
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
            "x-kallyai-sandbox": "true",
        }
        assert {header: answer.headers.get(header) for header in wanted} == wanted, name


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8765"}, 200),
        ({"Host": "[::1]:8765"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1:80.evil.example"}, 421),
        ({"Host": "localhost.evil.example:8765"}, 421),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"} | SCREEN, 200),
        ({"Sec-Fetch-Site": "cross-site"} | SCREEN | {"Sec-Fetch-Dest": "iframe"}, 403),
    ],
)
async def test_pages_are_read_from_this_machine_only(
    client: httpx2.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await client.get("/activate", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": ORIGIN}, 200),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:8765"}, 403),
        ({"Origin": f"{ORIGIN}.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"} | SCREEN, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": ORIGIN}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
    ],
)
async def test_answers_are_taken_from_our_own_form_only(
    client: httpx2.AsyncClient, world: World, headers: dict[str, str], status: int
) -> None:
    form = hidden_fields((await client.get(f"/activate?user_code={begin(world)}")).text) | {"decision": "approve"}
    answer = await client.post("/activate", data=form, headers=headers)

    assert answer.status_code == status
    assert world.all("device_grant")[0]["status"] == ("approved" if status == 200 else "pending")


@pytest.mark.parametrize("token", [None, "", "forged", "0" * 64])
async def test_answer_without_the_forms_token_changes_nothing(
    client: httpx2.AsyncClient, world: World, token: str | None
) -> None:
    form = hidden_fields((await client.get(f"/activate?user_code={begin(world)}")).text) | {"decision": "approve"}
    form = {name: value for name, value in form.items() if name != "csrf"} | ({} if token is None else {"csrf": token})

    assert (await client.post("/activate", data=form)).status_code == 403
    assert world.all("device_grant")[0]["status"] == "pending"


# Watching


async def test_watch_page_shows_everything_there_is(client: httpx2.AsyncClient, world: World) -> None:
    fill(world)
    page = Page((await client.get("/")).text)

    headings = ["Calls", "Outbox", "Goals", "Credits", "Incoming calls and voicemails", "Actions"]
    assert [re.sub(r"[ 0-9]+$| Starter$", "", text) for _, text in page.all("h2")] == headings
    shown = page.texts[0]
    expected = [
        *("Call to Luca", "Table at eight.", "Yes, at eight.", "Success", "1 min 14 s", "1.2 credits"),
        *("Reserve at Luca", "Phone them", "Late arrival", "Pending approval", "At eleven.", "120.6", "left of 200"),
        *("Garage", "Call me back.", "Ride to the station", "can be undone", "No real call is made"),
    ]
    assert [text for text in expected if text not in shown] == []
    assert [attrs["href"] for attrs, _ in page.all("a")] == ["#main", "/calls/sbx_call_1"]


async def test_newest_comes_first(client: httpx2.AsyncClient, world: World) -> None:
    for name, day in (("second", 2), ("third", 3), ("first", 1)):
        world.add("call", {"business_name": name, "created_at": f"2026-03-0{day}T09:00:00Z"})
    page = Page((await client.get("/")).text)

    assert [text for _, text in page.all("h3")] == ["Call to third", "Call to second", "Call to first"]
    assert [text for attrs, text in page.all("p") if attrs.get("id") == "news"] == ["Call to third: Unknown"]


async def test_parts_of_a_goal_are_listed_only_when_they_wait_for_the_user(
    client: httpx2.AsyncClient, world: World
) -> None:
    whole = world.add("goal", {"title": "Whole", "status": "active"})
    world.add("goal", {"title": "Quiet part", "status": "active", "parent_goal_id": whole["id"]})
    world.add("goal", {"title": "Asking part", "status": "needs_input", "parent_goal_id": whole["id"]})
    page = Page((await client.get("/")).text)

    assert [text for _, text in page.all("h3")] == ["Asking part", "Whole"]


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (74.5, "1 min 14 s")])
def test_lengths_of_time_read_well(seconds: float, words: str) -> None:
    assert reading.duration(seconds) == words


async def test_watch_page_of_an_empty_world_explains_itself(client: httpx2.AsyncClient) -> None:
    page = Page((await client.get("/")).text)

    assert len([attrs for attrs, _ in page.all("p") if attrs.get("class") == "empty"]) == 6
    assert page.all("li") == []


async def test_watch_page_without_script_reloads_by_itself(client: httpx2.AsyncClient) -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in (await client.get("/")).text


async def test_only_what_changed_gets_a_new_version(client: httpx2.AsyncClient, world: World) -> None:
    fill(world)
    before = overview.watch(world)["versions"]
    world.act("food", "Pizza")
    after = overview.watch(world)["versions"]

    assert {name for name in after if after[name] != before[name]} == {"actions"}


ODD: tuple[dict[str, Any], ...] = (
    {},
    {"status": 7, "created_at": "yesterday", "duration_seconds": "long", "credits_used": None, "credits": "x"},
    {"transcript": "none", "steps": {"a": 1}, "submission": None, "metadata": None, "to": ["a", "b"]},
    {"transcript": [None, 1, {}], "steps": [None, {}], "title": "\ud83d", "subject": "\ud83d", "outcome": [1]},
)


@pytest.mark.parametrize("kind", ["call", "goal", "outbox_email", "inbound_call", "voicemail", "action", "ledger"])
@pytest.mark.parametrize("odd", ODD)
async def test_odd_documents_do_not_break_the_page(
    client: httpx2.AsyncClient, world: World, kind: str, odd: dict[str, Any]
) -> None:
    document = world.add(kind, odd)
    answer = await client.get("/")
    assert answer.status_code == 200
    assert problems_of(answer.text) == []
    if kind == "call":
        assert (await client.get(f"/calls/{document['id']}")).status_code == 200


async def test_words_of_strangers_stay_words(client: httpx2.AsyncClient, world: World) -> None:
    said = "<img src=x onerror=alert(1)> \u202egnp.exe\u202c \u200bhidden\U000e0041"
    world.add("call", {"status": "success", "transcript": [{"speaker": "HUMAN", "content": said}]}, id="sbx_call_1")
    for path in ("/", "/calls/sbx_call_1"):
        page = (await client.get(path)).text
        assert "&lt;img src=x onerror=alert(1)&gt; gnp.exe hidden<" in page


async def test_call_page_shows_the_talk_and_plays_the_recording(client: httpx2.AsyncClient, world: World) -> None:
    fill(world)
    page = Page((await client.get("/calls/sbx_call_1")).text)

    assert [text for _, text in page.all("h1")] == ["Call to Luca"]
    talk = [text for _, text in page.all("li")]
    assert talk == ["Assistant 00:00:02 Do you have a table?", "Other side 00:00:06 Yes, at eight."]
    facts = dict(zip([t for _, t in page.all("dt")], [t for _, t in page.all("dd")], strict=True))
    assert facts == {
        "Number": "+12025550100",
        "Found out": "Table at eight.",
        "Talk": "1 min 14 s",
        "Cost": "1.2 credits",
        "Ordered": "Mon 2 Mar, 09:00 UTC",
    }
    (audio,) = page.all("audio")
    sound = await client.get(audio[0]["src"])
    assert sound.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(sound.content)) as read:
        assert read.getnframes() > 0


async def test_there_is_no_page_and_no_sound_for_an_unknown_call(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/calls/sbx_call_9")).status_code == 404
    assert (await client.get("/recordings/sbx_call_9.wav")).status_code == 404


async def test_stream_tells_of_a_change(world: World) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8765")],
    }
    gone = anyio.Event()
    sender, receiver = anyio.create_memory_object_stream[bytes](10)

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            await sender.send(message["body"])

    async with sender, receiver:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(create_app(world), scope, receive, send)
                assert await receiver.receive() == b"retry: 1000\ndata: hello\n\n"
                await anyio.wait_all_tasks_blocked()
                world.act("food", "Pizza")
                assert await receiver.receive() == b"data: changed\n\n"
                gone.set()


# Looks


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(scheme: int) -> None:
    css = sheet(Path(pages.__file__).parent / "static" / "style.css").decode()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    words = ("ink", "soft", "accent", "good", "warm", "bad")
    pairs = [(word, ground, 4.5) for word in words for ground in ("paper", "sheet")]
    pairs += [("on-accent", "accent", 4.5), ("on-alarm", "alarm", 4.5), ("ink", "said", 4.5), ("soft", "said", 4.5)]
    pairs += [("edge", "paper", 3), ("edge", "sheet", 3)]

    assert [pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < pair[2]] == []


def test_focus_is_visible_and_motion_is_optional() -> None:
    css = sheet(Path(pages.__file__).parent / "static" / "style.css").decode()

    assert ":focus-visible { outline: 3px solid" in css
    assert "outline: none" not in css
    assert css.index("prefers-reduced-motion: no-preference") < css.index("animation:")
    assert "url(" not in css
    assert "@import" not in css
