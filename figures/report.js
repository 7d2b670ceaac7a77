"use strict";
(() => {
  const form = document.querySelector(".filters");
  const claims = [...document.querySelectorAll("tbody.claim")];
  const shown = document.getElementById("shown");
  const fields = ["verdict", "kind", "family", "text"];
  const PREFIX = "#?";
  form.hidden = false;

  const meets = (claim, asked) =>
    (!asked.verdict || claim.dataset.verdict === asked.verdict) &&
    (!asked.kind || claim.dataset.kind === asked.kind) &&
    (!asked.family || claim.dataset.family.split(" ").includes(asked.family)) &&
    asked.text.toLowerCase().split(/\s+/).every((word) => claim.dataset.search.includes(word));

  const filter = (remember) => {
    const asked = Object.fromEntries(fields.map((name) => [name, form.elements[name].value.trim()]));
    let count = 0;
    for (const claim of claims) {
      claim.hidden = !meets(claim, asked);
      count += claim.hidden ? 0 : 1;
    }
    shown.textContent = count === claims.length ? `${count} claims` : `${count} of ${claims.length} claims shown`;
    document.getElementById("none").hidden = count > 0;
    if (remember) {
      const set = fields.filter((name) => asked[name]).map((name) => [name, asked[name]]);
      history.replaceState(null, "", set.length ? PREFIX + new URLSearchParams(set) : "#claims");
    }
  };

  const choose = (values) => {
    for (const name of fields) form.elements[name].value = values[name] || "";
  };

  // An address names filters (#?kind=proved) or a place; a claim is shown and opened.
  const go = () => {
    if (location.hash.startsWith(PREFIX)) {
      choose(Object.fromEntries(new URLSearchParams(location.hash.slice(PREFIX.length))));
      filter(false);
      return;
    }
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place || !place.matches("tbody.claim")) return;
    if (place.hidden) {
      choose({});
      filter(false);
    }
    place.querySelector("details").open = true;
    place.scrollIntoView();
  };

  for (const kind of ["input", "change"]) form.addEventListener(kind, () => filter(true));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => filter(true)));
  for (const link of document.querySelectorAll("a[data-verdict]"))
    link.addEventListener("click", () => {
      choose({ verdict: link.dataset.verdict });
      filter(false);
    });
  const setAll = (open) => {
    for (const claim of claims) if (!claim.hidden) claim.querySelector("details").open = open;
  };
  document.getElementById("open-all").addEventListener("click", () => setAll(true));
  document.getElementById("close-all").addEventListener("click", () => setAll(false));
  addEventListener("hashchange", go);
  go();

  // What is wider than its place can be scrolled, and so must be reached by the keyboard.
  const reach = (root) => {
    for (const box of root.querySelectorAll(".line, .scroll, .statement, .against li, .card, dd"))
      if (box.closest("details:not([open])")) continue; // asking for its size would lay it out
      else if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
  };
  document.addEventListener("toggle", (event) => event.target.open && reach(event.target), true);
  addEventListener("resize", () => document.querySelectorAll("details[open]").forEach(reach));
  reach(document);

  // Copy buttons.
  const said = document.getElementById("said");
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const box of document.querySelectorAll(".command")) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
    const line = box.firstElementChild.textContent;
    button.setAttribute("aria-label", `Copy the command ${line}`);
    button.addEventListener("click", async () => {
      await copy(line);
      said.textContent = "The command was copied.";
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = "Copy";
        said.textContent = "";
      }, 2000);
    });
    box.append(button);
  }

  // On paper everything stands open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
