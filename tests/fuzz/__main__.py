"""The fuzz run: ``python -m tests.fuzz [--inputs 100000] [--target manifest] [--seed 1] [--out DIR]``.

Each target runs in a process of its own, so that its peak memory is its own, and a target that dies or hangs for good
is itself a finding. Exit 0 when there are no findings, else 3; inputs that went wrong are kept in ``--out`` with the
traceback beside them. ``--reproduce FILE --target NAME`` runs one of them again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.fuzz.campaign import Campaign, Outcome
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]


def main() -> int:
    options = _options()
    chosen = [target for target in TARGETS if _is_meant(target, options.target)]
    if not chosen:
        print(f"no such target: {options.target}; there are {', '.join(target.name for target in TARGETS)}")
        return 64
    if options.reproduce:
        chosen[0].check(options.reproduce.read_bytes())
        print("nothing went wrong")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"{'target':<20}{'inputs':>9}{'seconds':>9}{'slowest':>10}{'peak RSS':>10}{'corpus':>8}{'findings':>10}")
    outcomes = []
    for target, inputs in shares(chosen, options.inputs):
        outcomes.append(campaign(target, inputs, options.seed, options.out))
        print(_line(outcomes[-1]), flush=True)
    whole = Outcome("all", sum(o.inputs for o in outcomes), sum(o.seconds for o in outcomes))
    whole.slowest, whole.rss = max(o.slowest for o in outcomes), max(o.rss for o in outcomes)
    whole.corpus, whole.findings = sum(o.corpus for o in outcomes), [line for o in outcomes for line in o.findings]
    print(_line(whole))
    for finding in whole.findings:
        print(f"  {finding}".encode("ascii", "backslashreplace").decode())
    return 3 if whole.findings else 0


def shares(targets: Sequence[Target], inputs: int) -> Iterator[tuple[Target, int]]:
    """Each target's part of the inputs, by weight; together exactly ``inputs``."""
    weights, given, weight = sum(target.weight for target in targets), 0, 0
    for target in targets:
        weight += target.weight
        upto = inputs * weight // weights
        yield target, upto - given
        given = upto


def campaign(target: Target, inputs: int, seed: int, out: Path) -> Outcome:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.campaign", target.name, str(inputs), str(seed)]
    done = subprocess.run([*command, str(out)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Outcome(**json.loads(done.stdout.splitlines()[-1]))
    kept = out / f"{target.name.replace('/', '-')}-died"
    kept.write_bytes((out / "at-hand").read_bytes())
    kept.with_suffix(".txt").write_text(done.stderr)
    errors = done.stderr.strip().splitlines()[-1:] or ["nothing"]
    return Outcome(target.name, findings=[f"{target.name}: it died or hung: {errors[0][:160]} ({kept})"])


def _is_meant(target: Target, name: str | None) -> bool:
    return name is None or target.name == name or target.name.startswith(f"{name}/")


def _line(outcome: Outcome) -> str:
    return (
        f"{outcome.target:<20}{outcome.inputs:>9,}{outcome.seconds:>9.1f}{outcome.slowest * 1000:>7.0f} ms"
        f"{outcome.rss / 2**20:>7.0f} MB{outcome.corpus:>8,}{len(outcome.findings):>10}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N", help="in all, over all targets")
    parser.add_argument("--target", metavar="NAME", help="one of them, or a group: manifest, answer, image, ...")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "batcher-fuzz", metavar="DIR")
    parser.add_argument("--reproduce", type=Path, metavar="FILE", help="run one kept input again, with its traceback")
    return parser.parse_args()


__all__ = ["Campaign", "main"]

if __name__ == "__main__":
    sys.exit(main())
