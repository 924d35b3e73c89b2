// Keeps a page fresh: asks for it again and puts in what has changed, until data-seconds is 0. Without
// this script the page reloads itself (see the noscript in base.html).
"use strict";
(() => {
  const spoken = document.getElementById("spoken");
  const lost = document.getElementById("lost");
  const parser = new DOMParser();
  let timer = 0;
  let asking = false;

  // A notice is said once.
  const here = new URL(location.href);
  if (here.searchParams.has("notice")) {
    here.searchParams.delete("notice");
    history.replaceState(null, "", here);
  }

  function say(text) {
    if (text && spoken.textContent !== text) spoken.textContent = text;
  }

  function put(fresh) {
    const live = document.getElementById("live");
    if (fresh.innerHTML !== live.innerHTML) {
      const open = [...live.querySelectorAll("details[open]")].map((one) => one.id);
      const scrolled = [...live.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
      live.replaceChildren(...fresh.childNodes);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      live.querySelectorAll(".scroll").forEach((one, i) => { one.scrollLeft = scrolled[i] ?? 0; });
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
    live.dataset.seconds = fresh.dataset.seconds;
    say(fresh.dataset.spoken);
  }

  const pause = () => Number(document.getElementById("live").dataset.seconds);

  async function refresh() {
    if (asking || document.hidden || !pause()) return;
    asking = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(location.href, {
        redirect: "manual", signal: AbortSignal.timeout(15000),
      });
      if (answer.type === "opaqueredirect") return location.reload(); // signed out
      const page = parser.parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (!answer.ok) throw new Error(String(answer.status));
      if (!fresh) return location.reload(); // it has come to an end, and no longer changes
      put(fresh);
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    } finally {
      asking = false;
    }
    timer = setTimeout(refresh, 1000 * pause() * (lost.hidden ? 1 : 2));
  }

  timer = setTimeout(refresh, 1000 * pause());
  document.addEventListener("visibilitychange", refresh);
})();
