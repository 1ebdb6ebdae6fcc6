const ENDED = ["success", "no_answer", "busy", "failed", "voicemail", "cancelled"];
const MOODS = { success: "good", voicemail: "warm", no_answer: "warm", busy: "warm", failed: "bad", cancelled: "bad" };
const EVERY = 5000;
const MOST_LOOKS = 120;
const known = { call: null, entries: null, failure: null, looks: 0, timer: 0 };

const turns = (entries) => make("ol", { class: "turns", tabindex: "0", "aria-label": "Transcript" }, objects(entries).map((turn) => {
  const ours = text(turn.speaker).toUpperCase() === "AI";
  const who = ours ? "Assistant" : text(turn.speaker).toUpperCase() === "HUMAN" ? "Other side" : text(turn.speaker);
  return make("li", { class: ours ? "ours" : "" }, make("span", { class: "who" }, said(who), turn.timestamp ? ` · ${text(turn.timestamp)}` : ""), said(turn.content));
}));

const draw = () => {
  const given = host.state.arguments;
  if (known.failure) {
    put(...refusal(known.failure, [["Number", given.phone], ["Task", given.task]]));
    return;
  }
  const call = known.call ?? {};
  const name = call.business_name || given.business || call.to || call.submission?.respondent_phone || given.phone || "Call";
  const status = call.status;
  const seconds = number(call.duration_seconds);
  put(
    head(name, state(status ?? (known.entries ? "transcript" : "under way"), MOODS[status] ?? "")),
    facts([
      ["Number", name === call.to ? "" : call.to ?? given.phone],
      ["Task", call.submission?.task_description ?? given.task],
      ["Outcome", call.result_summary],
      ["Found out", call.highlights],
      ["Next steps", call.next_steps],
      ["Length", seconds === null ? "" : `${Math.floor(Math.round(seconds) / 60)} min ${Math.round(seconds) % 60} s`],
      ["Cost", call.credits_used === undefined || call.credits_used === null ? "" : `${amount(call.credits_used)} credits`],
      ["Ordered", call.created_at || call.metadata?.created_at ? when(call.created_at ?? call.metadata.created_at) : ""],
      ["Ended", call.metadata?.ended_at ? when(call.metadata.ended_at) : ""],
    ]),
    known.entries && make("h2", {}, "What was said"),
    known.entries && (objects(known.entries).length ? turns(known.entries) : make("p", { class: "soft" }, "Nothing was said.")),
  );
};

const callId = () => known.call?.call_id ?? host.state.arguments.call_id;

// Adds what is missing, as far as the host lets pages read; asks again while the call goes on and somebody looks.
const complete = async () => {
  const id = callId();
  if (typeof id !== "string" || id === "") return;
  if (known.call === null) known.call = (await host.read("kallyai_calls_info", { call_id: id })) ?? {};
  draw();
  if (known.entries === null && ENDED.includes(known.call.status)) {
    known.entries = (await host.read("kallyai_calls_transcript", { call_id: id }))?.entries ?? null;
    draw();
  }
  if (known.call.status && !ENDED.includes(known.call.status) && known.looks < MOST_LOOKS) {
    known.timer = setTimeout(async () => {
      known.looks += 1;
      if (document.visibilityState === "visible") {
        known.call = (await host.read("kallyai_calls_info", { call_id: id })) ?? known.call;
      }
      await complete();
    }, EVERY);
  }
};

host.start({
  input: draw,
  dressed: draw,
  end: () => clearTimeout(known.timer),
  cancelled: () => put(head("Call", state("cancelled", "bad")), make("p", { class: "soft" }, "The tool was cancelled. Ask the assistant what became of the call.")),
  result: async (result) => {
    known.failure = result.isError ? result : null;
    const data = result.structuredContent ?? {};
    if (known.failure) {
      draw();
      return;
    }
    if (Array.isArray(data.entries)) known.entries = data.entries;
    else known.call = data;
    draw();
    await complete();
  },
});
