// Copies a record's name or value. Without this script, or where the browser forbids it, one click on
// the text marks it whole.
"use strict";
(() => {
  if (!window.isSecureContext || !navigator.clipboard) return;
  document.documentElement.classList.add("can-copy");
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    } catch {
      return;
    }
    button.textContent = "Copied";
    document.getElementById("spoken").textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
})();
