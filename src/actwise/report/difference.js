"use strict";
// What differs between two texts, word by word: a longest common subsequence.

const MOST_CELLS = 4e6;
const ALIKE = 0.3; // share of words in common below which marking them one by one says nothing

function words(text) {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

/** Return [kind, text] pieces, of kind "same", "ins" (only in `ours`) or "del" (only in `theirs`). */
function difference(ours, theirs) {
  const a = words(theirs);
  const b = words(ours);
  const pieces = [];
  const add = (kind, word) => {
    const last = pieces[pieces.length - 1];
    if (last && last[0] === kind) last[1] += word;
    else pieces.push([kind, word]);
  };
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) add("same", a[start++]);
  let i = a.length;
  let j = b.length;
  while (i > start && j > start && a[i - 1] === b[j - 1]) [i, j] = [i - 1, j - 1];
  const [height, width] = [i - start, j - start];
  if (height * width > MOST_CELLS) {
    a.slice(start, i).forEach((word) => add("del", word));
    b.slice(start, j).forEach((word) => add("ins", word));
  } else {
    walk(a.slice(start, i), b.slice(start, j), add);
  }
  a.slice(i).forEach((word) => add("same", word));
  const common = pieces.filter(([kind]) => kind === "same").flatMap(([, text]) => text.match(/[\p{L}\p{N}_]+/gu) ?? []);
  const all = Math.max(...[a, b].map((side) => side.filter((word) => /[\p{L}\p{N}_]/u.test(word)).length));
  return common.length < ALIKE * all ? [["ins", ours]] : pieces;
}

function walk(a, b, add) {
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const here = i * width + j;
      common[here] =
        a[i] === b[j] ? common[here + width + 1] + 1 : Math.max(common[here + width], common[here + 1]);
    }
  }
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const here = i * width + j;
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add("same", a[i]);
      [i, j] = [i + 1, j + 1];
    } else if (j === b.length || (i < a.length && common[here + width] >= common[here + 1])) {
      add("del", a[i++]);
    } else {
      add("ins", b[j++]);
    }
  }
}
