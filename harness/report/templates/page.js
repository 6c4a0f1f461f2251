// Draws the figures, makes the ranking tables sortable and searchable, and saves figures and tables; the page reads
// without it.
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

  const offer = (place, what, savers) => {
    const row = document.createElement("div");
    row.className = "save";
    for (const [kind, save] of Object.entries(savers)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Save as ${kind}`;
      button.setAttribute("aria-label", `Save the ${what} as ${kind}`);
      button.addEventListener("click", save);
      row.append(button);
    }
    place.after(row);
  };

  const draw = async (id, spec) => {
    const place = document.getElementById(id);
    try {
      const { view } = await vegaEmbed(place, { ...spec, datasets: drawings.datasets }, options);
      offer(place, `figure "${place.parentElement.querySelector("h4").textContent}"`, {
        SVG: () => save(id, spec, view.width(), "svg"),
        PNG: () => save(id, spec, view.width(), "png"),
      });
    } catch (error) {
      place.textContent = "This figure could not be drawn; its numbers are in epochs.csv and summary.csv.";
      console.error(error);
    }
  };

  // A number as a spreadsheet reads it, of what the page words for people: 506 894, 25.1 k, −1.5 × 10⁻⁴.
  const UNITS = { k: "e3", M: "e6", G: "e9" };
  const plain = (text) => {
    const worded = text.replace(/[\u202f\s]/g, "").replace(/^\u2212/, "-");
    const [, figure, unit, power] = /^([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?:([kMG%])|×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?$/.exec(worded) ?? [];
    if (unit === "%") return `${figure}%`;
    if (unit) return String(Number(figure + UNITS[unit]));
    return power ? `${figure}e${[...power].map((digit) => "-0123456789"["⁻⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit)]).join("")}` : figure;
  };

  // As in the files beside the page: no cell that a spreadsheet would run, rows as RFC 4180 has them.
  const quoted = (text) => {
    const defused = /^[=+\-@\t\r\n]/.test(text) && !Number.isFinite(Number(text.replace(/%$/, ""))) ? `'${text}` : text;
    return /[,"\r\n]/.test(defused) ? `"${defused.replaceAll('"', '""')}"` : defused;
  };

  // The table's rows as they stand: sorted, filtered, each as wide as its headings; notes have columns of their own.
  const csv = (table) => {
    const shown = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.hidden);
    const lines = shown.map((row) => [...row.cells].flatMap((cell) => {
      const main = cell.cloneNode(true);
      const notes = [...main.querySelectorAll(".note")];
      notes.forEach((note) => note.remove());
      const text = main.textContent.replace(/\s+/g, " ").trim();
      const both = [text === "–" ? "" : (cell.classList.contains("number") && plain(text)) || text, notes.map((note) => note.textContent.trim()).join("; ")];
      return [both, ...Array.from({ length: cell.colSpan - 1 }, () => ["", ""])];
    }));
    const headings = [...table.tHead.rows[0].cells].map((heading) => heading.textContent.trim());
    const noted = headings.map((_, column) => lines.some((line) => line[column]?.[1]));
    const names = headings.map((heading) => [heading, `${heading}, note`]);
    return [names, ...lines].map((line) => line.flatMap((both, i) => noted[i] ? both : both.slice(0, 1)))
      .map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
  };

  const makeSaveable = (table) => {
    const caption = table.caption.id;
    const saveTable = () => {
      const link = document.createElement("a");
      link.download = `${caption.replace(/-caption$/, "")}.csv`;
      link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
      link.click();
    };
    const place = table.closest(".scroll");
    offer(place, "table", { CSV: saveTable });
    place.nextElementSibling.querySelector("button").setAttribute("aria-describedby", caption);
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
  document.querySelectorAll(".scroll > table").forEach(makeSaveable);
  addEventListener("beforeprint", openAll);
  addEventListener("afterprint", closeAgain);
  Promise.all(Object.entries(drawings.specs).map(([id, spec]) => draw(id, spec))).then(() => {
    document.documentElement.dataset.drawn = "true";
  });
})();
