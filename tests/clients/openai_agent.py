"""The OpenAI Agents SDK: an agent whose model is a script calls the server's tools."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.mcp import MCPServerStdio
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from report import PROMPT, READ, command, environment, say

STEPS = (
    ("kallyai_credits_balance", {}),
    ("kallyai_calls_info", {"call_id": "../x"}),
    ("kallyai_actions_errand", {"description": "Collect a parcel"}),
)


class Script(Model):
    """Calls one tool after another, and keeps what it was answered."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.answers: list[str] = []

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        items: Any = kwargs["input"] if "input" in kwargs else args[1]
        tools: Any = kwargs["tools"] if "tools" in kwargs else args[3]
        self.listed = [tool.name for tool in tools]
        outputs = [item for item in items if isinstance(item, dict) and item.get("type") == "function_call_output"]
        self.answers = [str(item["output"]) for item in outputs]
        step = len(outputs)
        if step < len(STEPS):
            name, arguments = STEPS[step]
            output: Any = ResponseFunctionToolCall(
                type="function_call", call_id=f"call{step}", name=name, arguments=json.dumps(arguments)
            )
        else:
            text = ResponseOutputText(type="output_text", text="done", annotations=[], logprobs=[])
            output = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError  # the runner asks for whole answers; the interface demands the method


async def main() -> None:
    program, *arguments = command()
    script = Script()
    server = MCPServerStdio(
        {"command": program, "args": arguments, "env": environment()}, client_session_timeout_seconds=60
    )
    async with server:
        agent = Agent(name="assistant", model=script, mcp_servers=[server])
        await Runner.run(agent, "Look after my credits.", run_config=RunConfig(tracing_disabled=True))
        prompt = await server.get_prompt(PROMPT[0], PROMPT[1])
        read = await server.read_resource(READ)
    balance, wrong, refused = script.answers
    say(
        tools=script.listed,
        answers=[balance],
        wrong=[None, wrong],
        refused=[None, refused],
        prompt=prompt.messages[0].content.text,
        read=read.contents[0].text,
    )


asyncio.run(main())
