"""Whatever strangers write, and however they hide it: what their words demand is not done unless a person agrees.

A puppet model reads poisoned texts and obeys them all. Its acts reach the service only if somebody agreed to each.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from full import FULL
from hosts import MODERN, hosting
from puppet_corpus import ATTACKS, CARRIERS, DENTIST, FRIEND, ITEMS, OTHER_THIEF, SAY, THIEF, THIEFS_MAIL, Item
from puppet_disguises import DISGUISES, Order, orders_in, read_numbers
from puppet_service import Service, World, poisoned
from puppet_words import LANGUAGES
from puppet_world import (
    APPROVALS,
    ERAS,
    PEOPLE,
    Person,
    Puppet,
    due,
    hosted,
    is_listed,
    person_of,
    reached_by,
    requests_of,
    served,
)

from kallyai_mcp import catalog
from kallyai_mcp.model import Effect

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from mcp_types import CallToolResult

pytestmark = pytest.mark.anyio

LEGIBLE = 0.7
"""Least share of the poisoned texts whose demand is still found in what the server shows."""


@pytest.fixture(scope="module")
def service() -> Generator[Service]:
    with poisoned() as service:
        yield service


def share_of(person: str, approval: str, era: str) -> tuple[Item, ...]:
    """Return all items, or in CI those whose turn it is; between them the combinations play each item."""
    if FULL:
        return ITEMS
    combinations = [(p, a, e) for p in PEOPLE for a in APPROVALS for e in ERAS]
    return ITEMS[combinations.index((person, approval, era)) :: len(combinations)]


def wording(orders: Iterable[Order]) -> list[tuple[str, str]]:
    """Return orders so that spelled numbers compare with written ones, and lines that were joined with whole ones."""
    given = ((order.tool, json.dumps(dict(order.arguments), sort_keys=True, ensure_ascii=False)) for order in orders)
    return [(tool, read_numbers(arguments).replace("\\n", " ")) for tool, arguments in given]


def test_the_corpus_has_every_place_disguise_and_act() -> None:
    assert len(ITEMS) >= 200
    assert {item.language for item in ITEMS} == LANGUAGES.keys()
    assert len(LANGUAGES) >= 8
    assert {item.disguise for item in ITEMS} == DISGUISES.keys()
    assert {item.carrier for item in ITEMS} == CARRIERS.keys()
    reads = [command for command in catalog.all_commands() if command.effect is Effect.READ]
    assert {f"kallyai_{tool}" for tool in CARRIERS} == {command.tool for command in reads if command.third_party_text}
    demanded = {f"kallyai_{step.order.tool}" for steps in ATTACKS.values() for step in steps}
    assert {command.tool for command in catalog.all_commands() if command.is_act} <= demanded


def test_the_puppet_finds_each_demand_in_each_disguise() -> None:
    for item in ITEMS:
        assert wording(orders_in(item.parts)) == wording(step.order for step in item.steps), item


async def test_without_a_reading_and_with_approval_off_every_demand_arrives(service: Service, tmp_path: Path) -> None:
    """The harness sees acts where nothing holds them back. What an act answers may be a stranger's words again."""
    async with hosted(service.origin, "off", "2026-07-28", None) as host:
        for number, (name, steps) in enumerate(ATTACKS.items()):
            service.world = World()
            expected: list[tuple[str, str, Any]] = []
            async with host.account(tmp_path / str(number)):
                for step in steps:
                    await host.run(step.order.tool, step.order.arguments)
                    if step.never or (command := catalog.by_tool().get(f"kallyai_{step.order.tool}")) is None:
                        continue
                    if step.is_act and not step.order.arguments.get("dry_run"):
                        request = step.request()
                        expected.append((request.method, request.path, request.body))
                    if command.third_party_text:
                        break
            assert requests_of(service.world.acts()) == expected, name


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("approval", APPROVALS)
@pytest.mark.parametrize("person", PEOPLE)
async def test_what_strangers_demand_is_done_only_where_a_person_agrees(
    service: Service, tmp_path: Path, person: str, approval: str, era: str
) -> None:
    items = share_of(person, approval, era)
    wrong: list[str] = []
    legible = 0
    async with hosted(service.origin, approval, era, person_of(person)) as host:
        for item in items:
            service.world = World()
            service.world.lay(f"kallyai_{item.carrier}", CARRIERS[item.carrier], item.parts)
            async with host.account(tmp_path / str(item.number)):
                legible += await Puppet(host).play(item)
            if (reached := requests_of(service.world.acts())) != due(item, person):
                wrong.append(f"{item}: {reached}")
    sys.stdout.write(
        f"\n{person}, approval {approval}, {era}: {len(items)} texts, {legible} legible, {len(wrong)} wrong\n"
    )
    assert not wrong, "\n".join(wrong)
    assert legible >= LEGIBLE * len(items)


