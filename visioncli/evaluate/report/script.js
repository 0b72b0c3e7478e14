"use strict";
(() => {
  const select = document.getElementById("class");
  const shown = document.getElementById("shown");
  const table = document.getElementById("classes");
  const labelled = [...document.querySelectorAll("[data-labels]")];
  const about = (element, label) => element.dataset.labels.split("\n").includes(label);

  function choose(label) {
    let cards = 0;
    for (const element of labelled) {
      const fits = !label || about(element, label);
      if (element.classList.contains("card")) {
        element.hidden = !fits;
        cards += fits;
      } else if (element instanceof SVGElement) {
        element.classList.toggle(element.classList.contains("curve") ? "on" : "dim",
          element.classList.contains("curve") ? Boolean(label) && fits : !fits);
        if (element.classList.contains("on")) element.parentNode.append(element);
      } else {
        element.classList.toggle("on", Boolean(label) && fits);
      }
    }
    for (const svg of document.querySelectorAll("svg")) svg.classList.toggle("some", Boolean(label));
    for (const gallery of document.querySelectorAll(".gallery")) {
      const any = [...gallery.querySelectorAll(".card")].some((card) => !card.hidden);
      gallery.querySelector(".empty").hidden = any || !gallery.querySelector(".card");
    }
    if (shown) shown.textContent = label ? `${cards} ${cards === 1 ? "mistake" : "mistakes"} shown` : "";
  }

  if (select) {
    select.addEventListener("change", () => choose(select.value));
    if (table) {
      table.tBodies[0].addEventListener("click", (event) => {
        const row = event.target.closest("tr");
        const label = row.dataset.labels;
        if (![...select.options].some((option) => option.value === label)) return;
        select.value = select.value === label ? "" : label;
        choose(select.value);
      });
    }
    choose(select.value);
  }

  if (table) {
    const buttons = [...table.tHead.querySelectorAll("button")];
    buttons.forEach((button, column) => button.addEventListener("click", () => {
      const down = button.getAttribute("aria-sort") !== "descending" && column > 0;
      const up = column === 0 && button.getAttribute("aria-sort") === "ascending";
      const sign = column === 0 ? (up ? -1 : 1) : (down ? -1 : 1);
      buttons.forEach((other) => other.removeAttribute("aria-sort"));
      button.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const key = (row) => {
        const cell = row.cells[column];
        if (column === 0) return cell.textContent;
        return cell.dataset.value === "" ? -Infinity : Number(cell.dataset.value);
      };
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        return sign * (typeof x === "string" ? x.localeCompare(y) : x - y || 0);
      });
      table.tBodies[0].append(...rows);
    }));
  }
})();
