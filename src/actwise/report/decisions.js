"use strict";
// All decisions of a run: filtered, searched, side by side, and as CSV.
//
// What models, tools and people wrote is hostile input: it becomes text of a node, or a part of an
// address after encodeURIComponent, and never markup. The state of the filters is kept in the
// address, so that a link to a decision can be passed on.

const AT_ONCE = 50;
const SHOWN_BEFORE = 3;
const MARKS = { true: ["✓", "right"], false: ["✗", "wrong"], null: ["–", "not checkable"] };
const KEYS = ["split", "model", "verdict", "failure", "kind", "recorded", "called", "label"];

function node(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function actionText(calls, answer) {
  const shown = calls.map(({ name, arguments: given }) =>
    [name, ...given.map(([key, value]) => `  ${key}: ${value}`)].join("\n"),
  );
  return [...shown, answer].filter(Boolean).join("\n");
}

class Explorer {
  constructor(data) {
    this.data = data;
    this.models = data.models.map((model) => ({ ...model, key: `${model.name}-${model.mode}` }));
    this.decisions = data.decisions.map((decision) => this.prepared(decision));
    this.form = document.getElementById("filters");
    this.list = document.getElementById("list");
    this.count = document.getElementById("count");
    this.more = document.getElementById("more");
    this.state = {};
    this.fill();
    this.listen();
    this.read();
  }

  prepared({ of, at, did }) {
    const conversation = this.data.conversations[of];
    const message = conversation.messages[at];
    const record = { calls: message.calls, answer: this.text(message) };
    return {
      conversation,
      at,
      did,
      record,
      key: `${conversation.id}#${at}`,
      kind: record.calls.length ? "call" : "answer",
      labels: message.labels,
      recorded: called(record),
    };
  }

  text(message) {
    return typeof message.text === "number" ? this.data.texts[message.text] : message.text;
  }

  // --- filters ---------------------------------------------------------------------------------

  fill() {
    const of = (pick) => [...new Set(this.decisions.flatMap(pick))];
    const completions = (decision) => Object.values(decision.did);
    const plain = (values) => values.map((value) => [value, value]);
    const models = this.models.map(({ key, title, mode }) => [key, `${title} ${mode}`]);
    const choices = {
      split: plain(of((d) => d.conversation.split)),
      model: models,
      verdict: [["right", "right"], ["wrong", "wrong"], ["open", "not checkable"], ["differ", "models differ"]],
      failure: plain(of((d) => completions(d).filter(({ right }) => right === false).map(({ outcome }) => outcome)).sort()),
      kind: plain(of((d) => d.kind)),
      recorded: plain(of((d) => d.recorded).sort()),
      called: plain(of((d) => completions(d).flatMap(called)).sort()),
      label: plain(of((d) => d.labels).sort()),
      against: models,
    };
    for (const [name, options] of Object.entries(choices)) {
      const select = this.form.elements[name];
      for (const [value, text] of options) select.append(node("option", { value }, text));
    }
  }

  listen() {
    let waiting;
    this.form.addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.changed(), event.target.type === "search" ? 150 : 0);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(() => this.changed()));
    document.getElementById("csv").addEventListener("click", () => this.download());
    this.more.addEventListener("click", () => this.extend(AT_ONCE));
    addEventListener("hashchange", () => this.read());
  }

  changed() {
    this.state = { open: "" };
    for (const name of [...KEYS, "against", "q"]) this.state[name] = this.form.elements[name].value;
    this.write();
    this.show();
  }

  read() {
    if (!location.hash.startsWith("#decisions?") && this.found) return;
    const query = new URLSearchParams(location.hash.replace(/^#decisions\?/, ""));
    for (const name of [...KEYS, "against", "q"]) {
      const field = this.form.elements[name];
      field.value = query.get(name) ?? "";
      if (field.selectedIndex === -1) field.value = "";
      this.state[name] = field.value;
    }
    this.state.open = query.get("open") ?? "";
    this.show();
    if (location.hash.startsWith("#decisions?")) this.reveal();
  }

  address(open) {
    const query = new URLSearchParams(); // its size is not known to all browsers that unpack a page
    for (const [name, value] of Object.entries({ ...this.state, open })) if (value) query.set(name, value);
    return `${query}` ? `#decisions?${query}` : "#decisions";
  }

  write() {
    history.replaceState(null, "", this.address(this.state.open));
  }

  matches(decision) {
    const { split, model, verdict, failure, kind, recorded, called: tool, label, q } = this.state;
    if (split && decision.conversation.split !== split) return false;
    if (kind && decision.kind !== kind) return false;
    if (recorded && !decision.recorded.includes(recorded)) return false;
    if (label && !decision.labels.includes(label)) return false;
    const rights = Object.values(decision.did).map((completion) => completion.right);
    if (verdict === "differ" && !(rights.includes(true) && rights.includes(false))) return false;
    const wanted = { right: true, wrong: false, open: null }[verdict];
    const fits = (completion) =>
      (wanted === undefined || completion.right === wanted) &&
      (!failure || completion.outcome === failure) &&
      (!tool || called(completion).includes(tool));
    if (!this.shownOf(decision, model).some(([, completion]) => fits(completion))) return false;
    return !q || this.tells(decision, q.toLowerCase());
  }

  shownOf(decision, model) {
    const all = Object.entries(decision.did).map(([index, did]) => [this.models[index], did]);
    return model ? all.filter(([{ key }]) => key === model) : all;
  }

  // Each text is kept in lower case once, however many decisions come after it.
  tells(decision, q) {
    const { conversation, at, did, key } = decision;
    decision.own ??= [key, ...Object.values(did).flatMap(({ text, notes }) => [text, ...notes])].join("\n").toLowerCase();
    conversation.said ??= conversation.messages.map((message) =>
      message.role === "system" ? "" : `${this.text(message)}\n${actionText(message.calls, "")}`.toLowerCase(),
    );
    if (conversation.asked !== q) {
      conversation.asked = q;
      conversation.first = conversation.said.findIndex((text) => text.includes(q));
    }
    return decision.own.includes(q) || (conversation.first >= 0 && conversation.first <= at);
  }

  // --- the list --------------------------------------------------------------------------------

  show() {
    this.found = this.decisions.filter((decision) => this.matches(decision));
    const open = this.found.findIndex(({ key }) => key === this.state.open);
    this.list.replaceChildren();
    this.extend(Math.max(AT_ONCE, open + 1));
    const [found, all] = [this.found.length, this.decisions.length];
    this.count.textContent = found === all ? `${all} decisions` : `${found} of ${all} decisions`;
  }

  extend(by) {
    const shown = this.list.childElementCount;
    for (const decision of this.found.slice(shown, shown + by)) this.list.append(this.row(decision));
    const left = this.found.length - this.list.childElementCount;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${Math.min(AT_ONCE, left)} more of ${left}`;
  }

  reveal() {
    const index = this.found.findIndex(({ key }) => key === this.state.open);
    const target = index < 0 ? document.getElementById("decisions") : this.list.children[index];
    target.scrollIntoView();
    if (index >= 0) target.querySelector("summary").focus({ preventScroll: true });
  }

  row(decision) {
    const { conversation, at, key, kind, labels } = decision;
    const tags = [conversation.split, kind, ...labels].map((tag) => node("span", { class: "tag" }, tag));
    const marks = this.shownOf(decision, "").map(([model, { right, outcome }]) => {
      const [mark, css] = MARKS[right];
      const who = `${mark} ${model.title} ${model.mode}`;
      return node("span", { class: css === "not checkable" ? "unknown" : css, title: outcome }, who);
    });
    const asked = conversation.messages.slice(0, at).findLast(({ role }) => role === "user");
    const summary = node(
      "summary",
      {},
      node("b", {}, key),
      node("span", {}, ...tags.flatMap((tag) => [tag, " "])),
      node("span", { class: "marks" }, ...marks),
      node("span", { class: "asked" }, asked ? this.text(asked).slice(0, 160) : ""),
    );
    const details = node("details", { class: "example" }, summary);
    const open = () => details.querySelector(".body") ?? details.append(this.body(decision));
    if (key === this.state.open) {
      details.open = true;
      open();
    }
    details.addEventListener("toggle", () => {
      if (details.open) open();
      else if (this.state.open !== key) return;
      this.state.open = details.open ? key : "";
      this.write();
    });
    return node("li", {}, details);
  }

  body(decision) {
    const { conversation, at, key } = decision;
    const messages = conversation.messages.slice(0, at);
    const earlier = messages.slice(0, -SHOWN_BEFORE);
    const link = node("a", { href: this.address(key) }, "Link to this decision, with these filters");
    return node(
      "div",
      { class: "body" },
      node("p", { class: "note" }, link),
      this.tools(this.data.tools[conversation.tools]),
      ...(earlier.length
        ? [folded(`Earlier messages (${earlier.length})`, () => earlier.map((m) => this.message(m)))]
        : []),
      ...messages.slice(-SHOWN_BEFORE).map((message) => this.message(message)),
      node("div", { class: "answers" }, ...this.answers(decision)),
    );
  }

  tools(tools) {
    if (!tools.length) return node("p", { class: "note" }, "No tools were on offer.");
    return folded(`Tools on offer (${tools.length})`, () =>
      tools.map(({ function: tool }) =>
        node(
          "div",
          { class: "message tool" },
          node("b", {}, tool.name),
          node("p", {}, tool.description ?? ""),
          folded("Parameters", () => [node("pre", { class: "call" }, tool.parameters)]),
        ),
      ),
    );
  }

  message(message) {
    const known = ["system", "user", "assistant", "tool"].includes(message.role) ? message.role : "";
    const parts = [node("div", { class: "role" }, message.role)];
    if (this.text(message)) parts.push(node("pre", {}, this.text(message)));
    if (message.calls.length) parts.push(node("pre", { class: "call" }, actionText(message.calls, "")));
    return node("div", { class: `message ${known}` }, ...parts);
  }

  answers(decision) {
    const record = actionText(decision.record.calls, decision.record.answer);
    const did = this.shownOf(decision, "");
    const base = did.find(([{ key }]) => key === this.state.against);
    const theirs = base ? actionText(base[1].calls, base[1].answer) : record;
    const told = base ? node("pre", {}, ...marked(record, theirs)) : node("pre", {}, record);
    const gold = node("section", { class: "answer gold" }, node("header", {}, node("b", {}, "recorded")), told);
    return [gold, ...did.map(([model, completion]) => this.answer(model, completion, theirs))];
  }

  answer(model, completion, theirs) {
    const [mark, verdict] = MARKS[completion.right];
    const css = { true: "ok", false: "not", null: "" }[completion.right];
    const said = completion.right === false ? `${mark} ${completion.outcome}` : `${mark} ${verdict}`;
    const shade = { true: "right", false: "wrong", null: "unknown" }[completion.right];
    const parts = [
      node(
        "header",
        {},
        node("b", {}, `${model.title} `, node("small", {}, model.mode)),
        node("span", { class: shade }, said),
      ),
    ];
    if (completion.thought)
      parts.push(
        node("div", { class: "thought" }, node("div", { class: "role" }, "thought"), node("pre", {}, completion.thought)),
      );
    const ours = actionText(completion.calls, completion.answer);
    parts.push(ours ? node("pre", {}, ...marked(ours, theirs)) : node("p", { class: "note" }, "No action that can be read."));
    if (completion.notes.length) parts.push(node("ul", {}, ...completion.notes.map((note) => node("li", {}, note))));
    parts.push(folded(`As written; reward ${completion.reward}`, () => [node("pre", { class: "call" }, completion.text)]));
    return node("section", { class: `answer ${css}`, "aria-label": `${model.title} ${model.mode}: ${said}` }, ...parts);
  }

  // --- CSV -------------------------------------------------------------------------------------

  download() {
    const columns = ["decision", "split", "kind", "labels", "recorded", "model", "mode", "verdict", "outcome"];
    const rows = [[...columns, "action", "thought", "reward", "notes"]];
    for (const decision of this.found) {
      const { key, conversation, kind, labels, record } = decision;
      const same = [key, conversation.split, kind, labels.join(" "), actionText(record.calls, record.answer)];
      for (const [model, did] of this.shownOf(decision, this.state.model)) {
        const action = actionText(did.calls, did.answer);
        const verdict = [MARKS[did.right][1], did.outcome, action, did.thought, did.reward];
        rows.push([...same, model.name, model.mode, ...verdict, did.notes.join("; ")]);
      }
    }
    const text = rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
    const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    node("a", { href: url, download: "decisions.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }
}

function called(did) {
  return [...new Set(did.calls.length ? did.calls.map(({ name }) => name) : ["no call"])];
}

function marked(ours, theirs) {
  return difference(ours, theirs).map(([kind, text]) => (kind === "same" ? text : node(kind, {}, text)));
}

/** Return a fold whose content is made when it is first opened. */
function folded(title, content) {
  const details = node("details", { class: "earlier" }, node("summary", {}, title));
  details.addEventListener("toggle", () => details.append(...content()), { once: true });
  return details;
}

/** Return a cell of a CSV file; a spreadsheet would run what begins like a formula. */
function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && typeof value !== "number" ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

async function explore() {
  const packed = document.getElementById("data");
  if (!packed) return;
  const data = await unpacked(packed.textContent);
  document.getElementById("explorer").hidden = false;
  new Explorer(data);
}

explore();
