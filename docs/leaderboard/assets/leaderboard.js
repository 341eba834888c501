// Sorting, filtering, expanding, choosing lines, the theme. Without this file every number is there.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const stored = (value) => {
    try { // a browser may refuse storage for files
      if (value === undefined) return localStorage.getItem("fednlp-theme");
      localStorage.setItem("fednlp-theme", value);
    } catch { /* not remembered then */ }
    return null;
  };
  const theme = stored();
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

  function setUpTheme() {
    const button = document.querySelector(".theme");
    const tell = () => button.setAttribute("aria-pressed", String(isDark()));
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      stored(root.dataset.theme);
      tell();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    tell();
  }

  // tables ------------------------------------------------------------------------------------
  // A line is a tbody; the seeds below it are the tbody that its button controls.
  function setUpTable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const lines = [...table.querySelectorAll("tbody.line")].map((body) => ({
      body, seeds: body.nextElementSibling, cells: [...body.rows[0].cells], text: body.textContent.toLowerCase(),
    }));
    heads.forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => sort(table, heads, lines, column));
    });
    for (const { body, seeds } of lines) {
      const button = body.querySelector(".expand");
      button?.addEventListener("click", () => {
        const open = seeds.classList.toggle("open");
        button.setAttribute("aria-expanded", String(open));
      });
    }
    const inputs = [...document.querySelectorAll(`input[data-filter="${table.id}"]`)];
    const apply = () => filter(table, lines, inputs);
    inputs.forEach((input) => input.addEventListener("input", apply));
    if (inputs.some((input) => input.value)) apply(); // a browser brings back what was typed
  }

  const valueOf = (cell) => {
    const raw = cell.dataset.v ?? "";
    const number = Number(raw);
    return raw !== "" && !Number.isNaN(number) ? number : raw.toLowerCase();
  };

  function sort(table, heads, lines, column) {
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const keyed = lines.map((line, order) => ({ line, order, key: valueOf(line.cells[column]) }));
    keyed.sort((a, b) => {
      if ((a.key === "") !== (b.key === "")) return a.key === "" ? 1 : -1; // none comes last
      const way = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return (ascending ? way : -way) || a.order - b.order;
    });
    table.append(...keyed.flatMap(({ line }) => [line.body, line.seeds]));
  }

  function filter(table, lines, inputs) {
    const tests = inputs.filter((input) => input.value.trim()).map((input) => test(input));
    let shown = 0;
    for (const line of lines) {
      const fits = tests.every((fitting) => fitting(line));
      line.body.hidden = line.seeds.hidden = !fits;
      shown += fits;
    }
    const status = document.querySelector(`[data-status="${table.id}"]`);
    status.textContent = `${shown} of ${lines.length} lines`;
    document.querySelector(`[data-empty="${table.id}"]`).hidden = shown > 0;
  }

  // `<0.3`, `>=10`, `0.1..0.3` for numbers, else a part of the text
  function test(input) {
    const wanted = input.value.trim().toLowerCase().replaceAll("−", "-");
    const column = input.dataset.column;
    if (column === undefined) return (line) => line.text.replaceAll("−", "-").includes(wanted);
    const range = wanted.match(/^(-?[\d.]+(?:e-?\d+)?)\s*\.\.\s*(-?[\d.]+(?:e-?\d+)?)$/);
    const limit = wanted.match(/^(<=|>=|<|>|=)\s*([+-]?[\d.]+(?:e-?\d+)?)$/);
    const number = (line) => valueOf(line.cells[column]);
    if (range) return (line) => number(line) >= Number(range[1]) && number(line) <= Number(range[2]);
    if (limit) {
      const value = Number(limit[2]);
      const compare = {
        "<": (n) => n < value, "<=": (n) => n <= value, ">": (n) => n > value,
        ">=": (n) => n >= value, "=": (n) => n === value,
      }[limit[1]];
      return (line) => typeof number(line) === "number" && compare(number(line));
    }
    return (line) => line.cells[column].textContent.toLowerCase().replaceAll("−", "-").includes(wanted);
  }

  function setUpOverview(table) {
    const rows = [...table.querySelectorAll("tr.entry")].map((row) => ({
      row, text: `${row.parentElement.rows[0].textContent} ${row.textContent}`.toLowerCase(),
    }));
    const empty = document.querySelector(".empty");
    document.querySelector('input[data-filter="overview"]').addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      for (const { row, text } of rows) row.hidden = !text.includes(wanted);
      for (const body of table.tBodies) body.hidden = [...body.rows].slice(1).every((row) => row.hidden);
      empty.hidden = rows.some(({ row }) => !row.hidden);
    });
  }

  function setUpKeys() {
    for (const key of document.querySelectorAll(".key")) {
      const lines = document.querySelectorAll(`.chart .series[data-series="${key.dataset.series}"]`);
      const show = (on) => {
        key.setAttribute("aria-pressed", String(on));
        lines.forEach((line) => line.classList.toggle("off", !on));
      };
      show(key.getAttribute("aria-pressed") === "true");
      key.addEventListener("click", () => show(key.getAttribute("aria-pressed") !== "true"));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    setUpTheme();
    document.querySelectorAll("table.board").forEach(setUpTable);
    document.querySelectorAll("table.matrix").forEach(setUpOverview);
    setUpKeys();
  });
})();
