"""The people of a server within one process: who is kept, who makes room, what a token and a rate allow."""

from __future__ import annotations

import base64
import gc
import time
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hosts import UNATTENDED
from mcp.server.request_state import InvalidRequestState

from kallyai_mcp.auth.callers.principal import Principal
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.catalog import by_tool
from kallyai_mcp.errors import InvalidSettings, KallyError
from kallyai_mcp.household import member
from kallyai_mcp.household.guarded import Guard, granted
from kallyai_mcp.household.household import Household
from kallyai_mcp.household.member import Common
from kallyai_mcp.household.requirements import require_whole
from kallyai_mcp.household.ring import COOKIES, codec_of
from kallyai_mcp.journal.storage import StorageAway
from kallyai_mcp.server.organisation.elsewhere import NoPages
from kallyai_mcp.server.organisation.scopes import Scopes
from kallyai_mcp.settings import Settings
from kallyai_mcp.shared import KeyRing, Shared, new_key
from kallyai_mcp.shared.keys import VaultUnusable
from kallyai_mcp.shared.rates import OwnRates

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from pathlib import Path

pytestmark = pytest.mark.anyio
SCOPES = Scopes("kallyai:read", "kallyai:act")
BALANCE, ERRAND = by_tool()["kallyai_credits_balance"], by_tool()["kallyai_actions_errand"]
WHOLE = {
    "KALLYAI_ORGANISATION": "1",
    "KALLYAI_PUBLIC_URL": "https://mcp.example.com",
    "KALLYAI_ISSUER": "https://id.example.com",
    "KALLYAI_EMBEDDED_STORAGE": "1",
    "KALLYAI_VAULT_KEYS": new_key(),
}


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncGenerator[Shared]:
    async with Shared.open(None, KeyRing.read(new_key()), folder=tmp_path) as opened:
        yield opened


def household(shared: Shared, most: int = 3, start: Callable[[Any], None] = lambda _: None) -> Household:
    settings = Settings.read({**WHOLE, **UNATTENDED, "KALLYAI_MAX_PEOPLE": str(most)})
    common = Common(shared, codec_of(new_key()), SCOPES, start, NoPages(), None, "at https://mcp.example.com")
    return Household(settings, common)


async def test_whoever_was_idle_the_longest_makes_room_and_never_one_at_work(shared: Shared) -> None:
    people = household(shared)
    ann, bob, cleo, dan, eve = (
        Principal("https://id.example.com", name) for name in ("ann", "bob", "cleo", "dan", "eve")
    )
    first = await people.member(ann)
    granted.set(frozenset({"kallyai:act"}))
    async with first.guard.admitted(BALANCE):
        second = weakref.ref(await people.member(bob))
        await people.member(cleo)
        assert await people.member(ann) is first
        await people.member(bob)
        await people.member(dan)  # cleo makes room
        await people.member(eve)  # ann is at work: bob does
        assert len(people) == 3
        assert await people.member(ann) is first
        gc.collect()
        assert second() is None
    await people.aclose()


async def test_no_two_people_share_a_part(shared: Shared) -> None:
    people = household(shared)
    one, other = [await people.member(Principal("https://id.example.com", name)) for name in ("ann", "bob")]
    assert one.account != other.account
    assert one.sign_in.account == one.account
    assert one.person is not other.person
    state = await one.states.give("a-state")
    assert not await other.states.use(state)
    assert await one.states.use(state)
    assert not await one.states.use(state)
    await people.aclose()


class Rates:
    """Counts what is taken, and is away when it is told to be."""

    def __init__(self, wait: float = 0.0, *, away: bool = False) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.wait = wait
        self.away = away

    async def take(self, *given: Any) -> float:
        self.taken.append(given)
        if self.away:
            raise StorageAway("Away.", next_step="Wait.")
        return self.wait


async def test_a_token_that_only_reads_runs_nothing_that_acts_whatever_stands_in_front() -> None:
    guard = Guard("ann", SCOPES, Rates(), 120)  # pyright: ignore[reportArgumentType]  # counts as the real ones do
    for scopes, command, is_allowed in (
        ({"kallyai:read"}, BALANCE, True),
        ({"kallyai:read"}, ERRAND, False),
        ({"kallyai:act"}, ERRAND, True),
        (set[str](), BALANCE, False),
        ({"kallyai:actor"}, ERRAND, False),
    ):
        granted.set(frozenset(scopes))
        if is_allowed:
            async with guard.admitted(command):
                assert guard.running == 1
        else:
            with pytest.raises(KallyError, match="does not allow"):
                async with guard.admitted(command):
                    pass
    assert guard.running == 0


