"""Rented and verified numbers in the sandbox."""

from __future__ import annotations

import pytest

from kallyai_mcp.sandbox.areas.phone import ATTEMPTS, CODE_SECONDS
from kallyai_mcp.sandbox.countries import COUNTRIES
from kallyai_mcp.sandbox.numbers import VERIFICATION_CODE, Outcome, outcome_of
from tests.sandbox_telephone import Telephone

pytestmark = pytest.mark.anyio

MINE = "+12025550170"


async def only_number(phone: Telephone) -> str:
    return (await phone.got("phone list"))["phone_numbers"][0]["id"]


async def test_a_number_is_found_rented_listed_and_released() -> None:
    phone = Telephone(speed=0)
    free = (await phone.got("phone available", country="US", area_code="415"))["numbers"]
    credits_before = await phone.got("credits balance")
    rented = await phone.got("phone provision", country="US", area_code="415")
    assert rented["phone_number"] == free[0]["phone_number"]
    assert rented["id"].startswith("sbx_")
    assert await phone.got("credits balance") == credits_before
    assert "US dollars" in phone.world.all("action")[-1]["description"]
    assert await phone.got("phone info", phone_number_id=rented["id"]) == rented
    assert rented["id"] in [number["id"] for number in (await phone.got("phone list"))["phone_numbers"]]
    left = (await phone.got("phone available", country="US", area_code="415"))["numbers"]
    assert rented["phone_number"] not in [number["phone_number"] for number in left]
    await phone.got("phone release", phone_number_id=rented["id"])
    assert await phone.refused("phone info", phone_number_id=rented["id"]) == (404, None)


@pytest.mark.parametrize("country", [c.code for c in COUNTRIES if c.number_format])
async def test_every_number_on_offer_can_be_rented_and_called(country: str) -> None:
    phone = Telephone(speed=0)
    rented = await phone.got("phone provision", country=country)
    assert outcome_of(rented["phone_number"]) is Outcome.SUCCESS


async def test_where_no_number_is_offered_none_is_found_or_rented() -> None:
    phone = Telephone(speed=0)
    assert (await phone.got("phone available", country="JP"))["numbers"] == []
    assert await phone.refused("phone provision", country="JP") == (409, None)
    assert await phone.refused("phone provision", country="US", area_code="999") == (409, None)
    assert await phone.refused("phone available", country="KP") == (403, "unsupported_country")
    assert await phone.refused("phone available", country="AE") == (403, "country_restriction")


async def test_countries_are_listed() -> None:
    listed = (await Telephone(speed=0).got("phone countries"))["countries"]
    assert {"US", "GB", "ES"} <= {country["iso_country"] for country in listed if country["numbers_offered"]}


async def test_forwarding_is_set_undone_and_removed() -> None:
    phone = Telephone(speed=0)
    number_id = await only_number(phone)
    assert (await phone.got("phone forwarding", phone_number_id=number_id, target=MINE))["forwarding_number"] == MINE
    await phone.got("actions undo", action_id=phone.world.all("action")[-1]["id"])
    assert (await phone.got("phone info", phone_number_id=number_id))["forwarding_number"] is None
    await phone.got("phone forwarding", phone_number_id=number_id, target=MINE)
    removed = await phone.got("phone remove-forwarding", phone_number_id=number_id)
    assert (removed["forwarding_number"], removed["forwarding_active"]) == (None, False)


async def test_calls_are_not_forwarded_to_where_no_call_may_go() -> None:
    phone = Telephone(speed=0)
    number_id = await only_number(phone)
    own = (await phone.got("phone info", phone_number_id=number_id))["phone_number"]
    for target, refused in (("+112", (422, "emergency_number")), (own, (422, None))):
        assert await phone.refused("phone forwarding", phone_number_id=number_id, target=target) == refused


async def test_the_caller_name_is_set_within_its_limits() -> None:
    phone = Telephone(speed=0)
    number_id = await only_number(phone)
    named = await phone.got("phone caller-id", phone_number_id=number_id, name="Ana Ruiz")
    assert named["caller_id_name"] == "Ana Ruiz"
    long = "A name that is far too long"
    assert await phone.refused("phone caller-id", phone_number_id=number_id, name=long) == (422, None)


async def test_without_a_number_the_account_is_told_so() -> None:
    phone = Telephone(speed=0)
    number_id = await only_number(phone)
    await phone.got("phone release", phone_number_id=number_id)
    assert (await phone.got("phone list"))["phone_numbers"] == []
    for words in ("info", "remove-forwarding", "release"):
        refused = await phone.refused(f"phone {words}", phone_number_id=number_id)
        assert refused == (400, "phone_not_provisioned")


async def test_a_number_is_verified_by_the_one_code() -> None:
    phone = Telephone(speed=0)
    assert await phone.refused("phone verify-check", number=MINE, code=VERIFICATION_CODE) == (404, None)
    started = await phone.got("phone verify-start", number=MINE)
    assert (started["status"], started["attempts_left"]) == ("pending", ATTEMPTS)
    assert await phone.refused("phone verify-check", number=MINE, code="123456") == (422, None)
    assert (await phone.got("phone verify-check", number=MINE, code=VERIFICATION_CODE))["verified"] is True


async def test_a_code_is_used_up_by_wrong_attempts_and_by_time() -> None:
    phone = Telephone(speed=0)
    await phone.got("phone verify-start", number=MINE)
    for _ in range(ATTEMPTS):
        assert await phone.refused("phone verify-check", number=MINE, code="1") == (422, None)
    assert await phone.refused("phone verify-check", number=MINE, code=VERIFICATION_CODE) == (422, None)
    await phone.got("phone verify-start", number=MINE)
    phone.world.clock.advance(CODE_SECONDS + 1)
    assert await phone.refused("phone verify-check", number=MINE, code=VERIFICATION_CODE) == (422, None)


async def test_a_number_that_cannot_be_called_is_not_verified() -> None:
    assert await Telephone(speed=0).refused("phone verify-start", number="+1911") == (422, "emergency_number")
