"""The numbers the account has rented, and numbers of the user's own that were verified."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area, Reply
from kallyai_mcp.sandbox.countries import COUNTRIES, Country, find_country, invent_numbers
from kallyai_mcp.sandbox.numbers import VERIFICATION_CODE, outcome_of
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.phone import (
        CheckVerificationCode,
        FindAvailableNumbers,
        ForwardCalls,
        ListPhoneNumbers,
        ListSupportedCountries,
        ProvisionPhoneNumber,
        ReleasePhoneNumber,
        SendVerificationCode,
        SetCallerName,
        ShowPhoneNumber,
        StopForwarding,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()

ATTEMPTS = 5
CODE_SECONDS = 3600.0
"""How often and how long (in sandbox seconds) a verification code can be tried."""

_CALLER_NAME = re.compile(r"[A-Za-z0-9 .,&'-]{1,15}")
"""CNAM, the caller name service of North America, carries 15 characters."""


def need_number(world: World) -> None:
    """Make sure that the account has a number.

    Raises:
        Refusal: `phone_not_provisioned`.
    """
    if not world.all("phone_number"):
        raise Refusal("phone_not_provisioned")


@area.answers("phone list")
def list_numbers(world: World, args: ListPhoneNumbers) -> dict[str, Any]:
    numbers = [_brief(number) for number in world.all("phone_number")]
    return {"phone_numbers": numbers, "total": len(numbers)}


@area.answers("phone info")
def info(world: World, args: ShowPhoneNumber) -> dict[str, Any]:
    return _number(world, args.phone_number_id)


@area.answers("phone countries")
def countries(world: World, args: ListSupportedCountries) -> dict[str, Any]:
    return {
        "countries": [
            {
                "iso_country": country.code,
                "name": country.name,
                "calling_code": f"+{country.calling_code}",
                "can_be_called": country.callable,
                "numbers_offered": bool(country.number_format),
                "area_codes": [code for code in country.areas if code],
            }
            for country in COUNTRIES
        ]
    }


@area.answers("phone available")
def available(world: World, args: FindAvailableNumbers) -> dict[str, Any]:
    country = _offering(args.country)
    return {
        "iso_country": country.code,
        "numbers": [
            {
                "phone_number": number,
                "iso_country": country.code,
                "area_code": args.area_code or country.areas[0],
                "monthly_price_usd": country.monthly_price,
            }
            for number in _free(world, country, args.area_code)
        ],
    }


@area.answers("phone provision")
def provision(world: World, args: ProvisionPhoneNumber) -> Reply:
    """Rent the first number that is free; its price is money, not credits."""
    country = _offering(args.country)
    free = _free(world, country, args.area_code)
    if not free:
        raise Refusal(status=409, message="No number is free there; see phone available.")
    number = rent(world, country, free[0], args.area_code)
    world.act("phone_provision", f"Rented {free[0]} for {country.monthly_price:.2f} US dollars a month")
    return Reply(number, status=201)


@area.answers("phone forwarding")
def forward(world: World, args: ForwardCalls) -> dict[str, Any]:
    number = _number(world, args.phone_number_id)
    if args.target == number["phone_number"]:
        raise Refusal(status=422, message="A number cannot forward to itself.")
    if code := outcome_of(args.target).bar:
        raise Refusal(code)
    return _change(world, number, "Forwarded", forwarding_number=args.target, forwarding_active=True)


@area.answers("phone remove-forwarding")
def stop_forwarding(world: World, args: StopForwarding) -> dict[str, Any]:
    number = _number(world, args.phone_number_id)
    return _change(world, number, "Stopped forwarding", forwarding_number=None, forwarding_active=False)


@area.answers("phone verify-start")
def verify_start(world: World, args: SendVerificationCode) -> dict[str, Any]:
    """Send the one code there is; a new start makes earlier failures good."""
    if code := outcome_of(args.number).bar:
        raise Refusal(code)
    verification = {"id": args.number, "phone_number": args.number, "status": "pending", "attempts_left": ATTEMPTS}
    verification |= {"started": world.clock.now().timestamp()}
    world.save("verification", verification)
    return {
        "phone_number": args.number,
        "status": "pending",
        "attempts_left": ATTEMPTS,
        "expires_in": int(CODE_SECONDS),
        "message": f"The sandbox sends nothing; the code is {VERIFICATION_CODE}.",
    }


@area.answers("phone verify-check")
async def verify_check(world: World, args: CheckVerificationCode) -> dict[str, Any]:
    """Compare the code. Asynchronous, so that a wrong attempt stays counted although it is refused."""
    verification = world.get("verification", args.number)
    if verification is None or verification["status"] != "pending":
        raise Refusal(status=404, message="No verification is under way for this number; begin with verify-start.")
    age = world.clock.now().timestamp() - verification["started"]
    if age > CODE_SECONDS or not verification["attempts_left"]:
        raise Refusal(status=422, message="The code can no longer be used; begin again with verify-start.")
    if args.code != VERIFICATION_CODE:
        left = verification["attempts_left"] - 1
        world.save("verification", verification | {"attempts_left": left})
        raise Refusal(status=422, message="The code is wrong.", details={"attempts_left": left})
    world.save("verification", verification | {"status": "verified", "verified_at": world.now()})
    world.act("phone_verify", f"Verified {args.number}")
    return {"phone_number": args.number, "status": "verified", "verified": True}


@area.answers("phone caller-id")
def caller_id(world: World, args: SetCallerName) -> dict[str, Any]:
    number = _number(world, args.phone_number_id)
    if not _CALLER_NAME.fullmatch(args.name):
        raise Refusal(status=422, message="A caller name has 1 to 15 letters, digits, blanks or . , & ' -")
    return _change(world, number, "Named", caller_id_name=args.name)


@area.answers("phone release")
def release(world: World, args: ReleasePhoneNumber) -> dict[str, Any]:
    number = _number(world, args.phone_number_id)
    world.delete("phone_number", number["id"])
    world.act("phone_release", f"Gave up {number['phone_number']}")
    return {"id": number["id"], "phone_number": number["phone_number"], "status": "released"}


def rent(world: World, country: Country, number: str, area_code: str | None = None) -> dict[str, Any]:
    """Store a rented number."""
    return world.add(
        "phone_number",
        {
            "phone_number": number,
            "iso_country": country.code,
            "area_code": area_code or country.areas[0],
            "status": "active",
            "capabilities": ["voice"],
            "caller_id_name": None,
            "forwarding_number": None,
            "forwarding_active": False,
            "monthly_price_usd": country.monthly_price,
            "provisioned_at": world.now(),
        },
    )


@area.seeds
def seed(world: World) -> None:
    country = COUNTRIES[0]
    number = rent(world, country, _free(world, country, None)[0])
    world.save("phone_number", number | {"caller_id_name": "Sam Rivera"})


def _number(world: World, number_id: str) -> dict[str, Any]:
    need_number(world)
    return world.need("phone_number", number_id)


def _brief(number: dict[str, Any]) -> dict[str, Any]:
    shown = ("id", "phone_number", "iso_country", "status", "forwarding_number", "caller_id_name", "provisioned_at")
    return {name: number[name] for name in shown}


def _offering(code: str) -> Country:
    country = find_country(code)
    if country is None:
        raise Refusal("unsupported_country")
    if not country.callable:
        raise Refusal("country_restriction")
    return country


def _free(world: World, country: Country, area_code: str | None) -> list[str]:
    return invent_numbers(country, area_code, {number["phone_number"] for number in world.all("phone_number")})


def _change(world: World, number: dict[str, Any], done: str, **fields: Any) -> dict[str, Any]:
    changed = number | fields | {"updated_at": world.now()}
    world.save("phone_number", changed)
    undo = {"event": "phone_number_undone", "before": number}
    world.act("phone_change", f"{done} {number['phone_number']}", undoable=True, undo=undo)
    return changed


@area.event("phone_number_undone")
def undone(world: World, data: dict[str, Any]) -> None:
    """Put a number's settings back to what they were, unless it was given up."""
    if world.get("phone_number", data["before"]["id"]) is not None:
        world.save("phone_number", data["before"])
