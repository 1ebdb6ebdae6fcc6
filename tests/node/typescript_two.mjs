// The second generation of the TypeScript SDK over stdio, without a handshake where the server knows how.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { walk } from "./report.mjs";

const options = { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } };
const client = new Client({ name: "test", version: "1" }, options);
await walk(client, "elicitation/create", StdioClientTransport);
