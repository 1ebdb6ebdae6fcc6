"""One agent, one process of the server, one sandbox: every tool is run and does what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sandbox_agent_account
import sandbox_agent_acts
import sandbox_agent_calls
import sandbox_agent_errands
import sandbox_agent_goals
import sandbox_agent_post
from anyio.from_thread import start_blocking_portal
from hosts import hosting
from sandbox_agent import Agent
from sandbox_shapes import documented, lacking, shape_of

from kallyai_mcp import catalog
from kallyai_mcp.examples import examples_of
from kallyai_mcp.sandbox import SandboxOptions, serving

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.sandbox.world import World

SCRIPT = (
    sandbox_agent_account.signs_in,
    sandbox_agent_acts.agrees_in_advance,
    *sandbox_agent_calls.SCRIPT,
    *sandbox_agent_goals.SCRIPT,
    *sandbox_agent_errands.SCRIPT,
    *sandbox_agent_post.SCRIPT,
    *sandbox_agent_account.SCRIPT,
    sandbox_agent_acts.sees_what_was_done,
)

OTHER_FORMS = {"items"}
"""Names that the API's references give to a list besides the one that the sandbox sends."""


def test_an_agent_signs_in_and_every_tool_does_what_it_says(tmp_path: Path) -> None:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(SandboxOptions.repeatable())) as served,
        # Without a token in the environment: this agent has to sign in.
        hosting(tmp_path, served.origin, KALLYAI_ACCESS_TOKEN="") as host,
    ):
        agent = Agent(host, served.origin)
        with agent.browser:
            for part in SCRIPT:
                part(agent)
            runs_by_example(agent, served.world)
            sandbox_agent_acts.stops_everything(agent)
            sandbox_agent_account.signs_out(agent)
    # No answer of this world is so long that there is more of it; see test_more.
    assert agent.answers.keys() == catalog.by_tool().keys() - {"kallyai_more"}
    assert not _differing(agent)


def runs_by_example(agent: Agent, world: World) -> None:
    """Run what has no area of its own, as a command does that was only just declared."""
    for command in catalog.all_commands():
        if command.method is not None and command.name not in world.handlers:
            example = examples_of(command)[0]
            assert agent.run(command.tool.removeprefix("kallyai_"), **example["arguments"]) == example["answer"]


def _differing(agent: Agent) -> dict[str, set[str]]:
    """Return, by tool, the documented fields of the examples' answers that no answer of the sandbox has as they are."""
    differing: dict[str, set[str]] = {}
    for tool, command in catalog.by_tool().items():
        if tool in agent.answers and isinstance(examples_of(command)[0]["answer"], dict):
            wanted = shape_of(example["answer"] for example in examples_of(command))
            if found := lacking(wanted, shape_of(agent.answers[tool]), documented(command.answer) - OTHER_FORMS):
                differing[tool] = found
    return differing
