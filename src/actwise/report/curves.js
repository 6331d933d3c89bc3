"use strict";
// Values of a curve under the pointer, and by arrow keys where it has the focus.

function readable(svg) {
  const values = JSON.parse(svg.dataset.values);
  const said = svg.closest("figure").querySelector("figcaption span");
  const before = said.textContent;
  const mark = document.createElementNS(svg.namespaceURI, "circle");
  mark.setAttribute("class", "here");
  let at = values.length - 1;

  function show(index) {
    at = Math.min(Math.max(index, 0), values.length - 1);
    const [x, y, text] = values[at];
    mark.setAttribute("cx", x);
    mark.setAttribute("cy", y);
    svg.append(mark);
    said.textContent = text;
    svg.setAttribute("aria-valuenow", at);
    svg.setAttribute("aria-valuetext", text);
  }

  function leave() {
    mark.remove();
    said.textContent = before;
  }

  // A slider is what screen readers know as a thing that arrow keys lead along values.
  const title = svg.getAttribute("aria-label");
  const attributes = { role: "slider", tabindex: 0, "aria-label": `${title}. Arrow keys read it.` };
  Object.assign(attributes, { "aria-valuemin": 0, "aria-valuemax": at, "aria-valuenow": at });
  attributes["aria-valuetext"] = values[at][2];
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const distances = values.map((value) => Math.abs(value[0] - x));
    show(distances.indexOf(Math.min(...distances)));
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("focus", () => show(at));
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1 };
    const target = { ...steps, Home: 0, End: values.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    show(target);
  });
}

document.querySelectorAll("svg.curve").forEach(readable);
