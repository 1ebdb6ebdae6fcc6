"""The way in for most requests: plain language to the coordinator."""

from kallyai_mcp.commands.shared import COORDINATOR_REPLY, ConversationId, drop_goal, heard
from kallyai_mcp.model import Args, Cli, Domain, Effect, Source, arg, optional
from kallyai_mcp.model.types import Text

ask = Domain("ask", "Hand over any request in everyday words.", prefix=())


@ask.command(
    "ask",
    "POST /v1/coordination/message",
    Effect.WRITE,
    costs_credits=True,
    contacts_people=True,
    slow=True,
    text_from=Source.OUTCOME,
    answer=COORDINATOR_REPLY,
    delegates=True,
    trace=heard("message"),
    undo=drop_goal("message"),
)
class AskAssistant(Args):
    """Hand any request to the assistant in everyday words; it plans the work and may phone, write, book or search.

    Spends credits and may contact people. Best first choice for almost everything. Follow the goal_id it answers
    with kallyai_coord_goal.
    """

    message: Text = arg(
        "The whole request in one go, with names, dates, places, numbers and limits such as a price.", cli=Cli.WORDS
    )
    conversation_id: ConversationId = optional("Conversation to go on with; omit to start afresh.")
