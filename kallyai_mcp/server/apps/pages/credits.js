const MOST_DAYS = 14;
const MOST_ROWS = 100;
const MOST_UNFOLDED = 10;
const known = { balance: null, breakdown: null, entries: null, failure: null };

const share = (part, whole) => `${whole > 0 ? Math.min(100, Math.max(0, (100 * part) / whole)) : 0}%`;
const bar = (part, whole, cls = "") => {
  const fill = make("div", { class: `fill ${cls}`.trim() });
  fill.style.width = share(part, whole);
  return make("div", { class: "track", "aria-hidden": "true" }, fill);
};

const left = (balance) => {
  const rest = number(balance.credits_remaining);
  const all = number(balance.credits_allocated);
  if (rest === null) return null;
  return make("ul", { class: "bars" }, make("li", {}, make("span", {}, "Left"), bar(rest, all ?? rest, all && rest < all / 10 ? "warm" : ""),
    make("strong", {}, all === null ? amount(rest) : `${amount(rest)} of ${amount(all)}`)));
};

const byKind = () => {
  const sums = new Map();
  if (known.breakdown) {
    for (const one of objects(known.breakdown.items)) sums.set(text(one.action_type), number(one.credits_total) ?? 0);
  } else {
    for (const one of objects(known.entries)) sums.set(text(one.type), (sums.get(text(one.type)) ?? 0) + (number(one.credits) ?? 0));
  }
  const rows = [...sums].sort((a, b) => b[1] - a[1]);
  if (rows.length === 0) return [];
  const most = rows[0][1];
  return [
    make("h2", {}, "By kind"),
    make("ul", { class: "bars" }, rows.map(([kind, sum]) => make("li", {}, said(words(kind)), bar(sum, most), make("span", {}, amount(sum))))),
  ];
};

const byDay = () => {
  const sums = new Map();
  for (const one of objects(known.entries)) {
    const moment = new Date(text(one.timestamp));
    if (Number.isNaN(moment.getTime())) continue;
    const day = moment.toLocaleDateString("en-CA", { timeZone: zone() });
    sums.set(day, (sums.get(day) ?? 0) + (number(one.credits) ?? 0));
  }
  const days = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).slice(-MOST_DAYS);
  if (days.length < 2) return [];
  const most = Math.max(...days.map(([, sum]) => sum));
  const label = (day) => new Date(`${day}T12:00:00Z`).toLocaleDateString(locale(), { day: "numeric", month: "numeric", timeZone: "UTC" });
  return [
    make("h2", { id: "days" }, "By day"),
    make("ul", { class: "days", "aria-labelledby": "days" }, days.map(([day, sum]) => {
      const column = make("div", { class: "column" });
      column.style.height = share(sum * 0.8, most);
      return make("li", { "aria-label": `${label(day)}: ${amount(sum)} credits` }, make("span", { class: "value" }, amount(sum)), column);
    })),
    make("ul", { class: "labels", "aria-hidden": "true" }, days.map(([day]) => make("li", {}, label(day)))),
  ];
};

const zone = () => {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: host.state.context.timeZone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
};

const ledger = () => {
  const rows = objects(known.entries);
  if (rows.length === 0) return null;
  const shown = rows.slice(0, MOST_ROWS);
  return make("details", rows.length > MOST_UNFOLDED ? {} : { open: "" }, make("summary", {}, rows.length > MOST_ROWS ? `Charges: the first ${MOST_ROWS} of ${rows.length}` : "Charges"),
    make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "When"), make("th", { scope: "col" }, "What"), make("th", { scope: "col", class: "number" }, "Credits"))),
      make("tbody", {}, shown.map((one) => make("tr", {}, make("td", {}, one.timestamp ? when(one.timestamp) : ""), make("td", {}, said(one.description ?? one.type)), make("td", { class: "number" }, amount(one.credits))))))));
};

const draw = () => {
  if (known.failure) {
    put(...refusal(known.failure, []));
    return;
  }
  const balance = known.balance ?? {};
  const end = balance.period_end ?? known.breakdown?.period_end;
  const spent = known.breakdown?.total_spent ?? balance.credits_used;
  put(
    head("Credits", balance.plan_type ? state(balance.plan_type) : null),
    left(balance),
    facts([["Spent", spent === undefined || spent === null ? "" : `${amount(spent)} credits in this period`], ["Period ends", end ? when(end, { dateStyle: "medium" }) : ""]]),
    ...byKind(),
    ...byDay(),
    ledger(),
    !known.balance && !known.breakdown && !known.entries && make("p", { class: "soft" }, "Nothing to show yet."),
  );
};

const take = (data) => {
  if (Array.isArray(data?.entries)) known.entries = data.entries;
  else if (Array.isArray(data?.items)) known.breakdown = data;
  else if (data && data.credits_remaining !== undefined) known.balance = data;
};

host.start({
  dressed: draw,
  cancelled: () => put(head("Credits", state("cancelled", "bad"))),
  result: async (result) => {
    known.failure = result.isError ? result : null;
    take(result.structuredContent);
    draw();
    if (known.failure) return;
    if (known.balance === null) take(await host.read("kallyai_credits_balance", {}));
    if (known.breakdown === null) take(await host.read("kallyai_credits_breakdown", {}));
    if (known.entries === null) take(await host.read("kallyai_credits_history", {}));
    draw();
  },
});
