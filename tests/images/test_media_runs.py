"""Whole runs of a model that takes pictures: files and objects as inputs, and a real S3 server that gives them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.bucket_run import Place
from tests.support.object_store import ObjectStore, obstore, proxied

MODEL = "bytedance/seedream-5.0-pro/image-to-image"  # takes a list of pictures
ONE = "clarity/upscaler/image-to-image"  # takes one picture, and no prompt


class Inputs(Place):
    """A folder with pictures and a manifest, and a bucket of its own for inputs."""

    def __init__(self, folder: Path, server: ObjectStore) -> None:
        super().__init__(folder, server, "inputs")
        for number, name in enumerate(("cat", "dog", "owl")):
            self.picture(f"{name}.png", number)

    def picture(self, name: str, colour: int) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (20, 20), (colour, 0, 0)).save(path)
        return path

    def words(self, manifest: str, *more: str, model: str = MODEL) -> list[str]:
        ratio = ["--set", "aspect_ratio=1:1"] if model == MODEL else []
        flags = ["--simulate", "--model", model, *ratio, "--rate", "200/s", "--progress", "none"]
        return ["run", manifest, "-o", str(self.dir), *flags, *more]

    def run(self, manifest: str, *more: str, model: str = MODEL, **environment: str) -> Any:
        """With --media."""
        return self.batcher(*self.words(manifest, "--media", self.url, *more, model=model), **environment)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.dir / "report.json").read_bytes())
        return report

    def sidecars(self) -> list[dict[str, Any]]:
        sidecars = [json.loads(path.read_bytes()) for path in sorted((self.dir / "images").rglob("*.json"))]
        return sorted(sidecars, key=lambda one: one["source"]["line"])

    def sent(self) -> list[list[str]]:
        """The links that the service was given, without their queries."""
        lines = (self.dir / ".simulator.jsonl").read_text(encoding="utf-8").splitlines()
        accepted = [json.loads(line) for line in lines if '"accepted"' in line]
        return [one["inputs"].get("image", one["inputs"].get("image_url")) for one in accepted]


@pytest.fixture
def inputs(tmp_path: Path, server: ObjectStore) -> Inputs:
    return Inputs(tmp_path, server)


YAML = """
model: bytedance/seedream-5.0-pro/image-to-image
media: {place}
defaults: {{aspect_ratio: "1:1"}}
prompts:
  - {{prompt: file, image: {{file: cat.png}}}}
  - {{prompt: path, image: ./dog.png}}
  - {{prompt: list, image: [{{file: cat.png}}, {place}/mine/owl.png]}}
  - {{prompt: vars, image: "{{which}}.png", vars: {{which: [cat, dog]}}}}
"""


def test_files_and_objects_are_sent_as_links_and_no_link_is_kept(inputs: Inputs) -> None:
    obstore.put(inputs.store, "mine/owl.png", (inputs.folder / "owl.png").read_bytes())
    inputs.write("m.yaml", YAML.format(place=inputs.url))
    words = ["run", "m.yaml", "-o", inputs.dir, "--simulate", "--log", inputs.folder / "log.jsonl"]
    done = inputs.batcher(*words)
    assert done.returncode == 0, done.stderr
    assert len(inputs.objects()) == 3  # two files of this machine, and the object that lay there
    assert all(name.startswith(("sha256/", "mine/")) for name in inputs.objects())
    file, path, several, *chosen = inputs.sidecars()
    assert file["inputs"]["image"][0].startswith("sha256:")
    assert file["meta"]["image_file"] == "cat.png"
    assert path["meta"]["image_file"] == "./dog.png"
    assert several["meta"]["image_file"] == ["cat.png", f"{inputs.url}/mine/owl.png"]
    assert {tuple(one["inputs"]["image"]) for one in chosen} == {
        tuple(file["inputs"]["image"]), tuple(path["inputs"]["image"])
    }  # fmt: skip
    assert any("/mine/owl.png" in links[-1] for links in inputs.sent())
    inputs.batcher("view", inputs.dir, "--export", inputs.folder / "page")
    spoken = (done.stdout + done.stderr).encode()
    kept = [file.read_bytes() for file in inputs.folder.rglob("*") if file.is_file()]
    assert not [text for text in (*kept, spoken) if b"X-Amz" in text or b"Signature" in text]


def test_a_column_takes_paths_and_mappings_and_lists(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\nb,{file: dog.png}\nc,cat.png; dog.png\n")
    assert inputs.run("m.csv").returncode == 0
    one, two, both = (sidecar["inputs"]["image"] for sidecar in inputs.sidecars())
    assert both == [*one, *two]


def test_a_model_without_prompt_takes_files_as_its_prompts(inputs: Inputs) -> None:
    inputs.write("m.csv", "image_url\ncat.png\n{file: dog.png}\n")
    done = inputs.run("m.csv", model=ONE)
    assert done.returncode == 0, done.stderr
    assert [sidecar["meta"]["image_url_file"] for sidecar in inputs.sidecars()] == ["cat.png", "dog.png"]
    assert all("sha256" not in path.name for path in (inputs.dir / "images").rglob("*"))


def test_prompts_of_such_a_model_are_files_in_yaml_too(inputs: Inputs) -> None:
    yaml = "prompts:\n- {file: cat.png}\n- {image_url: {file: dog.png}, scale: 4}\n- owl.png\n"
    inputs.write("m.yaml", yaml)
    done = inputs.run("m.yaml", model=ONE)
    assert done.returncode == 0, done.stderr
    assert [sidecar["meta"]["image_url_file"] for sidecar in inputs.sidecars()] == ["cat.png", "dog.png", "owl.png"]


def test_a_sweep_over_files_names_its_images_after_them(inputs: Inputs) -> None:
    yaml = "prompts: [a]\nmatrix: {image: [{file: cat.png}, {file: dog.png}]}\n"
    inputs.write("m.yaml", yaml)
    done = inputs.run("m.yaml")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (inputs.dir / "images").rglob("*.png"))
    assert ["cat" in names[0], "dog" in names[1]] == [True, True]


def test_from_python_files_are_relative_to_where_the_caller_stands(inputs: Inputs) -> None:
    code = f"""
