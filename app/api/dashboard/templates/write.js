// Saves a draft while it is being written, and says so. Without this script the form has a button.
"use strict";
(() => {
  const form = document.getElementById("write");
  const told = document.getElementById("saved");
  const button = form.querySelector("button[type=submit]");
  const WAIT = 1200; // milliseconds without a key
  const AGAIN = 5000; // milliseconds, while there is no connection
  let timer = 0;
  let saving = false;
  let dirty = false;
  let leaving = false;

  function tell(words, bad = false) {
    told.textContent = words;
    told.classList.toggle("bad", bad);
  }

  function mark(problems) {
    for (const old of form.querySelectorAll(".problem")) old.remove();
    for (const field of form.querySelectorAll(".wrong")) field.classList.remove("wrong");
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    for (const [name, words] of Object.entries(problems)) {
      const control = document.getElementById(name);
      const words_ = document.createElement("p");
      words_.className = "problem";
      words_.textContent = words;
      control.setAttribute("aria-invalid", "true");
      control.closest(".field").classList.add("wrong");
      control.after(words_);
    }
  }

  function soon(wait = WAIT) {
    clearTimeout(timer);
    timer = setTimeout(save, wait);
  }

  async function save() {
    if (saving || leaving) return;
    saving = true;
    dirty = false;
    tell("Saving …");
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" }, redirect: "manual",
        signal: AbortSignal.timeout(20000),
      });
      await take(answer);
    } catch {
      dirty = true;
      tell("No connection: not saved yet. Trying again.", true);
      soon(AGAIN);
    } finally {
      saving = false;
    }
    if (dirty && !form.dataset.stopped) soon();
  }

  function stop(words, label) {
    dirty = true;
    form.dataset.stopped = "yes";
    tell(words, true);
    if (label) button.textContent = label;
  }

  async function take(answer) {
    if (answer.type === "opaqueredirect")
      return stop("You are signed out: not saved. Sign in in another tab, then press Save.");
    if (answer.status === 412)
      return stop("Somebody else changed this mailout: not saved.", "Compare both versions");
    if (answer.status === 409 || answer.status === 403)
      return stop("This can’t be saved any more. Press Save to see why.");
    if (answer.status === 422) {
      mark((await answer.json()).problems ?? {});
      return tell("Not saved yet: see above.", true);
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const { version, findings, at } = await answer.json();
    form.elements.version.value = version;
    mark({});
    document.getElementById("findings").innerHTML = findings;
    if (!dirty) tell(`Saved at ${at}`);
    document.dispatchEvent(new Event("mailout-saved"));
  }

  function written() {
    dirty = true;
    if (!("autosave" in form.dataset)) return tell("Not saved yet");
    if (!form.dataset.stopped) soon();
  }

  // What was typed before this script came, or filled in again by the browser, isn't as the page brought it.
  function isChanged(control) {
    if (control.type === "hidden") return false;
    if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
    if (control.tagName === "SELECT") {
      const brought = [...control.options].findIndex((option) => option.defaultSelected);
      return control.selectedIndex !== Math.max(brought, 0);
    }
    return "defaultValue" in control && control.value !== control.defaultValue;
  }

  form.addEventListener("input", written);
  if ([...form.elements].some(isChanged)) written();
  form.addEventListener("submit", () => { leaving = true; clearTimeout(timer); });
  window.addEventListener("beforeunload", (event) => {
    if (dirty && !leaving) event.preventDefault();
  });
  window.addEventListener("pageshow", () => { leaving = false; });
  document.getElementById("refused")?.focus();
})();
