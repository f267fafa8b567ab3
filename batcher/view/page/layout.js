// Where tiles stand. Pure: numbers in, numbers out; nothing here knows the page.
// A layout: x, y, w, h of each place in the list; rows { places, top, height } in order; heads; the whole height.

function empty(count) {
  const column = () => new Float64Array(count);
  return { x: column(), y: column(), w: column(), h: column(), rows: [], heads: [], height: 0 };
}

// Rows that fill the width, each about `target` high; the last row of a section keeps the target height. Returns y below.
function fill(plan, ratio, first, last, left, width, top, target, gap) {
  let y = top;
  for (let at = first; at < last;) {
    let sum = 0, end = at;
    const height = (count) => (width - gap * (count - 1)) / sum;
    do sum += ratio(end++); while (end < last && sum * target + gap * (end - at) < width);
    const full = height(end - at) <= target;
    if (full && end - at > 1) {  // one tile less, where that is nearer to the target
      const lower = height(end - at);
      sum -= ratio(--end);
      if (height(end - at) - target >= target - lower) sum += ratio(end++);
    }
    const tall = full ? Math.min(height(end - at), target * 1.6) : target;
    let x = left;
    plan.rows.push({ from: at, to: end, top: y, height: tall });
    for (; at < end; at++) {
      plan.x[at] = x; plan.y[at] = y; plan.w[at] = ratio(at) * tall; plan.h[at] = tall;
      x += plan.w[at] + gap;
    }
    y += tall + gap;
  }
  return y;
}

export function justified(count, ratio, width, target, gap) {
  const plan = empty(count);
  plan.height = fill(plan, ratio, 0, count, 0, width, 0, target, gap);
  return plan;
}

// One section a group, a heading where a new prompt begins. groupOf, promptOf: of a place. gutter: room at the left.
export function grouped(count, ratio, groupOf, promptOf, width, target, gap, gutter, head) {
  const plan = empty(count), above = gutter ? 0 : 26;
  let y = 0;
  for (let at = 0; at < count;) {
    let end = at, sum = 0;
    while (end < count && groupOf(end) === groupOf(at)) sum += ratio(end++);
    if (!at || promptOf(at) !== promptOf(at - 1)) {
      if (at) y += gap * 3;
      plan.heads.push({ kind: "prompt", id: promptOf(at), x: 0, y, w: width, h: head });
      y += head;
    }
    plan.heads.push({ kind: "group", id: groupOf(at), x: 0, y, w: gutter || width, h: above || target });
    // Tiles of one group fit into one row where they can do so without becoming small.
    const one = (width - gutter - gap * (end - at - 1)) / sum;
    y = fill(plan, ratio, at, end, gutter, width - gutter, y + above, one >= target * 0.62 ? Math.min(target, one) : target, gap) + gap;
    at = end;
  }
  plan.height = y;
  return plan;
}

// A table: cells[row][col] are lists of places, which follow each other row by row. Rows are equally high, as high as
// all columns beside each other allow.
export function table(count, ratio, cells, cols, width, tallest, gap, gutter, head) {
  const plan = empty(count), across = (places) => places.reduce((sum, place) => sum + ratio(place), 0);
  const widest = Array.from({ length: cols }, (_, col) => Math.max(...cells.map((row) => across(row[col]))) || 1);
  const tall = Math.max(40, Math.min(tallest, (width - gutter - gap * (cols - 1)) / widest.reduce((sum, one) => sum + one, 0)));
  let left = gutter, y = head;
  const lefts = widest.map((wide, id) => {
    const x = left;
    plan.heads.push({ kind: "col", id, x, y: 0, w: wide * tall, h: head });
    left += wide * tall + gap;
    return x;
  });
  cells.forEach((row, id) => {
    const places = row.flat();
    plan.heads.push({ kind: "row", id, x: 0, y, w: gutter, h: tall });
    if (places.length) plan.rows.push({ from: places[0], to: places.at(-1) + 1, top: y, height: tall });
    row.forEach((inside, col) => {
      let x = lefts[col];
      for (const at of inside) { plan.x[at] = x; plan.y[at] = y; plan.w[at] = ratio(at) * tall; plan.h[at] = tall; x += plan.w[at] + 2; }
    });
    y += tall + gap;
  });
  plan.height = y;
  return plan;
}

// The first of what is sorted that ends below a line: rows have top and height, heads y and h.
export function firstBelow(sorted, line) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1, { top, height, y, h } = sorted[middle];
    if ((top ?? y) + (height ?? h) < line) low = middle + 1; else high = middle;
  }
  return low;
}

export const middle = (plan, place) => plan.x[place] + plan.w[place] / 2;

// The tile of the row above (-1) or below (1) that is nearest to x; the place itself where there is no such row.
export function neighbour(plan, place, step, x) {
  const at = plan.rows.findIndex(({ from, to }) => from <= place && place < to), row = plan.rows[at + step];
  if (!row) return place;
  let best = row.from;
  for (let other = row.from; other < row.to; other++) if (Math.abs(middle(plan, other) - x) < Math.abs(middle(plan, best) - x)) best = other;
  return best;
}
