"use strict";
// Sends what the forms of this page say, with the credential that was given here. It is kept in this
// variable alone. Requests go without cookies: the dashboard's session is none of this page's.
let credential = "";

const authorize = document.getElementById("authorize");
authorize.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("credential");
  credential = field.value.trim();
  field.value = "";
  document.getElementById("authorized").textContent = credential
    ? "Authorized: the operations below are tried with it."
    : "Not authorized any more.";
});

const inputs = (form, place) =>
  [...form.querySelectorAll(`[data-in="${place}"]`)].filter((input) => input.value !== "");

const address = (form) => {
  let path = form.dataset.path;
  for (const input of inputs(form, "path")) {
    path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
  }
  const query = new URLSearchParams(inputs(form, "query").map((input) => [input.name, input.value]));
  return query.size ? `${path}?${query}` : path;
};

const shown = (type, text) => {
  try {
    return type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    return text;
  }
};

const send = async (form) => {
  const headers = new Headers(inputs(form, "header").map((input) => [input.name, input.value]));
  if (credential) headers.set("Authorization", `Bearer ${credential}`);
  const [body] = inputs(form, "body");
  if (body) headers.set("Content-Type", body.dataset.type);
  const answer = await fetch(address(form), {
    method: form.dataset.method,
    headers,
    body: body?.value,
    credentials: "omit",
    redirect: "error",
  });
  return [answer, await answer.text()];
};

const LONGEST = 100_000; // characters; a list of everybody would hold up the page

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const outcome = form.querySelector(".outcome");
    const view = form.querySelector(".answer");
    const button = form.querySelector("button");
    button.disabled = true;
    outcome.textContent = "Asking …";
    try {
      const [answer, text] = await send(form);
      const type = answer.headers.get("content-type") ?? "";
      outcome.textContent = `${answer.status} ${answer.statusText} ${type}`;
      view.textContent = shown(type, text).slice(0, LONGEST);
      view.hidden = text === "";
    } catch (error) {
      outcome.textContent = `It couldn't be asked: ${error.message}`;
      view.hidden = true;
    }
    button.disabled = false;
  });
}

// A link to a schema or an operation opens it.
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", open);
open();
