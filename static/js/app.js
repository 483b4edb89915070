// What the pages gain from a script. Everything works without it: links, forms and <details> do the work.
"use strict";
(() => {
  const root = document.documentElement;
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.dataset.script = "";

  function say(words) {
    one("#announce").textContent = words;
  }

  // Theme: system, light, dark. The cookie lets the server write data-theme, so that no page flashes.
  const THEMES = ["system", "light", "dark"];
  function setTheme(name) {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    localStorage.setItem("theme", name);
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${name === "system" ? "" : name}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    all("[data-theme-name]").forEach((place) => { place.textContent = name; });
  }
  const kept = localStorage.getItem("theme");
  if (THEMES.includes(kept) && kept !== (root.dataset.theme || "system")) setTheme(kept);

  async function copy(button, text) {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
      button.dataset.done = "";
      setTimeout(() => { delete button.dataset.done; }, 1500);
    } catch {
      say("The browser did not permit copying");
    }
  }

  function closeMenus(except) {
    all("details[data-menu][open]").forEach((menu) => { if (menu !== except) menu.open = false; });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button, a");
    closeMenus(event.target.closest("details[data-menu]"));
    if (!button) return;
    if (button.dataset.copy) copy(button, button.dataset.copy);
    else if ("copyFrom" in button.dataset) copy(button, one("pre", button.parentElement).textContent);
    else if ("themeNext" in button.dataset) {
      setTheme(THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length]);
    } else if (button.dataset.open) one(`#${button.dataset.open}`).showModal();
  });

  // Keys. Single keys can be turned off (WCAG 2.1.4) and never act while somebody types.
  const quiet = () => localStorage.getItem("keys") === "off";
  all("[data-keys-off]").forEach((box) => {
    box.checked = quiet();
    box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "off" : "on"));
  });

  let going = false;
  function rowStep(by) {
    const rows = all("main .table--rows tbody tr").filter((row) => one("a", row));
    const here = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : here + by];
    if (next) one("a", next).focus();
  }
  function jump(target) {
    if (!target) return;
    target.scrollIntoView();
    if (!target.matches("a, button, input, select, textarea, [tabindex]")) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }
  const KEYS = {
    "/": () => one("[data-search]")?.focus(),
    "?": () => one("#keys").showModal(),
    g: () => { going = true; setTimeout(() => { going = false; }, 1000); },
    j: () => rowStep(1),
    k: () => rowStep(-1),
    s: () => jump(one("#sign")),
  };
  for (let part = 1; part <= 6; part += 1) KEYS[part] = () => jump(one(`#s${part}`));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const menu = one("details[data-menu][open]");
      closeMenus();
      if (menu) one("summary", menu).focus();
      return;
    }
    const node = event.target.closest?.("[data-node]");
    if (node && event.key.startsWith("Arrow")) return walk(event, node);
    const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
    if (quiet() || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const go = going && one(`.masthead__nav [data-go="${CSS.escape(event.key)}"]`);
    const act = go ? () => go.click() : KEYS[event.key];
    going = false;
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Lineage graph: left and right follow edges, up and down stay in the column.
  function walk(event, node) {
    const graph = node.closest("[data-graph]");
    const find = (id) => one(`[data-node="${CSS.escape(id)}"]`, graph);
    const box = (other) => other.closest("foreignObject");
    const column = all("[data-node]", graph).filter((other) => box(other).getAttribute("x") === box(node).getAttribute("x"));
    const next = {
      ArrowRight: () => find(node.dataset.to.split(" ")[0]),
      ArrowLeft: () => find(node.dataset.from.split(" ")[0]),
      ArrowDown: () => column[column.indexOf(node) + 1],
      ArrowUp: () => column[column.indexOf(node) - 1],
    }[event.key]();
    event.preventDefault();
    next?.focus();
  }

  // htmx: a swapped-in refusal or result takes the focus; polling never does. A lost server is said, once.
  document.addEventListener("htmx:afterSwap", (event) => {
    const request = event.detail.requestConfig;
    if (!request || (request.verb === "get" && !request.elt.matches("a, button"))) return;
    const swapped = document.getElementById(event.detail.target.id) || event.detail.target;
    const wanted = ["[aria-invalid=true]", "[data-focus]", "[role=alert]", "[role=status]", "h1, h2"];
    jump(wanted.map((selector) => one(selector, swapped)).find(Boolean));
  });
  let lost = false;
  function unreachable() {
    if (!lost) say("The server does not answer; what you see may be old");
    lost = true;
    root.dataset.lost = "";
  }
  document.addEventListener("htmx:sendError", unreachable);
  document.addEventListener("htmx:timeout", unreachable);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) { lost = false; delete root.dataset.lost; }
  });
  // MLflow's client prints links like https://here/#/experiments/1/runs/…: its pages are below /mlflow/.
  if (location.pathname === "/" && /^#\/(experiments|runs|models|metric|compare)\b/.test(location.hash))
    location.replace(`/mlflow/${location.hash}`);
})();
