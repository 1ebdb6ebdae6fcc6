"""The codes with which the API refuses, and what each means to the reader. The one place where they are declared.

Source: the facts of the API ("errors" and "http_fallbacks"). `retryable` means that a repeat of a harmless request may
succeed; whether the request at hand is harmless is decided where the answer is read.
"""

from __future__ import annotations

from dataclasses import dataclass

UPGRADE_PAGE = "https://kallyai.com/app?upgrade=true"
"""Where a person buys credits or a bigger plan."""


@dataclass(frozen=True, slots=True)
class Code:
    """One way in which the API says no.

    Attributes:
        code: The API's own string, or `http_<status>` where it gives none.
        http_status: Status it comes with.
        meaning: What is the matter, one sentence.
        next_step: What the reader should do about it; tools are named by their tool names.
        retryable: Whether the same request may succeed later.
    """

    code: str
    http_status: int
    meaning: str
    next_step: str
    retryable: bool = False


_ALL = (
    Code(
        "quota_exceeded",
        402,
        "The credits of the user's plan are used up.",
        f"Tell the user; more credits or a bigger plan are bought by a person at {UPGRADE_PAGE}. "
        "kallyai_credits_balance shows what is left.",
    ),
    Code(
        "budget_exceeded",
        402,
        "The goal would cost more credits than its budget allows.",
        "Show the user kallyai_budget_breakdown; then approve a budget with kallyai_budget_approve, or end the goal "
        "with kallyai_coord_cancel_goal.",
    ),
    Code(
        "budget_approval_required",
        402,
        "The goal does not go on before its cost is approved.",
        "Show the user the estimate (kallyai_coord_budget), and approve it with kallyai_budget_approve if they agree.",
    ),
    Code(
        "soft_cap_reached",
        402,
        "The goal has reached its soft limit of credits and has stopped there.",
        "Ask the user; kallyai_budget_ack_cap lets it go on, kallyai_coord_cancel_goal ends it.",
    ),
    Code(
        "missing_phone_number",
        422,
        "There is no number to dial.",
        "Give the number in international form, with + and the country code.",
    ),
    Code(
        "emergency_number",
        422,
        "The number belongs to an emergency service, and KallyAI never dials those.",
        "Tell the user to dial it themselves, at once if anyone is in danger. Do not try again.",
    ),
    Code(
        "toll_number",
        422,
        "The number is charged at a premium rate.",
        "Find an ordinary number of the same business, for instance with kallyai_search_quick, and use that.",
    ),
    Code(
        "blocked_number",
        403,
        "The number is marked as fraudulent.",
        "Compare the number with its source; if it is right, tell the user and do not call it.",
    ),
    Code(
        "suppression_violation",
        403,
        "The number is on a do-not-call list.",
        "Do not call it again; ask the user for another way to reach the person.",
    ),
    Code(
        "safety_violation",
        422,
        "The task breaks the content rules of the service.",
        "Tell the user; word the task differently only if what they want is harmless.",
    ),
    Code(
        "scheduling_violation",
        422,
        "The date or time is not possible.",
        "Choose a valid moment in the future, in the right time zone.",
    ),
    Code(
        "consent_denied",
        422,
        "A consent that the service needs was not given.",
        "Ask the user whether they consent; without it, leave the matter.",
    ),
    Code(
        "country_restriction",
        403,
        "Numbers in this country cannot be called from the user's region.",
        "Use a number in a country listed by kallyai_phone_countries, or tell the user.",
    ),
    Code(
        "unsupported_country",
        403,
        "The service does not work in this country.",
        "Use a number in a country listed by kallyai_phone_countries, or tell the user.",
    ),
    Code(
        "unsupported_language",
        422,
        "The language is not offered.",
        "Use en or es.",
    ),
    Code(
        "email_not_connected",
        400,
        "No mail account is attached.",
        "Run kallyai_email_connect and give the user the address that it returns.",
    ),
    Code(
        "phone_not_provisioned",
        400,
        "The user has no phone number at KallyAI yet.",
        "Choose one with kallyai_phone_available and, if the user agrees, get it with kallyai_phone_provision.",
    ),
    Code(
        "email_send_failed",
        500,
        "The mail could not be delivered.",
        "Look at kallyai_actions_email_outbox first: it may have gone out. Check the recipient's address before "
        "sending it again.",
    ),
    Code(
        "calendar_sync_failed",
        500,
        "The calendar could not be brought up to date.",
        "Run kallyai_actions_calendar_sync again later; if it keeps failing, ask the user to reconnect the calendar.",
        retryable=True,
    ),
    Code(
        "search_failed",
        500,
        "A source of the search failed.",
        "Another search may be charged again: ask the user, or use kallyai_search_quick.",
    ),
    Code("goal_not_found", 404, "There is no goal with this id.", "Take the id from kallyai_coord_goals."),
    Code(
        "goal_already_completed",
        409,
        "The goal is reached already.",
        "Nothing is left to do; kallyai_coord_archive puts it away.",
    ),
    Code("goal_already_cancelled", 409, "The goal was cancelled before.", "Nothing is left to do."),
    Code(
        "action_not_undoable",
        409,
        "This action cannot be taken back.",
        "Put it right by another action; kallyai_actions_log tells which ones can be undone.",
    ),
    Code(
        "missing_token",
        401,
        "The request came without an access token.",
        "Sign in with kallyai_login, or with `kallyai-mcp login` in a terminal.",
    ),
    Code(
        "token_expired",
        401,
        "The access token has run out.",
        "Sign in again with kallyai_login, or with `kallyai-mcp login` in a terminal.",
    ),
    Code(
        "forbidden",
        403,
        "The account, or the rights of this sign-in, do not allow it.",
        "Tell the user; a new sign-in with kallyai_login may bring the rights that are missing.",
    ),
    Code(
        "call_not_found",
        404,
        "There is no call with this id.",
        "Take the id from kallyai_calls_history, for incoming calls from kallyai_inbound_calls.",
    ),
    Code(
        "transcript_not_found",
        404,
        "There is no transcript of this call, or not yet.",
        "Wait until the call has ended (kallyai_calls_info), then ask again.",
    ),
    Code(
        "recording_not_found",
        404,
        "There is no recording of this call.",
        "Read what was said with kallyai_calls_transcript or kallyai_inbound_transcript.",
    ),
    Code(
        "rate_limited",
        429,
        "Too many requests came in a short time; this one was not carried out.",
        "Wait a minute, or as long as retry_after_seconds says, then run it again. Plans can be changed three times an "
        "hour.",
        retryable=True,
    ),
    Code(
        "trial_requires_checkout",
        400,
        "A trial account cannot change its plan this way.",
        f"Give the user {UPGRADE_PAGE}, where they choose and pay the plan.",
    ),
    Code(
        "pending_change_exists",
        400,
        "A change of plan is scheduled already.",
        "Look at kallyai_subscription_status; drop that change with kallyai_subscription_cancel_change first.",
    ),
    Code(
        "no_active_subscription",
        400,
        "The account has no subscription to change.",
        f"Give the user {UPGRADE_PAGE}, where they subscribe.",
    ),
)

