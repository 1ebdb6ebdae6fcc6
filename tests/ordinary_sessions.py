"""Everyday sessions: what a user has an assistant do on an ordinary day, and where they would want to be asked.

Each step says whether there is a reason to ask a person, whatever the setting: somebody unknown is contacted, something
is bought, calls or mail go elsewhere, or it cannot be undone. Without one, a question is only in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DENTIST, MUM, OFFICE, GARAGE = "+14155550188", "+442079460101", "+12025550120", "+12025550121"
CONTACTS = {DENTIST: "Dr Soler, dentist", MUM: "Mum", OFFICE: "The office", GARAGE: "Garage Ferrer"}
PLUMBER, HOTEL, RESTAURANT, LOCKSMITH = "+12025550166", "+442079460200", "+34944550123", "+12025550177"
HOTEL_MAIL, BOSS = "bookings@porto-inn.example", "carla@office.example"

STRANGER = "somebody unknown is contacted"
BUYS = "something is bought"
DIVERTS = "calls or mail go elsewhere"
FINAL = "it cannot be undone"


@dataclass(frozen=True, slots=True)
class Step:
    """One run.

    Attributes:
        tool: Name without `kallyai_`.
        arguments: Of the run.
        why: Reason to ask a person; None where there is none.
        is_to_contacts: It brings words to people of the contacts and nobody else, without leaving the how to anybody.
    """

    tool: str
    arguments: dict[str, Any]
    why: str | None = None
    is_to_contacts: bool = False


def do(tool: str, /, **arguments: Any) -> Step:
    """Run a tool that gives no reason to ask."""
    return Step(tool, arguments)


def asking(why: str, tool: str, /, **arguments: Any) -> Step:
    """Run a tool that gives one."""
    return Step(tool, arguments, why)


def ring(number: str, task: str, /, **more: Any) -> Step:
    """Phone somebody."""
    known = number in CONTACTS
    return Step("calls_make", {"phone": number, "task": task} | more, None if known else STRANGER, known)


def remind(number: str, words: str, /, **more: Any) -> Step:
    """Have somebody reached on whichever channel works."""
    why = None if number in CONTACTS else STRANGER
    return Step("outreach_create", {"target": number, "description": words} | more, why)


INBOX, MAIL, WAITING, GOALS = do("messages_inbox"), do("email_list"), do("notifications_pending"), do("coord_goals")
CREDITS, PLAN, LOG, OUTBOX = (
    do("credits_balance"),
    do("subscription_status"),
    do("actions_log"),
    do("actions_email_outbox"),
)
VOICEMAILS, MISSED, RULES = do("inbound_voicemails"), do("inbound_calls", status="missed"), do("inbound_rules")
NUMBERS, PEOPLE, ADDRESSES = do("phone_list"), do("inbound_contacts"), do("channels_email_list")
HISTORY, TASKS, SLOTS = do("calls_history"), do("outreach_tasks"), do("actions_calendar_slots", date="2026-05-12")
READ_HOTEL = do("email_read", message_id="ml_hotel")
FIND_PLUMBER = do("search_run", query="plumber who comes today", location="Bilbao")
FIND_TABLE = do("actions_restaurant_search", query="Basque", party_size=4, date="2026-05-16", time="21:00")
LOOK_UP = do("search_quick", query="opening hours of the town hall")
HEAR = do("inbound_voicemail", voicemail_id="v_58")
TRANSCRIPT = do("calls_transcript", call_id="c_51")
LAST_CALL = do("inbound_call", call_id="c_712")

ANSWER_HOTEL = asking(STRANGER, "email_respond", message_id="ml_hotel", instructions="Say that we arrive at six")
ANSWER_SHORT = asking(STRANGER, "email_respond", message_id="ml_hotel")
DRAFT_HOTEL = do("actions_email_send", to=HOTEL_MAIL, subject="Arrival", body="We arrive at six.")
DRAFT_BOSS = do("actions_email_send", to=BOSS, subject="Friday", body="I am away on Friday.")
DRAFT_COPY = do("actions_email_send", to=BOSS, subject="Notes", body="As promised.", cc="team@office.example")
SEND = asking(STRANGER, "actions_email_approve", email_id="em_hotel")
DROP = do("actions_email_cancel", email_id="em_2204")
BOOK = asking(
    BUYS, "actions_booking_create", type="restaurant", restaurant_id="rest_5c20", date="2026-05-16", party_size=4
)
UNBOOK = asking(FINAL, "actions_booking_cancel", booking_id="bk_0931")
UNDO = do("actions_undo", action_id="act_6610")
RIDE = asking(BUYS, "actions_ride", pickup="Calle Somera 8", destination="The airport", time="2026-05-12T07:30")
FOOD = asking(BUYS, "actions_food", description="Two soups from Etxe Zaharra", address="Calle Somera 8")
ERRAND = asking(BUYS, "actions_errand", description="Bring the coat to the cleaner's by noon")
EVENT = do("actions_calendar_create", title="Dentist", start="2026-05-12T09:00")
UNEVENT = do("actions_calendar_delete", event_id="ev_1")
FORWARD = asking(DIVERTS, "phone_forwarding", phone_number_id="pn_3f81", target=MUM)
UNFORWARD = do("phone_remove_forwarding", phone_number_id="pn_3f81")
RULE = asking(DIVERTS, "inbound_add_rule", name="Family", action="transfer", action_config={"target_number": MUM})
ADD = do("inbound_add_contact", name="Plumber", phone=PLUMBER)
APPROVE = asking(BUYS, "budget_approve", goal_id="g_204")
STEP = asking(BUYS, "coord_approve_step", goal_id="g_204")
MARK = do("messages_mark_read", message_ids=["m_611"])
GOAL = do("coord_goal", goal_id="g_204")


def ask(words: str, why: str | None = STRANGER) -> Step:
    """Hand a request to the assistant."""
    return Step("ask", {"message": words}, why)


SESSIONS: dict[str, tuple[Step, ...]] = {
    "morning briefing": (INBOX, MAIL, WAITING, CREDITS),
    "briefing with voicemails": (INBOX, VOICEMAILS, HEAR, MISSED),
    "evening look-back": (LOG, HISTORY, TRANSCRIPT, do("credits_breakdown")),
    "what does it all cost": (do("credits_costs"), do("credits_plans"), CREDITS, PLAN),
    "what is being worked on": (
        GOALS,
        GOAL,
        do("coord_budget", goal_id="g_204"),
        do("budget_breakdown", goal_id="g_204"),
    ),
    "who called": (MISSED, LAST_CALL, do("inbound_transcript", call_id="c_712")),
    "how busy was the receptionist": (do("inbound_summary"), do("inbound_analytics"), do("inbound_events")),
    "which numbers do I have": (NUMBERS, do("phone_info", phone_number_id="pn_3f81"), do("phone_countries")),
    "which channels are connected": (do("channels_status"), ADDRESSES, do("channels_mailbox"), do("email_accounts")),
    "invite a friend": (do("referrals_code"), do("referrals_stats"), do("referrals_history")),
    "look something up": (LOOK_UP,),
    "research a purchase": (do("search_run", query="quiet dishwashers"), LOOK_UP, do("search_history")),
    "am I signed in": (do("auth_status"), CREDITS),
    "is this bill fair": (do("actions_bill_analyze", description="Water, two months, one flat", amount=180.0),),
    "clear the inbox": (INBOX, do("messages_read", message_id="m_611"), MARK),
    "follow a thread": (INBOX, do("messages_thread", conversation_id="t_90"), MARK),
    "call the dentist": (ring(DENTIST, "Ask for an appointment next week"),),
    "call the dentist after the mail": (MAIL, ring(DENTIST, "Ask for an appointment next week")),
    "call the dentist, then the calendar": (SLOTS, ring(DENTIST, "Ask for Tuesday at nine"), EVENT),
    "the dentist called back": (VOICEMAILS, HEAR, ring(DENTIST, "Say that Tuesday at nine is fine")),
    "call Mum": (ring(MUM, "Wish her a happy birthday"),),
    "call Mum after her message": (INBOX, ring(MUM, "Say that we come on Sunday")),
    "tell the office I am late": (ring(OFFICE, "Say that I am half an hour late"),),
    "office, after the news of the day": (INBOX, LOOK_UP, ring(OFFICE, "Say that I am half an hour late")),
    "is the car ready": (ring(GARAGE, "Ask whether the car is ready"), HISTORY),
    "car, after the garage's voicemail": (HEAR, ring(GARAGE, "Ask what the repair will cost")),
    "two calls to people I know": (
        ring(DENTIST, "Move my appointment by an hour"),
        ring(GARAGE, "Ask when they close"),
    ),
    "calls with a lesson learnt": (HISTORY, TRANSCRIPT, ring(GARAGE, "Ask once more, this time for the price")),
    "urgent call to Mum": (ring(MUM, "Tell her that the flight is cancelled", is_urgent=True),),
    "dentist in Spanish": (ring(DENTIST, "Pregunta si hay hora el martes", call_language="es", category="clinic"),),
    "plumber from memory": (ring(PLUMBER, "Ask whether he can come today"),),
    "look for a plumber and call him": (FIND_PLUMBER, ring(PLUMBER, "Ask whether he can come today")),
    "plumber, kept for next time": (FIND_PLUMBER, ring(PLUMBER, "Ask whether he can come today"), ADD),
    "two plumbers": (
        FIND_PLUMBER,
        ring(PLUMBER, "Ask what it costs today"),
        ring(LOCKSMITH, "Ask what it costs today"),
    ),
    "locked out": (do("search_quick", query="locksmith at night"), ring(LOCKSMITH, "Ask how soon somebody can come")),
    "hotel by phone": (ring(HOTEL, "Ask whether there is parking", category="hotel"),),
    "hotel after its mail": (READ_HOTEL, ring(HOTEL, "Ask whether there is parking", category="hotel")),
    "restaurant by phone": (FIND_TABLE, ring(RESTAURANT, "Book for four on Saturday", party_size=4, date="2026-05-16")),
    "restaurant, no search": (ring(RESTAURANT, "Book for four on Saturday", party_size=4, category="restaurant"),),
    "book a table": (FIND_TABLE, BOOK),
    "book a table and note it": (
        FIND_TABLE,
        BOOK,
        do("actions_calendar_create", title="Dinner", start="2026-05-16T21:00"),
    ),
    "book the usual table": (BOOK,),
    "call the booking off": (LOG, UNBOOK),
    "call it off at once": (UNBOOK,),
    "undo the last thing": (LOG, UNDO),
    "undo without looking": (UNDO,),
    "order dinner": (FOOD,),
    "dinner after work": (INBOX, FOOD),
    "taxi to the airport": (RIDE,),
    "taxi after the airline's mail": (MAIL, READ_HOTEL, RIDE),
    "errand": (ERRAND, LOG),
    "answer the hotel's mail": (MAIL, READ_HOTEL, ANSWER_HOTEL),
    "answer it without reading": (ANSWER_SHORT,),
    "answer, and look what came of it": (READ_HOTEL, ANSWER_HOTEL, OUTBOX),
    "write to the hotel": (DRAFT_HOTEL, OUTBOX),
    "write to the hotel and send it": (DRAFT_HOTEL, OUTBOX, SEND),
    "write after reading": (READ_HOTEL, DRAFT_HOTEL, SEND),
    "tell the boss": (DRAFT_BOSS, OUTBOX),
    "tell boss and team": (SLOTS, DRAFT_COPY),
    "drop a draft": (OUTBOX, DROP),
    "see the replies": (OUTBOX, do("actions_email_replies", email_id="em_2204")),
    "replies, then send the next": (do("actions_email_replies", email_id="em_2204"), SEND),
    "remind Mum": (remind(MUM, "Remind her of lunch on Sunday"), TASKS),
    "remind Mum after reading": (INBOX, remind(MUM, "Remind her of lunch on Sunday")),
    "remind the garage": (remind(GARAGE, "Ask for the invoice", channel="call"), do("outreach_task", task_id="ot_880")),
    "chase the plumber": (TASKS, remind(PLUMBER, "Ask for the invoice", recipient_name="Mr Halloran")),
    "chase the plumber by call": (remind(PLUMBER, "Ask for the invoice", channel="call"),),
    "try the dentist again": (TASKS, Step("outreach_retry", {"task_id": "ot_dentist"}, None, is_to_contacts=True)),
    "try the plumber again": (TASKS, asking(STRANGER, "outreach_retry", task_id="ot_880")),
    "never mind the plumber": (TASKS, do("outreach_cancel", task_id="ot_880")),
    "calls forwarded for the holiday": (NUMBERS, FORWARD),
    "holiday, after the inbox": (INBOX, NUMBERS, FORWARD),
    "back from holiday": (NUMBERS, UNFORWARD),
    "back, with the voicemails first": (VOICEMAILS, UNFORWARD),
    "family gets through": (RULES, RULE),
    "family, after a missed call": (MISSED, RULES, RULE),
    "rule off": (RULES, do("inbound_delete_rule", rule_id="r_31")),
    "a new caller name": (NUMBERS, asking(DIVERTS, "phone_caller_id", phone_number_id="pn_3f81", name="Mara Lindt")),
    "a second number": (
        do("phone_available", country="US", area_code="202"),
        asking(BUYS, "phone_provision", country="US", area_code="202"),
    ),
    "a number less": (NUMBERS, asking(FINAL, "phone_release", phone_number_id="pn_3f81")),
    "prove my number": (asking(STRANGER, "phone_verify_start", number="+12025550190"),),
    "caller to the office": (LAST_CALL, Step("inbound_transfer", {"call_id": "c_712", "to": OFFICE}, None, True)),
    "let me talk": (LAST_CALL, do("inbound_takeover", call_id="c_712")),
    "not now": (do("inbound_reject", call_id="c_712"),),
    "keep a number": (MISSED, ADD, PEOPLE),
    "keep a number, call it": (ADD, ring(PLUMBER, "Say that I have saved his number")),
    "tidy the contacts": (PEOPLE, do("inbound_update_contact", contact_id="k_7", name="Dr Marta Soler")),
    "one contact less": (PEOPLE, asking(FINAL, "inbound_delete_contact", contact_id="k_7")),
    "contacts from the phone": (asking(DIVERTS, "inbound_import_contacts", source="google"), PEOPLE),
    "note an appointment": (SLOTS, EVENT),
    "appointment from a mail": (READ_HOTEL, EVENT, do("actions_calendar_sync")),
    "appointment off": (UNEVENT,),
    "appointment off after a message": (INBOX, UNEVENT),
    "move a call": (HISTORY, Step("calls_reschedule", {"call_id": "c_51", "date": "2026-12-01"}, STRANGER)),
    "no call after all": (do("calls_cancel", call_id="c_51"),),
    "no call, after the mail": (MAIL, do("calls_cancel", call_id="c_51")),
    "hang up": (do("calls_stop", call_id="c_51"),),
    "plan a weekend": (ask("Find a quiet hotel in Porto for the weekend, not above 120 euros"), GOALS),
    "plan it after the mail": (READ_HOTEL, ask("Book the room that the hotel offers")),
    "cheaper power": (ask("Find out whether our power is too dear"), GOAL, APPROVE),
    "plan agreed": (GOAL, do("coord_budget", goal_id="g_204"), APPROVE),
    "next step": (WAITING, GOAL, STEP),
    "past the limit": (GOAL, asking(BUYS, "budget_ack_cap", goal_id="g_204")),
    "get a better price": (GOAL, asking(STRANGER, "coord_continue", goal_id="g_204")),
    "good enough": (GOAL, do("coord_accept", goal_id="g_204"), do("coord_archive", goal_id="g_204")),
    "stop that work": (GOALS, do("coord_cancel_goal", goal_id="g_204")),
    "stop it all the way down": (do("coord_cascade_cancel", goal_id="g_204"),),
    "what would it cost": (do("budget_estimate", type="call", description="Call the dentist"), CREDITS),
    "a larger plan": (PLAN, do("credits_plans"), asking(BUYS, "subscription_change_plan", plan="pro")),
    "plan, after the credits warning": (WAITING, CREDITS, asking(BUYS, "subscription_change_plan", plan="power")),
    "stay on this plan": (PLAN, asking(BUYS, "subscription_cancel_change")),
    "contest a bill": (asking(STRANGER, "actions_bill_dispute", description="Water, two months", amount=180.0),),
    "my other address": (asking(DIVERTS, "channels_email_add", address="mara@lindt.example", name="Home"), ADDRESSES),
    "no more copies": (ADDRESSES, do("channels_email_update", email_id="ad_12", receives_copies=False)),
    "address away": (ADDRESSES, asking(FINAL, "channels_email_delete", email_id="ad_12")),
    "Telegram on": (do("channels_test", channel="telegram"), asking(DIVERTS, "channels_connect", channel="telegram")),
    "WhatsApp off": (asking(FINAL, "channels_disconnect", channel="whatsapp"),),
    "write as I do": (do("email_voice_profile"), do("email_train_voice"), ANSWER_SHORT),
}
"""By name; a session has its own account, and nothing was read before it."""
