// What every client is told, has to do, and has to print: the twin of report.py, from which it gets the facts.
const told = JSON.parse(process.argv[2]);
const { READ, COMPLETED, PROMPT } = told.facts;

const server = () => {
  const [command, ...args] = told.command;
  const known = Object.entries(process.env).filter(([name]) => /^(KALLYAI_.*|PATH|HOME)$/.test(name));
  return { command, args, env: Object.fromEntries(known), stderr: "inherit" };
};

// Walk a client of either generation through everything. `asking` is what its handler of elicitations goes by.
export const walk = async (client, asking, Transport) => {
  const asked = [];
  client.setRequestHandler(asking, (request) => {
    asked.push(request.params.message);
    return { action: "decline" };
  });
  await client.connect(new Transport(server()));
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
  const facts = {
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
  };
  console.log(JSON.stringify(facts));
  await client.close();
};
