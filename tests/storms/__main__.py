"""``python -m tests.storms``: the table of all storms."""

import argparse
import sys
import time

from tests.storms.storm import alone, every_fault, problems, together


def main() -> int:
    parser = argparse.ArgumentParser(description="every fault of the simulator alone at 30 %, and all together")
    parser.add_argument("--jobs", type=int, default=60)
    jobs = parser.parse_args().jobs
    bad = 0
    print(f"{'storm':<24} runs  done  failed  doubt  charges  paid  hours   real  causes")
    storms = [*((f"{place}:{kind}", place, kind) for place, kind in every_fault()), ("all together", "", "")]
    for name, place, kind in storms:
        began = time.monotonic()
        weather = alone(place, kind, jobs) if place else together(10 * jobs)
        failures = problems(weather, jobs if place else 10 * jobs)
        bad += bool(failures)
        causes = ", ".join(f"{count} {cause}" for cause, count in weather.causes.items())
        print(
            f"{name:<24}{weather.runs:>5}{weather.done:>6}{weather.failed:>8}{weather.in_doubt:>7}"
            f"{weather.most_charges:>9}{weather.most_attempts:>6}{weather.seconds / 3600:>7.2f}"
            f"{time.monotonic() - began:>6.1f}s  {causes}{'  PROBLEM: ' + '; '.join(failures) if failures else ''}",
            flush=True,
        )
    print(f"{len(storms)} storms, {bad} with problems; charges and paid attempts are the most for any one job")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