from pathlib import Path
import batcher
rows = [{{"prompt": "a", "image": "cat.png"}}, {{"prompt": "b", "image": Path("dog.png")}},
        {{"prompt": "c", "image": {{"file": "owl.png"}}}}]
report = batcher.run(rows, out="run", simulate=True, model="{MODEL}", set={{"aspect_ratio": "1:1"}},
                     media="{inputs.url}")
assert report.done == 3, report
images = batcher.open("run").images()
assert all(image.inputs["image"][0].startswith("sha256:") for image in images)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **inputs.server.environment}, cwd=inputs.folder,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(inputs.objects()) == 3


def test_a_moved_file_is_the_same_job_and_an_edited_one_is_another(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\nb,dog.png\n")
    assert inputs.run("m.csv").returncode == 0
    (inputs.folder / "cat.png").rename(inputs.folder / "tabby.png")
    inputs.write("m.csv", "prompt,image\na,tabby.png\nb,dog.png\n")
    assert inputs.run("m.csv").returncode == 0
    assert inputs.report()["submits"] == 0
    inputs.picture("dog.png", 99)
    assert inputs.run("m.csv").returncode == 0
    assert inputs.report()["submits"] == 1
    assert len(inputs.objects()) == 3


def test_a_file_that_is_gone_after_its_upload_is_no_loss(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\n")
    assert inputs.run("m.csv").returncode == 0
    (inputs.folder / "cat.png").unlink()
    inputs.write("m.csv", "prompt,image\na,cat.png\nb,cat.png\n")
    more = inputs.run("m.csv", "--progress", "lines")
    assert more.returncode == 0, more.stderr
    assert "cat.png is gone" in more.stderr
    assert inputs.report()["submits"] == 1


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("gone.png", None, "is not there"),
        ("page.png", b"<!doctype html><html>", "by its bytes"),
        ("empty.png", b"", "is empty"),
        ("film.png", b"\0\0\0\x18ftypisom" + bytes(40), "must be an image"),
        ("large.png", b"\x89PNG\r\n\x1a\n" + bytes(30_000_001), "30 MB"),  # the schema says 30 MB
    ],
)
def test_a_file_that_is_no_image_for_it_is_said_with_its_place_and_nothing_is_paid(
    inputs: Inputs, name: str, content: bytes | None, word: str
) -> None:
    if content is not None:
        (inputs.folder / name).write_bytes(content)
    inputs.write("m.csv", f"prompt,image\na,{name}\n")
    refused = inputs.run("m.csv")
    assert refused.returncode == 65
    assert "m.csv:2:3" in refused.stderr
    assert word in refused.stderr
    assert not inputs.objects()


