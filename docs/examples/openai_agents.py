"""OpenAI Agents SDK: an agent places a call in the sandbox. The model is scripted, so it needs no key.

The SDK has approvals of its own and does not show a server's questions. So the server trusts the host's prompt
(KALLYAI_APPROVAL=host), and every tool of it needs a person's approval here.

    pip install openai-agents
    python openai_agents.py          asks you; with --yes it agrees by itself, which is for the sandbox only
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.items import ToolCallOutputItem
from agents.mcp import MCPServerStdio
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

SANDBOX = {
    "KALLYAI_SANDBOX": "1",  # nothing leaves the machine, and no real number rings
    "KALLYAI_ACCESS_TOKEN": "kallyai_sandbox_at_demo",  # good in every sandbox; leave it out to sign in
    "KALLYAI_CONTACT_HOURS": "off",  # nobody sleeps there
    "KALLYAI_APPROVAL": "host",
}
CALL = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday."}


class ScriptedModel(Model):
    """Asks for the call, then sums up, in place of a real model."""

    async def get_response(self, system_instructions: Any, input: Any, *rest: Any, **more: Any) -> ModelResponse:
        """Return the next thing to say."""
        called = not isinstance(input, str) and any(item.get("type") == "function_call_output" for item in input)
        output: Any = (
            ResponseOutputMessage(
                id="2",
                type="message",
                role="assistant",
                status="completed",
                content=[ResponseOutputText(type="output_text", text="They are open on Sunday.", annotations=[])],
            )
            if called
            else ResponseFunctionToolCall(
                type="function_call", call_id="1", name="kallyai_calls_make", arguments=json.dumps(CALL)
            )
        )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *arguments: Any, **more: Any) -> Any:
        """Not needed here."""
        raise NotImplementedError


async def main() -> None:
    """Have the agent phone a restaurant, and print what came of it."""
    set_tracing_disabled(disabled=True)
    server = MCPServerStdio(
        {"command": shutil.which("kallyai-mcp") or "kallyai-mcp", "env": {**os.environ, **SANDBOX}},
        client_session_timeout_seconds=660,  # a phone call takes minutes
        require_approval="always",
        use_structured_content=True,
    )
    async with server:
        agent = Agent(name="Assistant", model=ScriptedModel(), mcp_servers=[server])
        result = await Runner.run(agent, "Are they open on Sunday? +12025550100")
        while result.interruptions:
            state = result.to_state()
            for wanted in result.interruptions:
                print(f"The agent wants to run {wanted.name} with {wanted.arguments}")
                if "--yes" in sys.argv or input("Go ahead? [y/N] ").lower() == "y":
                    state.approve(wanted)
                else:
                    state.reject(wanted)
            result = await Runner.run(agent, state)
        for item in result.new_items:
            if isinstance(item, ToolCallOutputItem):
                print("Outcome:", _outcome(item.output))
        print("Agent:", result.final_output)


def _outcome(output: Any) -> str:
    text = output.get("text", "") if isinstance(output, dict) else str(output)
    return json.loads(text)["status"] if text.startswith("{") else text


asyncio.run(main())
