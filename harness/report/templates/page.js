// Draws the figures and makes the ranking tables sortable and searchable; the page reads without it.
"use strict";

(() => {
  const drawings = JSON.parse(document.getElementById("drawings").textContent);

  // The expression interpreter (ast) needs no eval, which the page's policy forbids; the tooltip's and
  // the drawing's styles are the page's own for the same reason.
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    actions: false,
    ast: true,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    config: drawings.config,
  };

  // A saved figure has no style sheet: the page's colours are put in for their names.
  const coloured = (value) => {
    const style = getComputedStyle(document.documentElement);
    return JSON.parse(JSON.stringify(value).replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim()));
  };

  const save = async (id, spec, width, kind) => {
    const config = { ...options.config, background: "var(--paper)" };
    const whole = { ...spec, width, datasets: drawings.datasets };
    const { view } = await vegaEmbed(document.createElement("div"), coloured(whole), { ...options, config: coloured(config) });
    const link = document.createElement("a");
    link.download = `${id}.${kind}`;
    link.href = kind === "svg"
      ? URL.createObjectURL(new Blob([await view.toSVG()], { type: "image/svg+xml" }))
      : await view.toImageURL("png", 2);
    link.click();
    view.finalize();
  };

  const offer = (place, id, spec, view) => {
    const row = document.createElement("div");
    row.className = "save";
    for (const kind of ["svg", "png"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Save as ${kind.toUpperCase()}`;
      button.setAttribute("aria-label", `Save the figure "${place.parentElement.querySelector("h4").textContent}" as ${kind.toUpperCase()}`);
      button.addEventListener("click", () => save(id, spec, view.width(), kind));
      row.append(button);
    }
    place.after(row);
  };

  const draw = async (id, spec) => {
    const place = document.getElementById(id);
    try {
      const { view } = await vegaEmbed(place, { ...spec, datasets: drawings.datasets }, options);
      offer(place, id, spec, view);
    } catch (error) {
      place.textContent = "This figure could not be drawn; its numbers are in epochs.csv and summary.csv.";
      console.error(error);
    }
  };

  // What is closed on the screen is read on paper, and closed again after.
  const opened = [];
  const openAll = () => {
    opened.push(...document.querySelectorAll("main details:not([open])"));
    opened.forEach((details) => { details.open = true; });
  };
  const closeAgain = () => opened.splice(0).forEach((details) => { details.open = false; });

  const value = (row, column) => row.cells[column]?.dataset.value ?? "";

  // Rows without a value stay last in both directions.
  const compare = (a, b, direction) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const numbers = [Number(a), Number(b)];
    const order = numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
    return direction * order;
  };

  const sort = (table, header, column) => {
    const direction = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => compare(value(a, column), value(b, column), direction)));
  };

  const makeSortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header, column));
      header.append(button);
    });
    table.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");
  };

  const makeSearchable = (filter) => {
    const input = filter.querySelector("input");
    const rows = [...document.getElementById(input.getAttribute("aria-controls")).tBodies].flatMap((b) => [...b.rows]);
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => texts[i].includes(word));
        shown += row.hidden ? 0 : 1;
      });
      filter.querySelector("output").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    };
    input.addEventListener("input", show);
    filter.hidden = false;
  };

  document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
  document.querySelectorAll(".filter").forEach(makeSearchable);
  addEventListener("beforeprint", openAll);
  addEventListener("afterprint", closeAgain);
  Promise.all(Object.entries(drawings.specs).map(([id, spec]) => draw(id, spec))).then(() => {
    document.documentElement.dataset.drawn = "true";
  });
})();
