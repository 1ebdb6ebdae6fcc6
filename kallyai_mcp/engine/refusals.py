"""Why an act that was wanted is not sent, in words."""

from __future__ import annotations

from kallyai_mcp.errors import ActRefused, SignInRequired


def somebody_else() -> ActRefused:
    """Make the error of an act that was agreed to by whoever was signed in before."""
    return ActRefused(
        "Somebody else has signed in meanwhile. Nothing was sent.",
        code="approval_used",
        next_step="Ask the user which account it is meant for, then run the tool again.",
        details={"outcome": "not_sent"},
    )


def not_told(setting: str) -> ActRefused:
    """Make the error of an act of which nobody can tell whom it reaches, though a setting bounds that."""
    return ActRefused(
        f"The service does not show whom it would reach, so that {setting} cannot be kept. Nothing was sent.",
        next_step="Read what the identifier stands for, and whether it is still there; then run the tool again.",
        details={"outcome": "not_sent", "setting": setting},
    )


def nobody() -> SignInRequired:
    """Make the error of an act for which nobody is signed in."""
    return SignInRequired(
        "There is no valid sign-in to KallyAI.",
        next_step="Run the tool kallyai_login and give the user the address to open, or have them run "
        "`kallyai-mcp login` in a terminal. Then run this again.",
    )
