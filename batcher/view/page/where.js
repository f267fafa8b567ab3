// The language of --where, for a page without a server. Returns a test of values: (name) => value. Throws Error.

const TOKEN = /\s*(?:(-?\d+(?:\.\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|flag:([\w-]+)|((?:meta|inputs|chosen)\["[^"]*"\]|[A-Za-z_]\w*(?:\.\w+)?)|(==|!=|<=|>=|[<>()[\],]))/y;
const WORDS = { true: true, false: false, null: null, True: true, False: false, None: null };
const ORDER = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};
const has = (many, one) => typeof many === "string" ? typeof one === "string" && many.includes(one) : (many || []).includes(one);

export function where(text) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; text.slice(at).trim(); at = TOKEN.lastIndex) {
    const found = TOKEN.exec(text);
    if (!found) throw new Error(`column ${at + 1}: this is not part of an expression`);
    tokens.push(found);
  }
  let at = 0;
  const is = (word) => (tokens[at]?.[4] ?? tokens[at]?.[5]) === word, take = (word) => is(word) && Boolean(++at);
  const need = (word) => { if (!take(word)) throw new Error(`column ${(tokens[at]?.index ?? text.length) + 1}: ${word} is missing`); };

  const either = (part, word, join) => () => {
    const parts = [part()];
    while (take(word)) parts.push(part());
    return parts.length > 1 ? (values) => parts[join]((one) => one(values)) : parts[0];
  };
  const or = either(either(not, "and", "every"), "or", "some");
  function not() {
    if (!take("not")) return comparison();
    const inner = not();
    return (values) => !inner(values);
  }
  function comparison() {
    let left = value(), all = [];
    for (;;) {
      const one = left, op = ["==", "!=", "<=", ">=", "<", ">", "in", "is"].find(take), isNot = is("not") && (++at, op === "is" || take("in"));
      if (!op && !isNot) return all.length ? (values) => all.every((test) => test(values)) : one;
      const other = left = value();
      const test = op in ORDER ? (a, b) => typeof a === typeof b && a !== null && ORDER[op](a, b) : op === "in" || (!op && isNot) ? (a, b) => has(b, a) : (a, b) => (a ?? null) === (b ?? null);
      all.push((values) => test(one(values), other(values)) !== (isNot || op === "!="));
    }
  }
  function value() {
    if (is("(") || is("[")) {
      const close = is("(") ? ")" : "]", items = [];
      let isList = !take("(") && take("[");
      while (!take(close)) { items.push(or()); if (!is(close)) { need(","); isList = true; } }
      return isList ? (values) => items.map((item) => item(values)) : items[0] || (() => []);
    }
    const [, digits, quoted, flag, name] = tokens[at++] || [];
    if (digits) return () => Number(digits);
    if (quoted) { const inside = quoted.slice(1, -1).replace(/\\(.)/g, "$1"); return () => inside; }
    if (flag) return (values) => has(values("flag"), flag);
    if (!name) throw new Error(`column ${(tokens[at - 1]?.index ?? text.length) + 1}: a name or a value is missing`);
    return name in WORDS ? () => WORDS[name] : (values) => values(name.replace(/\["(.*)"\]$/, ".$1"));
  }
  const whole = or();
  if (tokens[at]) throw new Error(`column ${tokens[at].index + 1}: this is not part of an expression`);
  return whole;
}
