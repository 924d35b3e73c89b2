// Runs in a page; gives a list of what is wrong with it. Numbers are from WCAG 2.2.
// contrastAlone: the rest was judged already, and is the same in other colours.
(contrastAlone) => {
  const problems = [];
  const report = (problem, element) =>
    problems.push(element ? `${problem}: ${element.outerHTML.slice(0, 120)}` : problem);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const root = document.documentElement;

  // Contrast (1.4.3: 4.5, for text of every size)
  const channels = (color) => {
    const [r, g, b, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], alpha };
  };
  const over = (top, below) =>
    top.rgb.map((value, i) => value * top.alpha + below[i] * (1 - top.alpha));
  const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      layers.push(channels(getComputedStyle(e).backgroundColor));
      if (layers.at(-1).alpha === 1) break;
    }
    const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reverse().reduce((below, layer) => over(layer, below), canvas);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const shown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !shown(element)) continue;
    const behind = background(element);
    const ratio = contrast(over(channels(getComputedStyle(element).color), behind), behind);
    if (ratio < 4.5) report(`contrast ${ratio.toFixed(2)}`, element);
  }

  if (contrastAlone) return problems;

  // Structure
  if (!root.lang) report("no language");
  if (!document.title.trim()) report("no title");
  if (all("main").length !== 1) report("not exactly one main");
  if (all("h1").length !== 1) report("not exactly one h1");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    if (Number(heading.tagName[1]) > level + 1) report("a heading skips a level", heading);
    level = Number(heading.tagName[1]);
  }
  const ids = all("[id]").map((element) => element.id);
  if (new Set(ids).size !== ids.length) report("an id occurs twice");

  // Names
  const name = (element) =>
    element.getAttribute("aria-label") || element.textContent.trim() || element.title ||
    [...(element.labels ?? [])].map((label) => label.textContent).join("").trim();
  for (const element of all("a[href], button, input:not([type=hidden]), select, textarea, iframe"))
    if (!name(element)) report("has no name", element);
  for (const image of all("img")) if (!image.hasAttribute("alt")) report("no alt", image);
  for (const table of all("table"))
    if (!table.querySelector("th[scope]")) report("a table without headers", table);

  // Layout: nothing wider than the screen (1.4.10) but in a region that scrolls by itself
  if (root.scrollWidth > root.clientWidth)
    report(`scrolls sideways: ${root.scrollWidth} in ${root.clientWidth}`);
  for (const element of all("body *")) {
    const box = element.getBoundingClientRect();
    if (!shown(element) || box.right <= 0) continue;  // parked outside for screen readers
    const scrolls = element.parentElement.closest(".scroll");
    if (!scrolls && Math.floor(box.right) > root.clientWidth) report("sticks out", element);
  }

  // Words broken letter by letter
  for (const element of all("td, th, li, dd, dt, p, h1, h2")) {
    const box = element.getBoundingClientRect();
    if (shown(element) && element.textContent.trim().length > 3 && box.height > 3 * box.width)
      report("squeezed", element);
  }

  // Fingers (2.5.8: 24 pixels, but for links within a sentence)
  for (const element of all("button, input:not([type=hidden]), select, nav a")) {
    const box = element.getBoundingClientRect();
    if (shown(element) && Math.min(box.width, box.height) < 24) report("too small", element);
  }
  return problems;
}
