"""The scripts of the pages on shards and workers: their syntax, their fields, and what they start."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from batcher.commands.cli import load
from batcher.core.exit_codes import EXIT_CODES
from tests.docs import readme

PAGE = readme.page("shards")
BASH = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
SLURM = next(block for block in BASH if "#SBATCH" in block)
RAY = re.findall(r"```bash\n(.*?)```", readme.page("workers"), re.DOTALL)[0]
JOB = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])

# batch/v1 Job and core/v1 Pod, as far as the page goes.
JOB_FIELDS = {
    "parallelism", "completions", "completionMode", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes",
    "podFailurePolicy", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "suspend", "template",
}  # fmt: skip
POD_FIELDS = {"restartPolicy", "terminationGracePeriodSeconds", "containers", "volumes", "securityContext"}
CONTAINER_FIELDS = {"name", "image", "workingDir", "command", "args", "env", "resources", "volumeMounts"}
SBATCH_FLAGS = {"--job-name", "--array", "--time", "--cpus-per-task", "--mem", "--signal", "--output"}


@pytest.mark.parametrize("block", [*BASH, RAY], ids=lambda block: block.split("\n")[0][:40])
def test_bash_reads_every_script(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_the_slurm_script_starts_the_shard_of_its_array_index(tmp_path: Path) -> None:
    flags = [line.split()[1].partition("=")[0] for line in SLURM.splitlines() if line.startswith("#SBATCH")]
    assert set(flags) <= SBATCH_FLAGS
    words = _started(tmp_path, SLURM, {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"})
    assert _flags(words)["shard"] == "3/8"


def test_the_script_of_kubernetes_starts_the_shard_of_its_index(tmp_path: Path) -> None:
    (container,) = JOB["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/bin/sh", "-c"]
    words = _started(tmp_path, container["args"][0], {"JOB_COMPLETION_INDEX": "0"})
    flags = _flags(words)
    assert (flags["shard"], flags["out"]) == ("1/8", "/runs/birds-1-of-8")
    assert JOB["spec"]["completions"] == JOB["spec"]["parallelism"] == 8
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert flags["out"].startswith(mounts["runs"])
    assert flags["token_file"].startswith(mounts["token"])


def test_the_fields_of_the_kubernetes_job_exist() -> None:
    spec = JOB["spec"]
    assert (JOB["apiVersion"], JOB["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
    assert set(spec) <= JOB_FIELDS
    pod = spec["template"]["spec"]
    assert set(pod) <= POD_FIELDS
    assert pod["restartPolicy"] == "Never"  # a podFailurePolicy asks for it
    assert {field for container in pod["containers"] for field in container} <= CONTAINER_FIELDS
    names = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]} == names


def test_the_policy_of_kubernetes_knows_each_exit_code_once() -> None:
    rules: list[dict[str, Any]] = JOB["spec"]["podFailurePolicy"]["rules"]
    assert {rule["action"] for rule in rules} <= {"FailJob", "FailIndex", "Ignore", "Count"}
    by_code = [rule for rule in rules if "onExitCodes" in rule]
    codes = [code for rule in by_code for code in rule["onExitCodes"]["values"]]
    assert sorted(codes) == sorted(set(EXIT_CODES) - {0})
    for rule in by_code:
        asked = rule["onExitCodes"]
        assert asked["values"] == sorted(set(asked["values"]))
        assert set(asked) <= {"containerName", "operator", "values"}
        assert (asked["containerName"], asked["operator"]) == ("batcher", "In")
    again = next(rule["onExitCodes"]["values"] for rule in by_code if rule["action"] == "Count")
    assert set(again) == {69, 75, 130}  # what the table says to run again, without a person


def test_ray_knows_the_flags_of_its_line() -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    words = shlex.split(RAY.replace("\\\n", ""))
    at = words.index("--")
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    shown = subprocess.run([*ray, "job", "submit", "--help"], capture_output=True, text=True, check=True).stdout
    assert words[:3] == ["ray", "job", "submit"]
    assert all(flag in shown for flag in words[:at] if flag.startswith("--"))
    assert _flags(words[at + 2 :])["out"] == "/shared/runs/birds"


def _started(folder: Path, script: str, variables: dict[str, str]) -> list[str]:
    """The words that a script gives batcher, which is another program here."""
    program = folder / ".venv" / "bin" / "batcher"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done\n')
    program.chmod(0o700)
    environ = {"PATH": f"{program.parent}:{os.defpath}", "HOME": str(folder), "SLURM_SUBMIT_DIR": str(folder)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**environ, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def _flags(words: list[str]) -> dict[str, Any]:
    """As ``batcher run`` reads them; raises for what it does not know."""
    assert words[0] == "run"
    context = load("run").make_context("run", words[1:], resilient_parsing=False)
    return context.params
