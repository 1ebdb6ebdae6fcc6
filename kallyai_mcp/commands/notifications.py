"""What waits for the user."""

from kallyai_mcp.model import Args, Domain, Effect, Source, each, group

notifications = Domain("notifications", "See what waits for the user.")

_COUNT = "How many there are."


@notifications.command(
    "pending",
    "GET /v1/notifications/pending",
    Effect.READ,
    idempotent=True,
    text_from=Source.OUTCOME,
    answer={
        "actions": group(
            "Actions that wait for consent.",
            {
                "count": _COUNT,
                "items": each(
                    "The actions.",
                    {
                        "id": "Identifier of the action.",
                        "type": "Kind, such as email_approval.",
                        "summary": "What is to be decided.",
                    },
                ),
            },
        ),
        "goals": group(
            "Goals that wait for the user.",
            {
                "count": _COUNT,
                "items": each(
                    "The goals.",
                    {
                        "id": "Identifier of the goal, for kallyai_coord_goal.",
                        "status": "Its state, such as needs_input.",
                        "summary": "What is asked.",
                    },
                ),
            },
        ),
        "inbox": group(
            "Messages not dealt with.",
            {
                "count": _COUNT,
                "items": each(
                    "The messages.",
                    {
                        "id": "Identifier of the message, for kallyai_messages_read.",
                        "channel": "How it came in.",
                        "preview": "How it begins.",
                    },
                ),
            },
        ),
        "total_pending": "How much waits in all.",
        "active_goal": group(
            "The goal being worked on.",
            {
                "id": "Identifier of the goal, for kallyai_coord_goal.",
                "summary": "What it is about.",
                "status": "Its state.",
                "current_step_description": "What is being done now.",
            },
        ),
        "generated_at": "When this was put together.",
    },
)
class ShowPendingNotifications(Args):
    """Show what waits for the user: actions to approve, goals that need an answer, new messages."""
