// Building blocks. Whatever is shown is put in as text: nothing here makes markup of a string.
const make = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
};

const MOST = 4000;
// The server has taken out what is not seen or turns the order of letters; hosts and their proxies may not have.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;
const text = (value) => {
  if (value === null || value === undefined) return "";
  const plain = typeof value === "object" ? Object.values(value).map(text).filter(Boolean).join("; ") : String(value).replace(UNSEEN, "");
  return plain.length > MOST ? `${plain.slice(0, MOST)}…` : plain;
};
// Words that may be anybody's: their own direction, and no effect on what stands around them.
const said = (value, tag = "span", cls = "") => make(tag, { class: `said ${cls}`.trim(), dir: "auto" }, text(value));
const objects = (value) => (Array.isArray(value) ? value.filter((one) => one !== null && typeof one === "object") : []);
const number = (value) => (value === null || value === "" || !Number.isFinite(Number(value)) ? null : Number(value));
const amount = (value) => number(value)?.toLocaleString(locale(), { maximumFractionDigits: 2 }) ?? text(value);
const locale = () => {
  try {
    return Intl.getCanonicalLocales(host.state.context.locale ?? [])[0];
  } catch {
    return undefined;
  }
};
const when = (value, style = { dateStyle: "medium", timeStyle: "short" }) => {
  const moment = new Date(text(value));
  if (Number.isNaN(moment.getTime())) return text(value);
  try {
    return moment.toLocaleString(locale(), { ...style, timeZone: host.state.context.timeZone });
  } catch {
    return moment.toLocaleString(undefined, style);
  }
};
const words = (value) => text(value).replaceAll("_", " ");
const facts = (pairs) => {
  const shown = pairs.filter(([, value]) => text(value) !== "" || value instanceof Node);
  return shown.length === 0 ? null : make("dl", { class: "facts" }, shown.flatMap(([name, value]) => [
    make("dt", {}, name), make("dd", {}, value instanceof Node ? value : said(value)),
  ]));
};
const state = (value, mood = "") => make("span", { class: `state ${mood}`.trim() }, words(value));
const head = (title, badge) => make("div", { class: "head" }, make("h1", {}, said(title)), badge);
const put = (...children) => document.getElementById("app").replaceChildren(...children.flat().filter((one) => one instanceof Node));
const button = (label, press, cls = "") => {
  const made = make("button", { type: "button", class: cls }, label);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await press();
    } finally {
      made.disabled = false;
    }
  });
  return made;
};

// The page of this server on this machine where a person decides; anything else is never opened.
const PAGE = /^http:\/\/127\.0\.0\.1:[0-9]{1,5}\/approve\/[A-Za-z0-9_-]{43}$/;

// What a tool said instead of running: the sentence, and where it is decided. Nothing is decided here.
const refusal = (result, what) => {
  const error = result.structuredContent?.error ?? {};
  const waits = error.code === "approval_required";
  const page = PAGE.test(error.approve_at ?? "") ? error.approve_at : null;
  const fallback = result.content?.find((one) => one.type === "text")?.text ?? "The tool was not run.";
  const opened = make("p", { class: "small soft", role: "status" });
  const open = async () => {
    try {
      const answer = await host.open(page);
      opened.textContent = answer.isError ? "The host did not open it. Open the address above yourself." : "It was opened in your browser.";
    } catch {
      opened.textContent = "The host did not open it. Open the address above yourself.";
    }
  };
  return [
    head(waits ? "This waits for your consent" : "This was not done", state(waits ? "your turn" : "not done", waits ? "warm" : "bad")),
    make("p", { class: "notice" }, said(error.message ?? fallback)),
    facts(what),
    waits && make("p", { class: "soft" }, page
      ? "You decide on a page of kallyai-mcp on your computer, which shows all of it. Afterwards tell the assistant to go on."
      : "You decide where the assistant or your host asks you, or in a terminal with kallyai-mcp approve."),
    waits && page && make("p", { class: "address" }, page),
    waits && page && host.canOpen() && make("div", { class: "choices" }, button("Open the approval page", open, "primary")),
    opened,
    !waits && error.next_step && said(error.next_step, "p", "soft"),
  ];
};
