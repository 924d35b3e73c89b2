// Keeps the preview beside a form up to date with what is typed. Without it, the button "Show" does.
"use strict";
(() => {
  const WAIT = 700; // milliseconds without a key
  const button = document.getElementById("preview-show");
  const bar = document.querySelector(".preview-bar");
  const form = button.form;
  let frame = document.querySelector(".preview-frame");
  let timer = 0;

  // How the person looks at it, which is kept.
  function looks() {
    let shown = [];
    try {
      shown = [...frame.contentDocument.querySelectorAll(".looks :checked")];
    } catch { /* nothing of ours is in it */ }
    return shown.map((input) => [`preview_${input.name}`, input.value]);
  }

  // The form is sent as a copy: sending it itself would count as leaving the page. A new frame each
  // time, since a used one would add to the browser's history.
  function show() {
    clearTimeout(timer);
    const copy = document.createElement("form");
    copy.method = button.formMethod && button.hasAttribute("formmethod") ? button.formMethod : form.method;
    copy.action = button.hasAttribute("formaction") ? button.formAction : form.action;
    copy.target = frame.name;
    copy.hidden = true;
    for (const [name, value] of [...new FormData(form), ...looks()]) {
      const input = document.createElement("textarea");
      input.name = name;
      input.value = value;
      copy.append(input);
    }
    const fresh = frame.cloneNode();
    fresh.removeAttribute("src");
    frame.replaceWith(fresh);
    frame = fresh;
    document.body.append(copy);
    copy.submit();
    copy.remove();
  }

  function soon(wait = WAIT) {
    clearTimeout(timer);
    timer = setTimeout(show, wait);
  }

  button.addEventListener("click", (event) => { event.preventDefault(); show(); });
  bar.addEventListener("change", (event) => { event.stopPropagation(); soon(0); });
  bar.addEventListener("input", (event) => event.stopPropagation());
  // What was refused is not what is stored.
  if (document.getElementById("refused")) soon(0);
  if (button.hasAttribute("formaction")) form.addEventListener("input", () => soon());
})();
