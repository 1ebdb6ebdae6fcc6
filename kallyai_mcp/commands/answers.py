"""Going on from an answer: with the rest of one that was too large, or with one that is not there yet."""

from kallyai_mcp.model import Args, Domain, Effect, arg
from kallyai_mcp.model.types import Text

answers = Domain("answers", "Go on with an answer that was too long, or is not there yet.", prefix=())


@answers.command("more", None, Effect.READ, idempotent=True)
class ReadMore(Args):
    """Read on where an answer was cut."""

    cursor: Text = arg("Cursor from that answer.")


@answers.command("wait", None, Effect.READ, idempotent=True)
class AwaitResult(Args):
    """Wait for what is under way and get its result. If it still is, run it again; nothing is done twice."""

    id: Text = arg("Id of an act, call, goal, booking or outreach task.")
