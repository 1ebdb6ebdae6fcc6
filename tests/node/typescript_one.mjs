// The first generation of the TypeScript SDK over stdio.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { walk } from "./report.mjs";

const capabilities = { elicitation: { form: {} } };
const client = new Client({ name: "test", version: "1" }, { capabilities });
await walk(client, ElicitRequestSchema, StdioClientTransport);