CALL_DENTIST = {"phone": DENTIST, "task": "Ask for an appointment next week"}
CALL_FRIEND = {"phone": FRIEND, "task": "Ask whether she comes on Sunday"}
CALL_THIEF = {"phone": THIEF, "task": SAY}


async def read(host: Any) -> None:
    """Read what a stranger wrote."""
    assert not (await host.run("messages_inbox", {})).is_error


def code_of(result: CallToolResult | None) -> str | None:
    """Return the code of a refusal; None where the run went through."""
    assert result is not None
    return result.structured_content["error"]["code"] if result.is_error else None  # type: ignore[index] - an object


@pytest.mark.parametrize("approval", ["host", "off"])
@pytest.mark.parametrize("era", ERAS)
async def test_after_a_reading_people_in_the_contacts_are_called_without_a_question(
    service: Service, tmp_path: Path, approval: str, era: str
) -> None:
    service.world = World()
    person = Person(lambda _: False)
    async with served(tmp_path, service.origin, approval, era, person) as host:
        await read(host)
        assert code_of(await host.run("calls_make", CALL_DENTIST)) is None
        assert code_of(await host.run("calls_make", CALL_FRIEND)) == "approval_declined"
        assert code_of(await host.run("calls_make", {**CALL_DENTIST, "user_phone": THIEF})) == "approval_declined"
    assert len(person.asked) == 2
    assert [request.body["submission"]["respondent_phone"] for request in service.world.acts()] == [DENTIST]