async def test_runs_are_counted_in_blocks_and_refused_beyond_the_rate() -> None:
    rates = Rates()
    now = 0.0
    guard = Guard("ann", SCOPES, rates, 120, lambda: now)  # pyright: ignore[reportArgumentType]  # counts as the real ones do
    granted.set(frozenset({"kallyai:read"}))
    for _ in range(20):
        async with guard.admitted(BALANCE):
            pass
    assert rates.taken == [("ann", "runs", 12, 60.0)] * 2
    rates.wait = 4.2
    with pytest.raises(KallyError) as refused:
        async with guard.admitted(BALANCE):
            pass
    assert (refused.value.error_code, refused.value.details["retry_after"]) == ("too_many_runs", 5)


async def test_while_the_database_is_away_each_replica_holds_the_rate_by_itself() -> None:
    rates, now = Rates(away=True), 0.0
    alone = OwnRates(lambda: now)
    granted.set(frozenset({"kallyai:read"}))

    async def runs(account: str) -> int:
        guard = Guard(account, SCOPES, rates, 120, lambda: now, alone)  # pyright: ignore[reportArgumentType]  # counts as the real ones do
        for count in range(1000):
            try:
                async with guard.admitted(BALANCE):
                    pass
            except KallyError as refused:
                return count if refused.error_code == "too_many_runs" else -1
        return -1

    assert await runs("ann") == 120
    assert await runs("ann") == 0, "whoever was dropped from memory meanwhile is not counted anew"
    assert await runs("bob") == 120
    now = 30.0
    assert await runs("ann") == 60


def test_what_one_process_counts_for_itself_does_not_grow_without_end() -> None:
    now = 0.0
    rates = OwnRates(lambda: now)
    for number in range(10_000):
        now += 1.0
        assert rates.take(str(number), "runs", 12, 60.0) == 0
    assert len(rates) <= 1001


async def test_whoever_has_what_could_not_be_written_down_is_kept_until_it_is(shared: Shared, tmp_path: Path) -> None:
    later: list[Callable[[], Coroutine[Any, Any, None]]] = []
    people = household(shared, most=2, start=later.append)
    ann, bob, cleo = (Principal("https://id.example.com", name) for name in ("ann", "bob", "cleo"))
    first, second = await people.member(ann), await people.member(bob)
    pair = TokenPair("at-new", "rt-new", time.time() + 3000)
    first._session._vault.keep_in_memory(pair, "the database was away")  # pyright: ignore[reportPrivateUsage]
    ends: list[str] = []

    async def end() -> Any:
        ends.append("written")

    second._parts.settler.owed.add("an-act", end)  # pyright: ignore[reportPrivateUsage, reportArgumentType]  # as an act's
    assert (first.is_busy, second.is_busy) == (True, True)
    await people.member(cleo)
    assert len(people) == 3
    assert (await people.member(ann), await people.member(bob)) == (first, second)
    save_soon, write_soon, *tried_once_more = later
    assert len(tried_once_more) == 2
    del save_soon, write_soon
    for work in tried_once_more:
        await work()
    assert (first.is_busy, second.is_busy, ends) == (False, False, ["written"])
    async with Shared.open(None, shared._keys, folder=tmp_path) as other:  # pyright: ignore[reportPrivateUsage]
        store = other.tokens(ann.key)
        await store.prepare()
        found = store.read()
        assert found is not None
        assert found.access_token == "at-new"
    await people.aclose()


async def test_tokens_that_could_not_be_saved_are_saved_as_soon_as_that_can_be_done(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "PAUSE", 0.01)
    monkeypatch.setattr(member, "LONGEST_PAUSE", 0.01)
    ann, tries = Principal("https://id.example.com", "ann"), 0
    store = shared.tokens(ann.key)
    write = store.write
    async with anyio.create_task_group() as group:

        def start(work: Any) -> None:
            group.start_soon(work)

        people = household(shared, start=start)
        one = await people.member(ann)

        async def away(pair: TokenPair) -> None:
            nonlocal tries
            tries += 1
            if tries < 4:
                raise VaultUnusable("Away.", next_step="Wait.")
            await write(pair)

        monkeypatch.setattr(store, "write", away)
        assert not await one._session.adopt(TokenPair("at-new", "rt-new", time.time() + 3000))  # pyright: ignore[reportPrivateUsage]
        with anyio.fail_after(60):
            while one.is_busy:  # noqa: ASYNC110 - nobody is told
                await anyio.sleep(0.01)
        await people.aclose()
    assert tries == 4
    found = store.read()
    assert found is not None
    assert found.access_token == "at-new"


async def test_whoever_made_room_and_is_still_in_use_is_found_again(shared: Shared) -> None:
    people = household(shared, most=1)
    ann, bob = (Principal("https://id.example.com", name) for name in ("ann", "bob"))
    used = (await people.member(ann)).person  # as a stream has it
    await people.member(bob)
    assert (await people.member(ann)).person is used
    assert len(people) == 1
    await people.aclose()


