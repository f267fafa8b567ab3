// Filters on a page without a server: comparisons of --where with `and` and `or` between them, without parentheses.

const SIDE = "\"[^\"]*\"|'[^']*'|[\\w.-]+", OUTSIDE_OF_QUOTES = "(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)";
const PART = RegExp(`^(not )?\\s*(?:flag:([\\w-]+)|(${SIDE})\\s*([=!<>]=|[<>]|(?:not )?in\\b)\\s*(${SIDE}))$`);
const WORDS = { true: true, false: false, null: null, none: null };
const not = (test) => (a, b) => !test(a, b), alike = (test) => (a, b) => typeof a === typeof b && a !== null && test(a, b);
const same = (a, b) => (a ?? null) === (b ?? null), isIn = (a, b) => Boolean(b?.includes?.(a));
const TESTS = {
	"==": same, "!=": not(same), in: isIn, "not in": not(isIn),
	"<": alike((a, b) => a < b), "<=": alike((a, b) => a <= b), ">": alike((a, b) => a > b), ">=": alike((a, b) => a >= b),
};
const split = (text, word) => text.trim().split(RegExp(`\\s+${word}\\s+${OUTSIDE_OF_QUOTES}`));

function value(side) {
	if (/^["']/.test(side)) return () => side.slice(1, -1);
	const word = side.toLowerCase(), constant = word in WORDS ? WORDS[word] : Number(side);
	return Number.isNaN(constant) ? (values) => values(side) : () => constant;
}
function comparison(part) {
	const [whole, isNot, flag, left, sign, right] = PART.exec(part) || [];
	if (!whole) throw new Error(`${part}: a page without a server knows comparisons alone, such as seed < 10 and "bird" in prompt`);
	const [one, other, test] = flag ? [() => flag, value("flag"), isIn] : [value(left), value(right), TESTS[sign]];
	return (values) => test(one(values), other(values)) !== Boolean(isNot);
}
// Returns a test of values: (name) => value. Throws Error.
export function where(text) {
	const any = split(text, "or").map((all) => split(all, "and").map(comparison));
	return (values) => any.some((all) => all.every((test) => test(values)));
}
