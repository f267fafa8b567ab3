// Where tiles stand. Pure: numbers in, numbers out; nothing here knows the page.
// A plan: x, y, w, h of each place in the list; rows, of the places from..to; heads; the whole height.

function empty(count) {
	const column = () => new Float64Array(count);
	return { x: column(), y: column(), w: column(), h: column(), rows: [], heads: [], height: 0 };
}

// Returns where it ends.
function put({ x, y, w, h }, at, left, top, ratio, tall) {
	[x[at], y[at], w[at], h[at]] = [left, top, ratio * tall, tall];
	return left + ratio * tall;
}

// Rows that fill the width, each about `target` high; the last row of a section keeps the target height. Returns y below.
function fill(plan, ratio, first, last, left, width, top, target, gap) {
	let y = top;
	for (let at = first; at < last;) {
		let sum = 0, end = at;
		const height = (count) => (width - gap * (count - 1)) / sum;
		do sum += ratio(end++); while (end < last && sum * target + gap * (end - at - 1) < width);
		const full = height(end - at) <= target;
		if (full && end - at > 1) {  // one tile less, where that is nearer to the target
			const lower = height(end - at);
			sum -= ratio(--end);
			if (height(end - at) - target >= target - lower) sum += ratio(end++);
		}
		const tall = full ? Math.min(height(end - at), target * 1.6) : target;
		let x = left;
		plan.rows.push({ from: at, to: end, top: y, height: tall });
		for (; at < end; at++) x = put(plan, at, x, y, ratio(at), tall) + gap;
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
			plan.heads.push({ kind: "prompt", id: promptOf(at), x: 0, top: y, w: width, height: head });
			y += head;
		}
		plan.heads.push({ kind: "group", id: groupOf(at), x: 0, top: y, w: gutter || width, height: above || target });
		// Tiles of one group fit into one row where they can do so without becoming small.
		const one = (width - gutter - gap * (end - at - 1)) / sum;
		y = fill(plan, ratio, at, end, gutter, width - gutter, y + above, one >= target * 0.62 ? Math.min(target, one) : target, gap) + gap;
		at = end;
	}
	plan.height = y;
	return plan;
}

// A table: cells[row][col] are lists of ratios. Rows are equally high, as high as all columns beside each other allow.
export function table(cells, width, tallest, gap, gutter, head) {
	const plan = empty(cells.flat(2).length), sum = (all) => all.reduce((one, other) => one + other, 0);
	const widest = (cells[0] || []).map((_, col) => Math.max(...cells.map((row) => sum(row[col]))) || 1);
	const tall = Math.max(40, Math.min(tallest, (width - gutter - gap * (widest.length - 1)) / sum(widest)));
	let left = gutter, y = head, at = 0;
	const lefts = widest.map((wide, id) => {
		const x = left, w = wide * tall;
		plan.heads.push({ kind: "col", id, x, top: 0, w, height: head });
		left += w + gap;
		return x;
	});
	cells.forEach((row, id) => {
		const from = at;
		plan.heads.push({ kind: "row", id, x: 0, top: y, w: gutter, height: tall });
		row.forEach((ratios, col) => {
			let x = lefts[col];
			for (const ratio of ratios) x = put(plan, at++, x, y, ratio, tall) + 2;
		});
		if (at > from) plan.rows.push({ from, to: at, top: y, height: tall });
		y += tall + gap;
	});
	plan.height = y;
	return plan;
}

// The first of sorted rows or heads that ends below a line.
export function firstBelow(sorted, line) {
	let low = 0, high = sorted.length;
	while (low < high) {
		const middle = (low + high) >> 1, { top, height } = sorted[middle];
		if (top + height < line) low = middle + 1; else high = middle;
	}
	return low;
}

export const middle = (plan, place) => plan.x[place] + plan.w[place] / 2;

// The tile of the row above (-1) or below (1) that is nearest to x; the place itself where there is no such row.
export function neighbour(plan, place, step, x) {
	const row = plan.rows[plan.rows.findIndex(({ to }) => place < to) + step];
	if (!row) return place;
	let best = row.from;
	for (let other = row.from; other < row.to; other++) if (Math.abs(middle(plan, other) - x) < Math.abs(middle(plan, best) - x)) best = other;
	return best;
}
