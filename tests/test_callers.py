"""Access tokens of a real OpenID provider, and everything that is not one."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from callers_world import RESOURCE, FakeProvider, base64_of, encoded, key_of
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from provider_world import TestProvider, new_key, provider

from kallyai_mcp.auth.callers.introspection import IntrospectedTokens
from kallyai_mcp.auth.callers.policy import LEEWAY, Policy
from kallyai_mcp.auth.callers.principal import Principal, TokenRefused
from kallyai_mcp.auth.callers.provider import Provider, addresses
from kallyai_mcp.auth.callers.signed import SignedTokens
from kallyai_mcp.auth.http import Http
from kallyai_mcp.errors import InvalidSettings, TransportError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio


def network() -> Http:
    return Http(lambda: httpx2.AsyncHTTPTransport(trust_env=False))


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestProvider]:
    with provider(tmp_path_factory.mktemp("idp")) as found:
        yield found


def signed(idp: TestProvider, **options: Any) -> SignedTokens:
    return SignedTokens(Provider(idp.issuer, network()), Policy(idp.issuer, frozenset({RESOURCE})), **options)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_token_of_the_provider_tells_whose_it_is(idp: TestProvider, algorithm: str) -> None:
    caller = await signed(idp).caller(idp.token("alice", RESOURCE, scope="kallyai:read", alg=algorithm))
    assert caller.principal == Principal(idp.issuer, "alice")
    assert caller.scopes == {"kallyai:read"}
    assert caller.client == "host"
    assert 3500 < caller.expires - time.time() < 3700


async def test_a_token_for_another_resource_is_refused(idp: TestProvider) -> None:
    with pytest.raises(TokenRefused, match="another resource"):
        await signed(idp).caller(idp.token("alice", "https://other.example.com/mcp"))


async def test_a_token_that_has_ended_is_refused(idp: TestProvider) -> None:
    late = signed(idp, clock=lambda: time.time() + 3600 + LEEWAY + 1)
    with pytest.raises(TokenRefused, match="has ended"):
        await late.caller(idp.token("alice", RESOURCE))


async def test_a_token_of_another_provider_is_refused(idp: TestProvider, tmp_path: Path) -> None:
    with provider(tmp_path) as other:
        token = other.token("alice", RESOURCE)
    with pytest.raises(TokenRefused):
        await signed(idp).caller(token)


async def test_keys_that_the_provider_changes_are_found_without_a_restart(tmp_path: Path) -> None:
    with provider(tmp_path) as idp:
        now = 0.0
        checker = SignedTokens(
            Provider(idp.issuer, network(), clock=lambda: now), Policy(idp.issuer, frozenset({RESOURCE}))
        )
        old = idp.token("alice", RESOURCE)
        await checker.caller(old)
        idp.stop()
        idp.keys = [new_key("rsa-2"), *idp.keys]
        idp.start()
        new = idp.token("alice", RESOURCE)
        with pytest.raises(TokenRefused, match="does not publish"):
            await checker.caller(new)  # asked less than a minute ago
        now += 61
        assert (await checker.caller(new)).principal.subject == "alice"
        assert (await checker.caller(old)).principal.subject == "alice"
        idp.stop()
        idp.keys = idp.keys[:1]
        idp.start()
        now += 3601
        with pytest.raises(TokenRefused, match="does not publish"):
            await checker.caller(old)


async def test_tokens_are_checked_by_asking_the_provider(tmp_path: Path) -> None:
    with provider(tmp_path, "opaque") as idp:
        secret = "resource-secret+/="
        asking = IntrospectedTokens(
            Provider(idp.issuer, network()), Policy(idp.issuer, frozenset({RESOURCE})), ("resource", secret)
        )
        good = idp.token("bob", RESOURCE, scope="kallyai:act")
        assert "." not in good
        caller = await asking.caller(good)
        assert (caller.principal.subject, caller.scopes) == ("bob", {"kallyai:act"})
        for token, why in (("x" * 43, "not good"), (idp.token("bob", "https://other.example.com"), "another resource")):
            with pytest.raises(TokenRefused, match=why):
                await asking.caller(token)
        wrong = IntrospectedTokens(
            Provider(idp.issuer, network()), Policy(idp.issuer, frozenset({RESOURCE})), ("resource", "wrong-secret")
        )
        with pytest.raises(InvalidSettings, match="does not let this server ask"):
            await wrong.caller(good)


async def test_an_answer_about_a_token_is_kept_for_half_a_minute_and_never_beyond_its_end() -> None:
    fake, now, active = FakeProvider(), time.time(), True
    fake.metadata["introspection_endpoint"] = f"{fake.issuer}/introspect"

    def answer(_: httpx2.Request) -> httpx2.Response:
        facts = {"active": active, "sub": "ann", "aud": [RESOURCE], "exp": int(now) + 3600, "scope": "kallyai:read"}
        return httpx2.Response(200, json=facts)

    fake.answers["/introspect"] = answer
    asking = IntrospectedTokens(Provider(fake.issuer, fake.http), fake.policy(), ("us", "a-secret"), lambda: now)
    for _ in range(50):
        await asking.caller("a-token")
    assert fake.asked.count("/introspect") == 1
    active, now = False, now + 29
    await asking.caller("a-token")
    now += 2
    for _ in range(50):
        with pytest.raises(TokenRefused):
            await asking.caller("a-token")
    assert fake.asked.count("/introspect") == 2
    assert b"a-token" not in repr(vars(asking)).encode()


@pytest.mark.parametrize(
    ("header", "claims", "why"),
    [
        ({}, {"iss": "https://idp.example.com/"}, "another provider"),
        ({}, {"iss": None}, "another provider"),
        ({}, {"aud": None}, "another resource"),
        ({}, {"aud": ["https://mcp.example.com/mcp/", "x"]}, "another resource"),
        ({}, {"aud": {RESOURCE: 1}}, "another resource"),
        ({}, {"exp": None}, "when it ends"),
        ({}, {"exp": "9999999999"}, "no number"),
        ({}, {"exp": True}, "no number"),
        ({}, {"exp": 1}, "has ended"),
        ({}, {"nbf": 99999999999}, "not good yet"),
        ({}, {"iat": 99999999999}, "not good yet"),
        ({}, {"sub": None}, "names nobody"),
        ({}, {"sub": ""}, "names nobody"),
        ({}, {"sub": 7}, "names nobody"),
        ({}, {"sub": "ann\nbob"}, "names nobody"),
        ({}, {"cnf": {"jkt": "x"}}, "bound to a key"),
        ({"typ": "JWT"}, {}, "access token"),
        ({"typ": None}, {}, "access token"),
        ({"typ": "logout+jwt"}, {}, "access token"),
        ({"kid": "two"}, {}, "does not publish"),
    ],
)
async def test_what_a_token_must_say(header: dict[str, Any], claims: dict[str, Any], why: str) -> None:
    fake = FakeProvider()
    with pytest.raises(TokenRefused, match=why):
        await fake.checker().caller(fake.token(header=header, **claims))


async def test_a_plain_token_is_taken_where_the_settings_say_so() -> None:
    fake = FakeProvider()
    for kind in ("JWT", "jwt", None):
        caller = await fake.checker(plain=True).caller(fake.token(header={"typ": kind}, scope=None, scp=["a", "b"]))
        assert caller.scopes == {"a", "b"}
    with pytest.raises(TokenRefused):
        await fake.checker(plain=True).caller(fake.token(header={"typ": "logout+jwt"}))


async def test_no_algorithm_but_those_of_the_list_is_taken() -> None:
    fake = FakeProvider()
    public = RSAKey.import_key(fake.keys[0])
    head, body = fake.token().split(".")[:2]
    none = encoded({"alg": "none", "typ": "at+jwt", "kid": "one"})
    confused = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'one'})}.{body}"
    by_public_key = hmac.digest(public.as_pem(private=False), confused.encode(), "sha256")
    critical = f"{encoded({'alg': 'RS256', 'typ': 'at+jwt', 'kid': 'one', 'crit': ['x'], 'x': 1})}.{body}"
    by_key = jws.JWSRegistry.algorithms["RS256"].sign(critical.encode(), RSAKey.import_key(fake.keys[0]))
    forged = [
        f"{none}.{body}.",
        f"{none}.{body}.AA",
        f"{confused}.{base64_of(by_public_key)}",
        f"{critical}.{base64_of(by_key)}",
        fake.token(header={"alg": "RS512"}, key=RSAKey.import_key(fake.keys[0])),
        fake.token(header={"alg": "ES256"}, key=ECKey.generate_key("P-256")),
        fake.token(key=RSAKey.import_key(key_of("two"))),
        fake.token(header={"jwk": RSAKey.import_key(key_of("two")).as_dict()}, key=RSAKey.import_key(key_of("two"))),
        f"{head}.{body}.{'A' * 342}",
        f"{head}.{body[:-4]}AAAA.{fake.token().split('.')[2]}",
        "", "a.b", "a.b.c", "a.b.c.d.e", "é.b.c", f"{head}.{body}.AA\n", "x" * 20_000,
    ]  # fmt: skip
    for token in forged:
        with pytest.raises(TokenRefused):
            await fake.checker().caller(token)
    await fake.checker().caller(fake.token())


async def test_an_unknown_key_costs_one_question_a_minute() -> None:
    fake, now = FakeProvider(), 0.0
    keys = Provider(fake.issuer, fake.http, clock=lambda: now)
    checker = SignedTokens(keys, fake.policy())
    await checker.caller(fake.token())
    for number in range(30):
        with pytest.raises(TokenRefused):
            await checker.caller(fake.token(header={"kid": f"unknown-{number}"}))
    assert fake.asked.count("/keys") == 1
    now += 61
    for number in range(30):
        with pytest.raises(TokenRefused):
            await checker.caller(fake.token(header={"kid": f"unknown-{number}"}))
    assert fake.asked.count("/keys") == 2


async def test_keys_stay_in_use_for_a_day_while_the_provider_is_away() -> None:
    fake, now = FakeProvider(), 0.0
    checker = SignedTokens(Provider(fake.issuer, fake.http, clock=lambda: now), fake.policy())
    await checker.caller(fake.token())
    for path in ("/keys", "/.well-known/openid-configuration"):
        fake.answers[path] = lambda _: httpx2.Response(503)
    for later in (3601, 86_000):
        now = later
        await checker.caller(fake.token())
    now = 86_401
    with pytest.raises(TransportError):
        await checker.caller(fake.token())
    fake.answers.clear()
    now += 2
    await checker.caller(fake.token())


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": "https://idp.example.com/"}, "another issuer"),
        ({"issuer": "https://evil.example.com"}, "another issuer"),
        ({}, "no metadata"),
        ({"issuer": "https://idp.example.com", "jwks_uri": "http://idp.example.com/keys"}, "must be an https"),
        ({"issuer": "https://idp.example.com", "jwks_uri": "https://127.0.0.1/keys"}, "must be an https"),
        ({"issuer": "https://idp.example.com", "jwks_uri": "file:///etc/passwd"}, "must be an https"),
        ({"issuer": "https://idp.example.com", "jwks_uri": 7}, "must be an https"),
        ({"issuer": "https://idp.example.com"}, "publishes no keys"),
    ],
)
async def test_metadata_that_must_not_be_used(metadata: dict[str, Any], why: str) -> None:
    fake = FakeProvider()
    fake.metadata = metadata
    with pytest.raises(InvalidSettings, match=why):
        await fake.checker().caller(fake.token())


async def test_metadata_is_looked_for_where_the_standards_put_it() -> None:
    assert addresses("https://idp.example.com/realms/us/") == (
        "https://idp.example.com/realms/us/.well-known/openid-configuration",
        "https://idp.example.com/.well-known/oauth-authorization-server/realms/us",
        "https://idp.example.com/.well-known/openid-configuration/realms/us",
    )
    fake = FakeProvider("https://idp.example.com/realms/us")
    fake.metadata["jwks_uri"] = "https://idp.example.com/keys"
    fake.answers["/.well-known/oauth-authorization-server/realms/us"] = lambda _: httpx2.Response(
        200, json=fake.metadata
    )
    assert (await fake.checker().caller(fake.token())).principal.issuer == fake.issuer


def test_no_two_people_have_the_same_account() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("1:a", "b"), ("", "abc"), ("abc", ""), ("a", "\nbc")]
    keys = {Principal(*pair).key for pair in pairs}
    assert len(keys) == len(pairs)
    assert all(len(key) == 32 for key in keys)
