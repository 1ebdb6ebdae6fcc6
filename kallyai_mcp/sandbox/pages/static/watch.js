"use strict";
// Brings the page up to date whenever the sandbox says that something changed. Without it the page reloads by itself.
(function () {
  const sign = document.getElementById("live");
  let wanted = false;
  let busy = false;

  async function refresh() {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      try {
        const answer = await fetch(location.pathname, { cache: "no-store", headers: { Accept: "text/html" } });
        if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } catch { /* the event source reports a lost connection */ }
    }
    busy = false;
  }

  function show(fresh) {
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = fresh.getElementById(part.id);
      if (next && part.dataset.version !== next.dataset.version) replace(part, next);
    }
  }

  // What is open stays open, what is closed stays closed, and the focus stays on the link it was on.
  function replace(part, next) {
    for (const shown of part.querySelectorAll("details[id]")) {
      const twin = next.querySelector("#" + CSS.escape(shown.id));
      if (twin) twin.open = shown.open;
    }
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const key = focus && (focus.id || (focus.parentElement && focus.parentElement.id));
    const own = Boolean(focus && focus.id);
    if (part.dataset.part === "text") {
      if (part.textContent !== next.textContent) part.textContent = next.textContent;
      part.dataset.version = next.dataset.version;
      return;
    }
    part.replaceWith(next);
    if (!key) return;
    const target = document.getElementById(key);
    if (target) (own ? target : target.querySelector("summary, a") || target).focus({ preventScroll: true });
  }

  const events = new EventSource("/events");
  events.onopen = function () { sign.textContent = "Live"; refresh(); };
  events.onmessage = refresh;
  events.onerror = function () { sign.textContent = "Connection lost, trying again"; };
})();
