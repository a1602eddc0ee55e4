// Shows the words of a square below its grid, by pointer, touch or keyboard. Arrow keys move between squares.
"use strict";
for (const grids of document.querySelectorAll(".grids")) {
  const readout = document.getElementById(grids.dataset.readout);
  const say = (event) => {
    const square = event.target.closest("[data-words]");
    if (!square) return;
    const row = square.parentElement.querySelector("th").textContent;
    const column = square.closest("table").tHead.rows[0].cells[square.cellIndex].textContent;
    readout.textContent = `learning rate ${row}, sparsity ${column}: ${square.dataset.words}`;
    readout.classList.add("said");
  };
  grids.addEventListener("pointerover", say);
  grids.addEventListener("focusin", say);
  grids.addEventListener("keydown", (event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || [0, 0];
    const square = event.target.closest("[data-words]");
    if (!square || (!down && !right)) return;
    const rows = square.closest("tbody").rows;
    const next = rows[square.parentElement.sectionRowIndex + down]?.cells[square.cellIndex + right];
    if (next?.dataset.words) { event.preventDefault(); next.focus(); }
  });
}
