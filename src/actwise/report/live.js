"use strict";
// A run that goes on: asked for every two seconds. What models wrote becomes text, never markup;
// charts are pictures of our own, in which nothing but numbers and our words stand.

const EVERY = 2000;
const drawn = new Map();

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function chart({ title, meaning, values, svg }) {
  const picture = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
  const figure = make("figure");
  figure.append(make("figcaption", {}, make("b", {}, title), make("span", {}, values)));
  figure.append(document.importNode(picture, true), make("span", { class: "note" }, meaning));
  readable(figure.querySelector("svg"));
  return figure;
}

function stage({ title, step, steps, charts }, index) {
  const place = document.getElementById("curves");
  const text = JSON.stringify(charts);
  const far = step ? `step ${step}${steps ? ` of ${steps}` : ""}` : "not begun";
  let section = place.children[index];
  if (!section) {
    const curves = make("div", { class: "curves" });
    section = make("section", {}, make("h3", {}, title), make("p", { class: "note" }), curves);
    place.append(section);
  }
  section.querySelector("p").textContent = far;
  // A reader who is in a curve is not disturbed.
  if (drawn.get(index) === text || section.contains(document.activeElement)) return;
  drawn.set(index, text);
  section.querySelector(".curves").replaceChildren(...charts.map(chart));
}

function sample({ step, decision, text, right, reward }) {
  const [mark, css] = { true: ["✓ right", "ok"], false: ["✗ wrong", "not"] }[right] ?? ["– not checkable", ""];
  const shade = { ok: "right", not: "wrong" }[css] ?? "unknown";
  const said = [make("span", { class: shade }, mark), make("span", { class: "note" }, ` reward ${Number(reward).toFixed(2)}`)];
  const head = make("header", {}, make("b", {}, `${decision}, step ${step}`), make("span", {}, ...said));
  return make("li", { class: `answer ${css}` }, head, make("pre", { class: "call" }, text));
}

function row({ model, mode, split, accuracy, range }) {
  const cells = [split, `${model} ${mode}`].map((text) => make("td", {}, text));
  return make("tr", {}, ...cells, make("td", { class: "n" }, accuracy), make("td", { class: "n" }, range));
}

function show(state) {
  const say = (id, text) => (document.getElementById(id).textContent = text);
  say("state", state.going_on ? "The run goes on." : "The run has ended; `actwise report` shows all of it.");
  say("problem", state.problem ? `Not to be read just now: ${state.problem}` : "");
  state.stages.forEach(stage);
  document.getElementById("rows").replaceChildren(...state.rows.map(row));
  document.getElementById("samples").replaceChildren(...state.samples.map(sample));
  document.getElementById("sampled").hidden = state.samples.length === 0;
  document.getElementById("measured").hidden = state.rows.length === 0;
}

async function ask() {
  let goes = true;
  try {
    const state = await (await fetch("/state")).json();
    show(state);
    goes = state.going_on;
  } catch {
    document.getElementById("state").textContent = "Nobody answers: the watching has ended.";
    goes = false;
  }
  if (goes) setTimeout(ask, EVERY);
}

ask();