async def test_what_ails_the_storage_is_told_to_the_operator_and_not_to_people(
    shared: Shared, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    people = household(shared)
    one = await people.member(Principal("https://id.example.com", "ann"))
    pair = TokenPair("at-new", "rt-new", time.time() + 3000)
    one._session._vault.keep_in_memory(pair, "nowhere else")  # pyright: ignore[reportPrivateUsage]
    granted.set(frozenset({"kallyai:act"}))
    (tmp_path / "acts.db").write_bytes(b"no database" * 1000)
    (tmp_path / "acts.db").chmod(0o600)
    with pytest.raises(InvalidSettings) as caught:
        await (await one.person.engine()).run(ERRAND, {"description": "Fetch the parcel"})
    told = f"{caught.value.message} {caught.value.next_step}"
    assert caught.value.error_code == "journal_unusable"
    assert str(tmp_path) not in told
    assert "operator" in told
    assert str(tmp_path) in caplog.text
    await people.aclose()


async def test_the_end_of_the_server_writes_down_what_is_owed(shared: Shared) -> None:
    people = household(shared)
    ann = Principal("https://id.example.com", "ann")
    one = await people.member(ann)
    pair = TokenPair("at-new", "rt-new", time.time() + 3000)
    one._session._vault.keep_in_memory(pair, "the database was away")  # pyright: ignore[reportPrivateUsage]
    await people.aclose()
    store = shared.tokens(ann.key)
    await store.prepare()
    assert store.read() is not None


def test_all_that_is_missing_is_named_at_once() -> None:
    require_whole(Settings.read(WHOLE))
    with pytest.raises(InvalidSettings) as refused:
        require_whole(Settings.read({"KALLYAI_ORGANISATION": "1"}))
    for name in ("PUBLIC_URL", "ISSUER", "DATABASE_URL", "VAULT_KEYS"):
        assert f"KALLYAI_{name}" in refused.value.message
    for more, name in (
        ({"KALLYAI_ACCESS_TOKEN": "a-token-for-tests"}, "KALLYAI_ACCESS_TOKEN"),
        ({"KALLYAI_DATABASE_URL": "postgresql://a@b/c"}, "KALLYAI_EMBEDDED_STORAGE"),
        ({"KALLYAI_ACT_SCOPE": "kallyai:read"}, "KALLYAI_ACT_SCOPE"),
        ({"KALLYAI_SANDBOX": "1"}, "sandbox"),
    ):
        with pytest.raises(InvalidSettings, match=name):
            require_whole(Settings.read(WHOLE | more))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KALLYAI_PUBLIC_URL", "http://mcp.example.com"),
        ("KALLYAI_PUBLIC_URL", "https://mcp.example.com/mcp"),
        ("KALLYAI_ISSUER", "http://id.example.com"),
        ("KALLYAI_ISSUER", "https://id.example.com?x=1"),
        ("KALLYAI_READ_SCOPE", 'a"b'),
        ("KALLYAI_MAX_PEOPLE", "0"),
        ("KALLYAI_TOKEN_TYPE", "any"),
    ],
)
def test_what_cannot_be_meant_is_refused(variable: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=variable):
        Settings.read(WHOLE | {variable: value})


def test_an_organisation_is_never_served_over_pipes_nor_silently_in_another_way() -> None:
    for flags, variables in (
        ({"many_people": True, "transport": "stdio"}, {}),
        ({"transport": "stdio"}, WHOLE),
        ({}, WHOLE | {"KALLYAI_TRANSPORT": "stdio"}),
    ):
        with pytest.raises(InvalidSettings, match="over HTTP") as refused:
            Settings.read(variables, flags)
        assert "--transport" in refused.value.next_step
    assert Settings.read(WHOLE).organisation.many_people
    assert Settings.read(WHOLE | {"KALLYAI_TRANSPORT": "http,sse"}).serving.is_http
    assert not Settings.read({"KALLYAI_TRANSPORT": "stdio"}).organisation.many_people


def test_a_client_is_set_with_its_secret() -> None:
    with pytest.raises(InvalidSettings, match="KALLYAI_PAGES_CLIENT_SECRET"):
        Settings.read(WHOLE | {"KALLYAI_PAGES_CLIENT_ID": "pages"})


def test_states_are_opened_by_every_key_of_the_ring_and_cookies_are_none() -> None:
    old, new = new_key(), new_key()
    sealed = codec_of(old).seal(b"a state")
    assert codec_of(f"{new},{old}").unseal(sealed) == b"a state"
    for other in (codec_of(new), codec_of(old, COOKIES)):
        with pytest.raises(InvalidRequestState):
            other.unseal(sealed)
    assert base64.b64decode(old) not in sealed.encode()
