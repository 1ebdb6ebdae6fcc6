const known = { emails: null, pending: null, failure: null };

const item = (what, badge, ...lines) => make("li", {}, make("div", { class: "head" }, said(what, "span", "what"), badge), ...lines);

const mails = () => {
  const all = objects(known.emails);
  const waiting = all.filter((mail) => text(mail.status) === "pending_approval");
  const others = all.filter((mail) => !waiting.includes(mail));
  const show = (mail, mood) => item(mail.subject || "(no subject)", state(mail.status, mood),
    make("p", {}, "To ", said(mail.to)),
    mail.body ? said(mail.body, "p") : null,
    make("p", { class: "small soft" }, "Id ", said(mail.id), mail.created_at ? ` · ${when(mail.created_at)}` : ""));
  return [
    make("h2", {}, "Mail that waits for you"),
    waiting.length ? make("ul", { class: "items" }, waiting.map((mail) => show(mail, "warm"))) : make("p", { class: "soft" }, "None."),
    waiting.length ? make("p", { class: "notice" }, "To send one, tell the assistant which. You are asked once more, by the server, before it goes out; this page cannot send it.") : null,
    others.length ? make("h2", {}, "Other mail") : null,
    others.length ? make("ul", { class: "items" }, others.map((mail) => show(mail, ""))) : null,
  ];
};

const waits = () => {
  const pending = known.pending;
  const part = (title, group, line) => {
    const entries = objects(group?.items);
    return entries.length ? [make("h2", {}, `${title} (${amount(group.count ?? entries.length)})`), make("ul", { class: "items" }, entries.map(line))] : [];
  };
  return [
    ...part("To decide", pending.actions, (one) => item(one.summary, state(one.type, "warm"))),
    ...part("Goals that need you", pending.goals, (one) => item(one.summary, state(one.status, "warm"))),
    ...part("Messages", pending.inbox, (one) => item(one.preview, state(one.channel))),
    pending.active_goal?.summary ? make("h2", {}, "Under way") : null,
    pending.active_goal?.summary ? make("ul", { class: "items" }, item(pending.active_goal.summary, state(pending.active_goal.status), said(pending.active_goal.current_step_description, "p"))) : null,
  ];
};

const draw = () => {
  if (known.failure) {
    const given = host.state.arguments;
    put(...refusal(known.failure, [["To", given.to], ["Subject", given.subject], ["Text", given.body], ["Mail", given.email_id]]));
    return;
  }
  const total = known.pending?.total_pending;
  put(
    head("Waiting for you", total === undefined || total === null ? null : state(`${amount(total)} in all`, number(total) > 0 ? "warm" : "good")),
    ...(known.pending ? waits() : []),
    ...(known.emails ? mails() : []),
    known.pending || known.emails ? null : make("p", { class: "soft" }, "Done. Nothing waits here."),
    host.state.capabilities.serverTools === undefined ? null : make("div", { class: "choices" }, button("Look again", look)),
  );
};

const look = async () => {
  const outbox = await host.read("kallyai_actions_email_outbox", {});
  known.emails = outbox?.emails ?? outbox?.items ?? known.emails;
  known.pending = (await host.read("kallyai_notifications_pending", {})) ?? known.pending;
  draw();
};

host.start({
  dressed: draw,
  cancelled: () => put(head("Waiting for you", state("cancelled", "bad"))),
  result: async (result) => {
    known.failure = result.isError ? result : null;
    const data = result.structuredContent ?? {};
    if (Array.isArray(data.emails)) known.emails = data.emails;
    else if (data.total_pending !== undefined || data.actions !== undefined) known.pending = data;
    draw();
    if (!known.failure) await look();
  },
});