CODES: dict[str, Code] = {code.code: code for code in _ALL}
"""Every documented code."""

EMAIL_ALREADY_ADDED = Code(
    "http_409",
    409,
    "This address is registered already.",
    "Find it with kallyai_channels_email_list; kallyai_channels_email_update changes it.",
)
"""What 409 means to `channels email-add`, for which the API documents no code."""

STATUS_FALLBACKS: dict[int, Code] = {
    fallback.http_status: fallback
    for fallback in (
        Code(
            "http_400",
            400,
            "The service could not make sense of the request.",
            "Check the arguments against the tool's description.",
        ),
        Code(
            "http_401",
            401,
            "The service does not accept the sign-in.",
            "Sign in with kallyai_login, or with `kallyai-mcp login` in a terminal.",
        ),
        Code(
            "http_402",
            402,
            "There are not enough credits.",
            "Look at kallyai_credits_balance and tell the user.",
        ),
        Code(
            "http_403",
            403,
            "The service does not allow it.",
            "Tell the user; the account or the rights of this sign-in may not cover it.",
        ),
        Code(
            "http_404",
            404,
            "There is nothing under this id.",
            "Take the id from the tool that lists such things.",
        ),
        Code(
            "http_409",
            409,
            "It clashes with the present state.",
            "Read the present state first, then decide anew.",
        ),
        Code(
            "http_422",
            422,
            "The service refused a value.",
            "Correct the value that the message names.",
        ),
        Code(
            "http_429",
            429,
            "Too many requests came in a short time; this one was not carried out.",
            "Wait a minute, or as long as retry_after_seconds says, then run it again.",
            retryable=True,
        ),
        Code(
            "http_500",
            500,
            "The service failed.",
            "Try again later.",
            retryable=True,
        ),
        Code(
            "http_503",
            503,
            "The service is not available for now.",
            "Try again later.",
            retryable=True,
        ),
    )
}
"""What a status means where the answer gives no documented code."""


def fallback(status: int) -> Code:
    """Return what a status of 400 or more means by itself; its code is `http_<status>`."""
    if known := STATUS_FALLBACKS.get(status):
        return known
    nearest = STATUS_FALLBACKS[500 if status >= 500 else 400]  # RFC 9110, 15: treat as the x00 of its class
    return Code(f"http_{status}", status, nearest.meaning, nearest.next_step, nearest.retryable)
