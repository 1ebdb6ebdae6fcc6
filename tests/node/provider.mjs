// An OpenID provider for the tests: panva's oidc-provider with its pages for development, and one port for the tests.
//
//   node provider.mjs <port> <control port> <file with a JSON Web Key Set> [jwt|opaque]
//
// Prints "ready" once it answers. The control port hands out tokens that the provider itself makes, without a browser.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [port, control, keys, format = "jwt"] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const scope = "kallyai:read kallyai:act other:thing";

function server(resource, alg = "RS256", seconds = 3600) {
  const jwt = format === "jwt" ? { jwt: { sign: { alg } } } : {};
  return { scope, audience: resource, accessTokenFormat: format, accessTokenTTL: seconds, ...jwt };
}

const loopback = ["http://127.0.0.1/callback"];
const provider = new Provider(issuer, {
  jwks: JSON.parse(readFileSync(keys, "utf8")),
  clients: [
    { client_id: "host", application_type: "native", token_endpoint_auth_method: "none", redirect_uris: loopback,
      grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] },
    { client_id: "pages", client_secret: "pages-secret-for-tests+/=", application_type: "native",
      redirect_uris: loopback.map((uri) => uri.replace("/callback", "/people/callback")),
      grant_types: ["authorization_code"], response_types: ["code"] },
    { client_id: "resource", client_secret: "resource-secret+/=", redirect_uris: [], response_types: [],
      grant_types: [] },
  ],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id[0].toUpperCase()}${id.slice(1)}` }) }),
  claims: { openid: ["sub"], profile: ["name"] },
  cookies: { keys: ["of-the-tests"] },
  scopes: ["openid", "offline_access", "kallyai:read", "kallyai:act"],
  ttl: { AccessToken: 3600, Interaction: 3600, Session: 3600, Grant: 3600, IdToken: 3600 },
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => server(resource),
      useGrantedResource: () => true,
    },
  },
});

async function token(query) {
  const named = Object.fromEntries(query);
  const client = await provider.Client.find("host");
  const grant = new provider.Grant({ accountId: named.sub, clientId: "host" });
  grant.addResourceScope(named.resource, named.scope ?? scope);
  const made = new provider.AccessToken({
    accountId: named.sub, client, grantId: await grant.save(), gty: "authorization_code", scope: named.scope ?? scope,
    expiresIn: Number(named.seconds ?? 3600),
  });
  made.resourceServer = new provider.ResourceServer(named.resource, server(named.resource, named.alg, named.seconds));
  return made.save();
}

createServer(async (request, response) => {
  try {
    response.end(await token(new URL(request.url, issuer).searchParams));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error?.stack ?? error));
  }
}).listen(Number(control), "127.0.0.1", () => {
  provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
});
