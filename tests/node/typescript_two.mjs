// The second generation of the TypeScript SDK over stdio, without a handshake where the server knows how.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { COMPLETED, PROMPT, READ, command, environment, say } from "./report.mjs";

const asked = [];
const [program, ...args] = command();
const options = { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } };
const client = new Client({ name: "test", version: "1" }, options);
client.setRequestHandler("elicitation/create", (request) => {
  asked.push(request.params.message);
  return { action: "decline" };
});
await client.connect(new StdioClientTransport({ command: program, args, env: environment(), stderr: "inherit" }));
const { tools } = await client.listTools();
const call = (name, given) => client.callTool({ name, arguments: given });
const balance = await call("kallyai_credits_balance", {});
const wrong = await call("kallyai_calls_info", { call_id: "../x" });
const refused = await call("kallyai_actions_errand", { description: "Collect a parcel" });
const unknown = await call("kallyai_nothing", {}).then(() => null, (error) => error.code);
const read = await client.readResource({ uri: READ });
const { completion } = await client.complete({
  ref: { type: "ref/resource", uri: COMPLETED[0] },
  argument: { name: COMPLETED[1], value: "" },
});
const prompt = await client.getPrompt({ name: PROMPT[0], arguments: PROMPT[1] });
say({
  version: client.getNegotiatedProtocolVersion?.(),
  tools: tools.map((tool) => tool.name),
  balance: balance.structuredContent,
  wrong: [wrong.isError, wrong.content[0].text],
  refused: [refused.isError, refused.content[0].text],
  asked,
  unknown,
  read: read.contents[0].text,
  completed: completion.values,
  prompt: prompt.messages[0].content.text,
});
await client.close();
