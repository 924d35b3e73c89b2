// Keeps the audience builder fresh while it is used: its buttons change it in place, and whom it
// reaches is counted as one types. Without this script its buttons send the whole form.
"use strict";
(() => {
  const WAIT = 400; // milliseconds without a key
  const parser = new DOMParser();
  let timer = 0;
  let asked = 0;

  async function ask(builder, pressed) {
    const mine = ++asked;
    const form = builder.closest("form");
    const fields = new URLSearchParams(new FormData(form));
    for (const name of [...fields.keys()])
      if (!name.startsWith("audience-") && name !== "form_token") fields.delete(name);
    if (pressed) fields.set("audience-do", pressed);
    builder.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(builder.dataset.audience, {
        method: "POST", body: fields, redirect: "manual", signal: AbortSignal.timeout(20000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = parser.parseFromString(await answer.text(), "text/html");
      if (mine !== asked) return; // something newer is on its way
      put(builder, fresh, pressed);
    } catch {
      builder.querySelector("[data-audience-reach]").textContent =
        "Not counted: there is no answer. Saving works all the same.";
    } finally {
      if (mine === asked) builder.removeAttribute("aria-busy");
    }
  }

  function put(builder, fresh, pressed) {
    const part = (name, from) => from.querySelector(`[data-audience-${name}]`);
    part("reach", builder).replaceChildren(...part("reach", fresh).childNodes);
    if (!pressed) return;
    const focused = document.activeElement?.id;
    part("lines", builder).replaceChildren(...part("lines", fresh).childNodes);
    const last = [...builder.querySelectorAll("[id^=audience-field-]")].pop();
    const next = pressed === "add" ? last : focused && document.getElementById(focused);
    (next || builder.querySelector("[name=audience-do]"))?.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-audience] [name=audience-do]");
    if (!button) return;
    event.preventDefault();
    ask(button.closest("[data-audience]"), button.value);
  });
  document.addEventListener("change", (event) => {
    const builder = event.target.closest("[data-audience]");
    if (builder && event.target.matches("[data-audience-field]")) ask(builder, "count");
  });
  document.addEventListener("input", (event) => {
    const builder = event.target.closest("[data-audience]");
    if (!builder || event.target.matches("[data-audience-field]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => ask(builder, ""), WAIT);
  });
  for (const one of document.querySelectorAll(".audience-refresh")) one.hidden = true;
})();