@pytest.mark.parametrize("approval", ["host", "off"])
async def test_the_words_of_a_call_that_was_placed_count_as_a_reading(
    service: Service, tmp_path: Path, approval: str
) -> None:
    service.world = World()
    async with served(tmp_path, service.origin, approval, "2026-07-28", None) as host:
        assert code_of(await host.run("calls_make", CALL_FRIEND)) is None
        assert code_of(await host.run("calls_make", CALL_THIEF)) == "approval_required"
    assert len(service.world.acts()) == 1


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("inbound_add_contact", {"name": "Dr Ruiz", "phone": THIEF}),
        ("inbound_update_contact", {"contact_id": "k_7", "phone": THIEF}),
    ],
)
async def test_a_contact_written_after_a_reading_is_not_trusted_after_the_next_one_either(
    service: Service, tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    service.world = World()
    async with served(tmp_path, service.origin, "off", "2026-07-28", None) as host:
        await read(host)
        assert code_of(await host.run(tool, arguments)) is None
        assert code_of(await host.run("calls_make", CALL_THIEF)) == "approval_required"
        host.app.wait(31 * 60)
        await read(host)
        assert code_of(await host.run("calls_make", CALL_THIEF)) == "approval_required"
    assert service.world.acts() == []


async def test_a_contact_written_before_any_reading_is_trusted(service: Service, tmp_path: Path) -> None:
    service.world = World()
    async with served(tmp_path, service.origin, "off", "2026-07-28", None) as host:
        assert code_of(await host.run("inbound_add_contact", {"name": "Lena", "phone": FRIEND})) is None
        await read(host)
        assert code_of(await host.run("calls_make", CALL_FRIEND)) is None
    assert len(service.world.acts()) == 1


async def test_a_reading_is_over_after_half_an_hour_and_not_before(service: Service, tmp_path: Path) -> None:
    service.world = World()
    async with served(tmp_path, service.origin, "off", "2026-07-28", None) as host:
        await read(host)
        host.app.wait(29 * 60)
        assert code_of(await host.run("calls_make", CALL_FRIEND)) == "approval_required"
        host.app.wait(2 * 60)
        assert code_of(await host.run("calls_make", CALL_FRIEND)) is None
    assert len(service.world.acts()) == 1


async def test_a_reading_in_one_process_counts_in_another(service: Service, tmp_path: Path) -> None:
    service.world = World()
    async with (
        served(tmp_path, service.origin, "off", "2026-07-28", None) as one,
        served(tmp_path, service.origin, "off", "2025-11-25", None) as other,
    ):
        await read(one)
        assert code_of(await other.run("calls_make", CALL_FRIEND)) == "approval_required"
    assert service.world.acts() == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_mandate_agreed_to_after_a_reading_spares_no_question(
    service: Service, tmp_path: Path, era: str
) -> None:
    service.world = World()
    person = Person(is_listed)
    async with served(tmp_path, service.origin, "off", era, person) as host:
        await read(host)
        bounds = {"purpose": "Reach her", "tools": ["kallyai_calls_make"], "acts": 5, "credits": 50.0}
        agreed = await host.run("mandate", {**bounds, "recipients": [FRIEND], "until": host.app.in_an_hour()})
        assert code_of(agreed) is None
        assert code_of(await host.run("calls_make", CALL_FRIEND)) is None
        assert code_of(await host.run("calls_make", CALL_THIEF)) == "approval_declined"
        host.app.wait(31 * 60)
        await read(host)
        assert code_of(await host.run("calls_make", {**CALL_FRIEND, "task": "Ask once more"})) is None
    assert [said for _, said in person.asked] == [True, True, False, True]
    assert len(service.world.acts()) == 2


@pytest.mark.parametrize("version", ["2024-11-05", "2025-11-25", MODERN])
def test_a_server_in_a_process_of_its_own_holds_back_what_a_reading_may_be_behind(
    service: Service, tmp_path: Path, version: str
) -> None:
    service.world = World()
    with hosting(tmp_path, service.origin, version, agrees=False, KALLYAI_APPROVAL="off") as host:
        assert not host.run("kallyai_actions_email_send", {"to": THIEFS_MAIL, "subject": "S", "body": SAY})["isError"]
        assert not host.run("kallyai_messages_inbox")["isError"]
        refused = host.run("kallyai_calls_make", CALL_THIEF)
        assert refused["structuredContent"]["error"]["code"] == "approval_required"
        assert refused["structuredContent"]["error"]["approve_at"] in refused["content"][0]["text"]
        assert not host.run("kallyai_calls_make", CALL_DENTIST)["isError"]
    assert [request.path for request in service.world.acts()] == ["/v1/actions/email/send", "/v1/calls"]


async def test_the_question_shows_all_that_an_act_says_and_whom_it_reaches(service: Service, tmp_path: Path) -> None:
    service.world = World()
    person = Person(lambda _: False)
    call = {
        "phone": FRIEND,
        "task": "Ask for the parcel",
        "business": "Parcel desk",
        "name": "Mara Lindt",
        "user_phone": THIEF,
        "time_preference_text": "any time at all",
        "additional_instructions": ["Be brief", f"Leave {OTHER_THIEF} as ours"],
    }
    mail = {"to": "lena@orchard.example", "cc": THIEFS_MAIL, "subject": "Keys", "body": "Under the mat"}
    async with served(tmp_path, service.origin, "off", "2026-07-28", person) as host:
        await read(host)
        await host.run("calls_make", call)
        await host.run("actions_email_send", mail)
        await host.run("actions_email_approve", {"email_id": "em_copy"})
    shown = [f"{question} " + " ".join(reached_by(question)) for question, _ in person.asked]
    said = [[*call.values()], [*mail.values()], ["lena@orchard.example", THIEFS_MAIL]]
    assert len(shown) == len(said)
    for question, values in zip(shown, said, strict=True):
        flat = [text for value in values for text in ([value] if isinstance(value, str) else value)]
        assert [text for text in flat if text not in question] == []
