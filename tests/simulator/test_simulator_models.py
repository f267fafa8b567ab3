"""Models of other shapes: each is planned, run and kept by batcher; and the official clients' ways go through."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from batcher.commands.cli import cli
from tests.simulator.bare_client import IMAGEN, TOKEN, service
from tests.support.virtual import run

PUBLIC = "https://example.com/a.png"
ROWS = {
    "google/nano-banana-2/edit": {"prompt": "night", "image_urls": [PUBLIC]},
    "bytedance/seedream-4-0/sequential": {"prompt": "Generate 3 images of a lighthouse", "seed": None},
    "bytedance/seedream-4-5/edit": {"prompt": "night", "images": [PUBLIC, "https://example.com/b.png"]},
    "runwayml/runway-gen-4-turbo/image-to-video": {"promptImage": PUBLIC, "promptText": "it moves"},
    "ace-step/ace-step-1.5/text-to-audio": {"prompt": "lofi, piano", "duration": 5},
    "clarity/upscaler/image-to-image": {"image_url": PUBLIC},
    "community/wan-2-1/fusionx/image-to-video": {"600_prompt": "a kite", "608_image": PUBLIC},
}


@pytest.mark.parametrize("model", ROWS)
def test_a_model_of_another_shape_runs_from_a_manifest_to_its_files(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(json.dumps({"model": model, "prompts": [ROWS[model]]}))
    flags = ["--simulate", "-o", "run", "--json", "--check-inputs", "none"]
    done = CliRunner().invoke(cli, ["run", "m.yaml", *flags, "--progress", "none"], standalone_mode=False)
    assert done.exception is None, (done.exception, done.output)
    report = json.loads(done.stdout)
    assert (report["done"], report["failed"]) == (1, 0), report
    files = [path for path in Path("run/images").rglob("*") if path.is_file() and path.suffix != ".json"]
    wanted = {"text-to-audio": ".wav", "image-to-video": ".mp4"}.get(model.rpartition("/")[2], ".png")
    assert {path.suffix for path in files} == {wanted}
    assert len(files) == (4 if "sequential" in model else 1)


def test_media_that_is_not_public_https_is_refused() -> None:
    async def story() -> None:
        async with service() as client:
            private = ("https://127.0.0.1/a.png", "https://10.0.0.7/a.png", "https://localhost/a.png", "https://[::1")
            for url in ("http://example.com/a.png", "file:///a.png", "data:image/png;base64,AA", "a.png", *private):
                path = "/v1/models/clarity/upscaler/image-to-image"
                status, body, _ = await client.call("POST", path, json={"image_url": url})
                assert (status, body["detail"][0]["type"]) == (422, "url_scheme")

    run(story())


def test_media_in_the_request_itself_is_taken_by_a_switch_as_the_partner_nodes_send_it() -> None:
    async def story() -> None:
        async with service(data_uris=True) as client:
            path = "/v1/models/clarity/upscaler/image-to-image"
            for url, wanted in (("data:image/png;base64,AA", 200), ("http://example.com/a.png", 422)):
                assert (await client.call("POST", path, json={"image_url": url}))[0] == wanted

    run(story())


def test_behind_a_proxy_that_ends_tls_every_link_is_https() -> None:
    async def story() -> None:
        async with service(latency="1") as client:
            headers = {"Authorization": TOKEN, "X-Forwarded-Proto": "https", "Host": "model-api.runcomfy.net"}
            body = (await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": "a heron"}, headers=headers))[1]
            await asyncio.sleep(2)
            result = (await client.call("GET", f"/v1/requests/{body['request_id']}/result", headers=headers))[1]
            for link in (body["status_url"], body["result_url"], body["cancel_url"], result["output"]["image"]):
                assert link.startswith("https://model-api.runcomfy.net/")

    run(story())


def test_required_inputs_with_a_default_may_be_left_out_by_a_switch() -> None:
    async def story(wanted: int, **settings: Any) -> None:
        async with service(**settings) as client:
            assert (await client.call("POST", f"/v1/models/{IMAGEN}", json={}))[0] == wanted

    run(story(422))
    run(story(200, defaults_fill=True))


# The ways of the official clients, as their public code goes them.


def test_the_way_of_the_mcp_server() -> None:
    async def story() -> None:
        async with service(latency="2") as client:
            kinds = (await client.call("GET", "/v1/models/categories"))[1]["categories"]
            page = (await client.call("GET", "/v1/models?category=text-to-image&limit=100&include_schema=true"))[1]
            assert "text-to-image" in kinds
            assert page["models"][0]["required_inputs"] == ["prompt"]
            request_id = await client.submit("a heron")
            while (await client.status(request_id))["status"] != "completed":  # noqa: ASYNC110  their way
                await asyncio.sleep(3)
            assert (await client.result(request_id, ""))["output"]["image"]
            assert (await client.call("POST", f"/v1/requests/{request_id}/cancel"))[1]["outcome"] == "not_cancellable"
            assert (await client.call("GET", "/prod/v2/balance"))[1]["currency"] == "USD"

    run(story())


def test_the_way_of_the_partner_nodes() -> None:
    async def story() -> None:
        async with service(latency="7", success_word="completed") as client:
            entry = (await client.call("GET", f"/v1/models/{IMAGEN}"))[1]
            assert entry["base_price_usd"] > 0
            request_id = await client.submit("a heron")
            while (result := await client.result(request_id))["status"] != "completed":  # noqa: ASYNC110  their way
                await asyncio.sleep(5)
            assert result["cost"] == entry["base_price_usd"]
            assert (await client.file(result["output"]["image"]))[0] == 200

    run(story())


def test_the_way_of_the_zapier_app() -> None:
    async def story() -> None:
        async with service(latency="2", submit_status=202, unfinished_result=400005) as client:
            seen = 0
            while models := (await client.call("GET", f"/v1/models?limit=4&offset={seen}"))[1]["models"]:
                seen += len(models)
            assert seen == 10
            status, body, _ = await client.call("POST", f"/v1/models/{IMAGEN}", json={"prompt": "a heron"})
            assert (status, body["status"]) == (202, "in_queue")
            path = f"/v1/requests/{body['request_id']}/result"
            status, early, _ = await client.call("GET", path)
            assert (status, early["error_code"]) == (400, 400005)
            await asyncio.sleep(3)
            assert (await client.call("GET", path))[0] == 200

    run(story())