def test_without_a_place_for_uploads_a_path_says_what_to_do(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\n")
    refused = inputs.batcher(*inputs.words("m.csv"))
    assert refused.returncode == 65
    assert "m.csv:2:3" in refused.stderr
    assert "--media s3://" in refused.stderr


def test_plan_says_how_much_there_is_to_upload_and_uploads_nothing(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\nb,cat.png\nc,dog.png\n")
    words = ["plan", "m.csv", "--simulate", "--model", MODEL, "--set", "aspect_ratio=1:1", "--media", inputs.url]
    facts = json.loads(inputs.batcher(*words, "--json").stdout)
    assert (facts["jobs"], facts["media"]["files"], facts["media"]["to_upload"]) == (3, 2, 2)
    assert not inputs.objects()


def test_an_object_that_somebody_changed_is_read_again_and_is_another_job(inputs: Inputs) -> None:
    obstore.put(inputs.store, "mine.png", (inputs.folder / "cat.png").read_bytes())
    inputs.write("m.csv", f"prompt,image\na,{inputs.url}/mine.png\n")
    assert inputs.batcher(*inputs.words("m.csv")).returncode == 0  # no --media: nothing is uploaded
    assert inputs.batcher(*inputs.words("m.csv")).returncode == 0
    assert inputs.report()["submits"] == 0
    obstore.put(inputs.store, "mine.png", (inputs.folder / "dog.png").read_bytes())
    assert inputs.batcher(*inputs.words("m.csv")).returncode == 0
    assert inputs.report()["submits"] == 1


def test_objects_are_read_several_at_a_time_and_those_beyond_the_limit_not_at_all(inputs: Inputs) -> None:
    for number in range(12):
        content = inputs.picture("one.png", number).read_bytes()
        obstore.put(inputs.store, f"mine/{number}.png", content)
    rows = [f"picture {number},{inputs.url}/mine/{number}.png\n" for number in range(12)]
    inputs.write("m.csv", "prompt,image\n" + "".join(rows))
    with proxied(inputs.server) as (proxy, endpoint):
        proxy.rude = "wants company"
        words = ["plan", "m.csv", "--simulate", "--model", MODEL, "--set", "aspect_ratio=1:1", "--limit", "8"]
        done = inputs.batcher(*words, AWS_ENDPOINT_URL=endpoint)
        assert done.returncode == 0, done.stderr
        assert not proxy.company.broken  # each of them waited until three others were under way
        read = [path for method, path in proxy.seen if method == "GET"]
        assert len(read) == 8


def test_a_place_that_is_none_is_said_with_its_line(inputs: Inputs) -> None:
    inputs.write("m.yaml", "prompts:\n  - {prompt: a, image: {file: cat.png}}\nmedia: s3:/inputs\n")
    refused = inputs.batcher(*inputs.words("m.yaml"))
    assert refused.returncode == 65
    assert "m.yaml:3:8: `media` s3:/inputs: not a place in a bucket" in refused.stderr


def test_a_run_that_is_killed_uploads_nothing_twice_and_pays_nothing_twice(inputs: Inputs) -> None:
    rows = "".join(f"job {at},{name}.png\n" for at in range(20) for name in ("cat", "dog"))
    inputs.write("m.csv", f"prompt,image\n{rows}")
    with proxied(inputs.server) as (proxy, endpoint):
        environment = {**inputs.server.environment, "AWS_ENDPOINT_URL": endpoint}
        words = inputs.words("m.csv", "--media", inputs.url)
        words[words.index("200/s")] = "20/s"
        process = subprocess.Popen(
            inputs.command(*words), env={**os.environ, **environment}, cwd=inputs.folder, stdout=subprocess.DEVNULL
        )
        while len(list(inputs.dir.rglob("images/*/*.png"))) < 4:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        again = inputs.run("m.csv", AWS_ENDPOINT_URL=endpoint)
        assert again.returncode in {0, 5}, again.stderr
        uploads = [path for method, path in proxy.seen if method == "PUT"]
    assert len(uploads) == len(set(uploads)) == 2
    report = inputs.report()
    assert report["done"] + report["in_doubt"] == 40
    assert len(inputs.sent()) <= 40


def test_a_bucket_that_denies_ends_the_run_before_anything_is_paid(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\n")
    refused = inputs.run("m.csv", AWS_SECRET_ACCESS_KEY="wrong-one")
    assert refused.returncode == 73
    assert "Renew the credentials" in refused.stderr
    assert "wrong-one" not in refused.stderr
    assert inputs.run("m.csv").returncode == 0


def test_links_that_do_not_work_are_noticed_before_anything_is_paid(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\n")
    with proxied(inputs.server) as (proxy, endpoint):
        proxy.rude = "denies links"
        refused = inputs.run("m.csv", AWS_ENDPOINT_URL=endpoint)
    assert refused.returncode == 73
    assert "HTTP 403" in refused.stderr
    assert "X-Amz" not in refused.stderr
    assert not (inputs.dir / ".simulator.jsonl").exists() or not inputs.sent()


def test_a_bucket_that_is_emptied_in_the_middle_is_filled_again_from_the_files(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\n")
    assert inputs.run("m.csv").returncode == 0
    obstore.delete(inputs.store, list(inputs.objects()))
    inputs.write("m.csv", "prompt,image\na,cat.png\nb,cat.png\n")
    assert inputs.run("m.csv").returncode == 0
    assert len(inputs.objects()) == 1


def test_an_exported_manifest_names_its_files_by_what_is_in_them(inputs: Inputs) -> None:
    inputs.write("m.csv", "prompt,image\na,cat.png\n")
    assert inputs.run("m.csv").returncode == 0
    chosen = inputs.folder / "chosen"
    assert inputs.batcher("export", inputs.dir, chosen, "--to", "manifest").returncode == 0
    records = next(chosen.rglob("*.jsonl"))
    again = inputs.batcher(
        "run", records, "-o", inputs.folder / "again", "--simulate", "--media", inputs.url, "--progress", "none"
    )
    assert again.returncode == 0, again.stderr
    report = json.loads((inputs.folder / "again" / "report.json").read_bytes())
    assert report["submits"] == 1
