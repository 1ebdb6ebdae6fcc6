"""Phone numbers that the user holds at KallyAI."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Subject, Undo, arg, each, optional
from kallyai_mcp.model.types import Country, PhoneNumber, Segment, Text

phone = Domain("phone", "Hold phone numbers: find, verify, forward and release them.")

PhoneNumberId = Annotated[Segment, Field(description="Number id from kallyai_phone_list.")]
CountryCode = Annotated[
    Country, Field(description="Country, two capital letters, such as US; see kallyai_phone_countries.")
]


_BY_ID = {"phone_number_id": "phone_number_id"}
_OF_NUMBER = {"phone_number_id": "args.phone_number_id"}
_DETAILS = Look(command="phone info", given=_BY_ID)
_HELD = Look(command="phone list", entries=("phone_numbers",), match={"id": "phone_number_id"})
_NUMBER_MEANT = Subject(look=_DETAILS, shows=("phone_number", "forwarding_number", "caller_id_name"))
_RENTED = Look(
    command="phone list",
    entries=("phone_numbers",),
    match={"iso_country": "country"},
    since="provisioned_at|created_at",
)


@phone.command(
    "list",
    "GET /v1/phone-numbers",
    Effect.READ,
    idempotent=True,
    answer={
        "phone_numbers": each(
            "The numbers held.",
            {
                "id": "Identifier, for the other phone tools.",
                "phone_number": "The number in E.164 form.",
                "iso_country": "Country it belongs to, two letters.",
            },
        )
    },
)
class ListPhoneNumbers(Args):
    """List the phone numbers the user holds at KallyAI, with their ids."""


@phone.command("info", "GET /v1/phone-numbers/{phone_number_id}/details", Effect.READ, idempotent=True)
class ShowPhoneNumber(Args):
    """Show what one number can do and how it is set up, forwarding and caller name included."""

    phone_number_id: PhoneNumberId


@phone.command("countries", "GET /v1/phone-numbers/supported-countries", Effect.READ, idempotent=True)
class ListSupportedCountries(Args):
    """List the countries in which numbers and calls are offered."""


@phone.command("available", "GET /v1/phone-numbers/available", Effect.READ, idempotent=True)
class FindAvailableNumbers(Args):
    """Look for numbers that can be had in a country. Then kallyai_phone_provision."""

    country: CountryCode
    area_code: str = optional("Only numbers of this area code, such as 212.")


@phone.command(
    "provision",
    "POST /v1/phone-numbers/provision",
    Effect.WRITE,
    costs_money=True,
    trace=_RENTED,
    undo=Undo(
        command="phone release",
        arguments={"phone_number_id": "answer.id|entry.id"},
        until="at any time; what was paid stays paid",
        restores=False,
        look=_RENTED,
    ),
)
class ProvisionPhoneNumber(Args):
    """Take a new phone number into use. It may cost money and no price is documented: ask the user first."""

    country: CountryCode
    area_code: str = optional("Area code wanted, such as 212.")


@phone.command(
    "forwarding",
    "PUT /v1/phone-numbers/{phone_number_id}/forwarding",
    Effect.WRITE,
    diverts=True,
    idempotent=True,
    subject=_NUMBER_MEANT,
    trace=replace(_DETAILS, match={"forwarding_number": "target"}),
    undo=Undo(
        command="phone forwarding",
        arguments=_OF_NUMBER | {"target": "before.forwarding_number"},
        until="until it is changed again",
        otherwise=Undo(
            command="phone remove-forwarding", arguments=_OF_NUMBER, until="until it is changed again", restores=False
        ),
    ),
)
class ForwardCalls(Args):
    """Forward all calls to a number elsewhere, until kallyai_phone_remove_forwarding. Diverts the user's calls."""

    phone_number_id: PhoneNumberId
    target: PhoneNumber = arg("Number to receive them, E.164.", wire="forwarding_number", reaches="contact")


@phone.command(
    "remove-forwarding",
    "DELETE /v1/phone-numbers/{phone_number_id}/forwarding",
    Effect.DESTROY,
    diverts=True,
    idempotent=True,
    subject=_NUMBER_MEANT,
    trace=replace(_DETAILS, states={"forwarding_number": ("null",)}),
    undo=Undo(
        command="phone forwarding",
        arguments=_OF_NUMBER | {"target": "before.forwarding_number"},
        until="until it is changed again",
    ),
)
class StopForwarding(Args):
    """Stop forwarding a number's calls. Changes who gets the user's calls."""

    phone_number_id: PhoneNumberId


@phone.command("verify-start", "POST /v1/phone-numbers/verify/start", Effect.WRITE, contacts_people=True)
class SendVerificationCode(Args):
    """Have a code sent to a phone number, to prove that it is the user's. Then kallyai_phone_verify_check."""

    number: PhoneNumber = arg("Number to verify, E.164.", wire="phone_number", cli=Cli.POSITIONAL, reaches="contact")


@phone.command("verify-check", "POST /v1/phone-numbers/verify/check", Effect.WRITE)
class CheckVerificationCode(Args):
    """Verify a number with the code that kallyai_phone_verify_start sent to it; the user reads it out."""

    number: PhoneNumber = arg("Number being verified, E.164.", wire="phone_number", cli=Cli.POSITIONAL)
    code: Text = arg("The code the user received.", sensitive=True)


@phone.command(
    "caller-id",
    "PUT /v1/phone-numbers/{phone_number_id}/caller-id",
    Effect.WRITE,
    diverts=True,
    idempotent=True,
    subject=_NUMBER_MEANT,
    trace=replace(_DETAILS, match={"caller_id_name": "name"}),
    undo=Undo(
        command="phone caller-id",
        arguments=_OF_NUMBER | {"name": "before.caller_id_name"},
        until="until it is changed again",
    ),
)
class SetCallerName(Args):
    """Set the name that people see when they are called from a number."""

    phone_number_id: PhoneNumberId
    name: Text = arg("Name to show to people called.", wire="caller_id_name")


@phone.command(
    "release",
    "DELETE /v1/phone-numbers/{phone_number_id}",
    Effect.DESTROY,
    idempotent=True,
    subject=Subject(look=_HELD, shows=("phone_number", "iso_country")),
    trace=replace(_HELD, is_gone=True),
)
class ReleasePhoneNumber(Args):
    """Give a number up for good. It cannot be had back, and calls to it no longer reach the user."""

    phone_number_id: PhoneNumberId
