// Where tiles stand. Pure: numbers in, numbers out; nothing here knows the page.
// A layout: x, y, w, h of each place in the list; rows (first place, top, height) in order; heads; the whole height.

function empty(count) {
  return { x: new Float64Array(count), y: new Float64Array(count), w: new Float64Array(count), h: new Float64Array(count),
    rows: [], heads: [], height: 0 };
}

function put(plan, place, x, y, w, h) {
  plan.x[place] = x; plan.y[place] = y; plan.w[place] = w; plan.h[place] = h;
}

// Rows that fill the width, each about `target` high; the last row of a section keeps the target height.
function fill(plan, ratio, first, last, left, width, top, target, gap) {
  let y = top;
  for (let at = first; at < last;) {
    let sum = 0, end = at;
    while (end < last) {
      sum += ratio(end++);
      if (sum * target + gap * (end - at - 1) >= width) break;
    }
    const room = width - gap * (end - at - 1);
    const full = sum * target >= room;
    // One row more or one tile less, whichever is nearer to the target.
    if (full && end - at > 1) {
      const without = sum - ratio(end - 1);
      const taller = (width - gap * (end - at - 2)) / without;
      if (taller - target < target - room / sum) { end--; sum = without; }
    }
    const height = full ? Math.min((width - gap * (end - at - 1)) / sum, target * 1.6) : target;
    let x = left;
    plan.rows.push({ first: at, top: y, height });
    for (let place = at; place < end; place++) {
      put(plan, place, x, y, ratio(place) * height, height);
      x += ratio(place) * height + gap;
    }
    y += height + gap;
    at = end;
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
  const plan = empty(count);
  let y = 0;
  for (let at = 0; at < count;) {
    let end = at + 1;
    while (end < count && groupOf(end) === groupOf(at)) end++;
    if (at === 0 || promptOf(at) !== promptOf(at - 1)) {
      if (at) y += gap * 3;
      plan.heads.push({ kind: "prompt", id: promptOf(at), place: at, x: 0, y, w: width, h: head });
      y += head;
    }
    const above = gutter ? 0 : 26;
    plan.heads.push({ kind: "group", id: groupOf(at), place: at, x: 0, y, w: gutter || width, h: above || target });
    // Tiles of one group fit into one row where they can do so without becoming small.
    let sum = 0;
    for (let place = at; place < end; place++) sum += ratio(place);
    const room = width - gutter - gap * (end - at - 1);
    const height = room / sum >= target * 0.62 ? Math.min(target, room / sum) : target;
    y = fill(plan, ratio, at, end, gutter, width - gutter, y + above, height, gap) + gap;
    at = end;
  }
  plan.height = y;
  return plan;
}

// A table: cells[row][col] are lists of places. Every row is as high as all columns beside each other allow.
export function table(count, ratio, cells, cols, width, tallest, gap, gutter, head) {
  const plan = empty(count);
  const widest = Array(cols).fill(0);
  for (const row of cells) row.forEach((places, col) => {
    widest[col] = Math.max(widest[col], places.reduce((sum, place) => sum + ratio(place), 0));
  });
  const across = widest.reduce((sum, one) => sum + (one || 1), 0);
  const height = Math.max(40, Math.min(tallest, (width - gutter - gap * (cols - 1)) / across));
  let x = gutter;
  const lefts = widest.map((one) => { const left = x; x += (one || 1) * height + gap; return left; });
  lefts.forEach((left, col) => plan.heads.push(
    { kind: "col", id: col, place: -1, x: left, y: 0, w: (widest[col] || 1) * height, h: head }));
  let y = head;
  cells.forEach((row, number) => {
    const places = row.flat();
    plan.heads.push({ kind: "row", id: number, place: -1, x: 0, y, w: gutter, h: height });
    if (places.length) plan.rows.push({ first: Math.min(...places), top: y, height, places });
    row.forEach((inside, col) => {
      let left = lefts[col];
      for (const place of inside) { put(plan, place, left, y, ratio(place) * height, height); left += ratio(place) * height + 2; }
    });
    y += height + gap;
  });
  plan.height = y;
  return plan;
}

// The rows that a window of the page shows: [from, to) of plan.rows.
export function visible(rows, top, bottom) {
  const before = (limit) => {
    let low = 0, high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].top + rows[middle].height < limit) low = middle + 1; else high = middle;
    }
    return low;
  };
  const from = before(top);
  let to = from;
  while (to < rows.length && rows[to].top <= bottom) to++;
  return [from, to];
}

// The nearest tile in a direction (0, -1 or 1 each); the place itself where there is none.
export function neighbour(plan, place, dx, dy) {
  const count = plan.x.length;
  if (dx && !dy) return Math.max(0, Math.min(count - 1, place + dx));
  const middle = plan.x[place] + plan.w[place] / 2, here = plan.y[place];
  let best = place, distance = Infinity, line = null;
  for (let other = place + dy; other >= 0 && other < count; other += dy) {
    const y = plan.y[other];
    if (y === here) continue;
    if (line === null) line = y;
    if (y !== line) break;
    const far = Math.abs(plan.x[other] + plan.w[other] / 2 - middle);
    if (far < distance) { distance = far; best = other; }
  }
  return best;
}
