// Keeps the audience builder fresh while it is used: its buttons change it in place, and whom it
// reaches is counted as one types. Without this script its buttons send the whole form.
"use strict";
(() => {
  const WAIT = 400; // milliseconds without a key
  const parser = new DOMParser();
  let timer = 0;
  let asked = 0;

  let pressed = ""; // what the lines don't show yet: of a button, or `count` for a changed field

  function fieldsOf(builder) {
    const fields = new URLSearchParams(new FormData(builder.closest("form")));
    for (const name of [...fields.keys()])
      if (!name.startsWith("audience-") && name !== "form_token") fields.delete(name);
    return fields;
  }

  // The newest question counts, and asks again for what was pressed and hasn't been answered. An
  // answer that some people gave is followed by the question of all of them.
  async function ask(builder, press, all = false) {
    clearTimeout(timer);
    const mine = ++asked;
    if (press && !(press === "count" && pressed)) pressed = press;
    const fields = fieldsOf(builder);
    const before = String(fields);
    if (pressed) fields.set("audience-do", pressed);
    if (all) fields.set("audience-all", "1");
    else builder.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(builder.dataset.audience, {
        method: "POST", body: fields, redirect: "manual", signal: AbortSignal.timeout(20000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = parser.parseFromString(await answer.text(), "text/html");
      if (mine !== asked) return; // something newer is on its way
      if (pressed && String(fieldsOf(builder)) !== before) {
        ask(builder, ""); // else the lines would lose what was typed meanwhile
        return;
      }
      put(builder, fresh);
      builder.removeAttribute("aria-busy");
      more(builder);
    } catch {
      if (mine !== asked) return;
      pressed = "";
      if (all) {
        builder.querySelector(".audience-counting").hidden = true;
        return; // the estimate stays
      }
      builder.querySelector("[data-audience-reach]").textContent =
        "Not counted: there is no answer. Saving works all the same.";
    } finally {
      if (mine === asked) builder.removeAttribute("aria-busy");
    }
  }

  function more(builder) {
    const counting = builder.querySelector(".audience-counting");
    if (!counting) return;
    counting.hidden = false;
    ask(builder, "", true);
  }

  function put(builder, fresh) {
    const part = (name, from) => from.querySelector(`[data-audience-${name}]`);
    part("reach", builder).replaceChildren(...part("reach", fresh).childNodes);
    if (!pressed) return;
    const { id, selectionStart: caret } = document.activeElement || {};
    const before = [...builder.querySelectorAll("input[id^=audience-value-]")];
    part("lines", builder).replaceChildren(...part("lines", fresh).childNodes);
    if (pressed === "count") keepTyped(builder, before);
    const last = [...builder.querySelectorAll("[id^=audience-field-]")].pop();
    const next = pressed === "add" ? last : id && document.getElementById(id);
    pressed = "";
    (next || builder.querySelector("[name=audience-do]"))?.focus({ preventScroll: true });
    if (typeof caret === "number" && typeof next?.selectionStart === "number")
      next.setSelectionRange(caret, caret);
  }

  // A field's answer comes without a value: one that was typed since it was chosen stays.
  function keepTyped(builder, before) {
    for (const old of before) {
      const now = builder.querySelector(`input#${old.id}`);
      if (!now || now.value || !old.value) continue;
      now.value = old.value;
      timer = setTimeout(() => ask(builder, ""), 0);
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-audience] [name=audience-do]");
    if (!button) return;
    event.preventDefault();
    ask(button.closest("[data-audience]"), button.value);
  });
  document.addEventListener("change", (event) => {
    const builder = event.target.closest("[data-audience]");
    if (!builder || !event.target.matches("[data-audience-field]")) return;
    const other = event.target.id.replace("audience-field-", "audience-value-");
    if (other !== event.target.id) {
      const value = builder.querySelector(`input#${other}`);
      if (value) value.value = ""; // it was of the field before
    }
    ask(builder, "count");
  });
  document.addEventListener("input", (event) => {
    const builder = event.target.closest("[data-audience]");
    if (!builder || event.target.matches("[data-audience-field]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => ask(builder, ""), WAIT);
  });
  for (const one of document.querySelectorAll(".audience-refresh")) one.hidden = true;
  document.querySelectorAll("[data-audience]").forEach(more);
})();
