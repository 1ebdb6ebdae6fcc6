// The host: JSON-RPC over postMessage (MCP Apps, 2026-01-26). Only the window that shows this page is listened to.
const host = (() => {
  const waiting = new Map();
  const on = {};
  const state = { context: {}, capabilities: {}, arguments: {} };
  let last = 0;
  const post = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  const notify = (method, params = {}) => post({ method, params });
  const request = (method, params) => new Promise((done, failed) => {
    last += 1;
    waiting.set(last, { done, failed });
    post({ id: last, method, params });
  });

  const dress = (context) => {
    Object.assign(state.context, context);
    const theme = state.context.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme === "dark" ? "dark" : "light";
    for (const [name, value] of Object.entries(context.styles?.variables ?? {})) {
      if (/^--(color|font)-[a-z0-9-]+$/.test(name) && typeof value === "string") {
        document.documentElement.style.setProperty(name, value);
      }
    }
    const inset = context.safeAreaInsets;
    if (inset) {
      document.body.style.padding = ["top", "right", "bottom", "left"].map((side) => `${Number(inset[side]) || 0}px`).join(" ");
    }
  };

  window.addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== window.parent || message?.jsonrpc !== "2.0") return;
    if (message.method === undefined) {
      const call = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) call?.failed(new Error(String(message.error.message)));
      else call?.done(message.result ?? {});
    } else if (message.id !== undefined) {
      if (message.method === "ping" || message.method === "ui/resource-teardown") post({ id: message.id, result: {} });
      else post({ id: message.id, error: { code: -32601, message: "Method not found" } });
      if (message.method === "ui/resource-teardown") on.end?.();
    } else if (message.method === "ui/notifications/tool-input" || message.method === "ui/notifications/tool-input-partial") {
      state.arguments = message.params?.arguments ?? {};
      on.input?.(state.arguments);
    } else if (message.method === "ui/notifications/tool-result") {
      on.result?.(message.params ?? {});
    } else if (message.method === "ui/notifications/tool-cancelled") {
      on.cancelled?.(message.params ?? {});
    } else if (message.method === "ui/notifications/host-context-changed") {
      dress(message.params ?? {});
      on.dressed?.();
    }
  });

  // Runs a tool that only reads; every other one is none of a page's business, whatever calls this.
  const read = async (tool, input) => {
    if (!APP.reads.includes(tool) || state.capabilities.serverTools === undefined) return null;
    try {
      const result = await request("tools/call", { name: tool, arguments: input });
      return result.isError ? null : result.structuredContent ?? null;
    } catch {
      return null;
    }
  };

  const measure = () => notify("ui/notifications/size-changed", {
    width: document.documentElement.scrollWidth,
    height: Math.ceil(document.body.getBoundingClientRect().height),
  });

  const start = async (handlers) => {
    Object.assign(on, handlers);
    dress({});
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dress({}));
    const opened = await request("ui/initialize", {
      appInfo: { name: `kallyai-${APP.name}`, version: "1" },
      appCapabilities: { availableDisplayModes: ["inline"] },
      protocolVersion: "2026-01-26",
    });
    state.capabilities = opened.hostCapabilities ?? {};
    dress(opened.hostContext ?? {});
    notify("ui/notifications/initialized");
    new ResizeObserver(measure).observe(document.body);
    measure();
  };

  return { start, read, open: (url) => request("ui/open-link", { url }), state, canOpen: () => state.capabilities.openLinks !== undefined };
})();
