"""What the service's answers mean: every row of the table of events, every shape ever seen, and any rubbish."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batcher.client.outputs import find_urls
from batcher.client.protocol import (
    Reply,
    failure_cause,
    is_model_id,
    is_request_id,
    read_cancel,
    read_json,
    read_result,
    read_status,
    read_submit,
)
from batcher.core.errors import AccountError, BalanceGone, CallError, NotFound, NotSent, Refused, Rejected, Unclear
from batcher.core.job import Accepted, CancelledThere, CancelOutcome, FailedThere, Succeeded, Waiting
from batcher.core.one_line import one_line

A, B, C = (f"https://playgrounds-storage-public.runcomfy.net/{name}%3D/output/{name}.png" for name in "abc")
READS: list[Callable[[Reply], object]] = [read_result, read_status, read_cancel, read_json]
ALL = [read_submit, *READS]
HTML = b"<!DOCTYPE html><title>502 Bad Gateway</title>"


def reply(body: Any, status: int = 200, retry_after: float | None = None) -> Reply:
    return Reply(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


def raised(read: Callable[[Reply], object], body: Any, status: int, retry_after: float | None = None) -> CallError:
    with pytest.raises(CallError) as caught:
        read(reply(body, status, retry_after))
    return caught.value


def finished(output: Any, **more: Any) -> Succeeded:
    answer = read_result(reply({"request_id": "r", "status": "succeeded", "output": output, **more}))
    assert isinstance(answer, Succeeded)
    return answer


def failed(body: Any) -> FailedThere:
    answer = read_result(reply(body))
    assert isinstance(answer, FailedThere)
    return answer


# Submit.


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("name", ["request_id", "requestId", "id"])
def test_a_submit_is_accepted_by_its_request_id(name: str, status: int) -> None:
    assert read_submit(reply({name: "0d6e0c2e-5b1f"}, status)) == Accepted(request_id="0d6e0c2e-5b1f")


def test_the_documented_name_of_the_id_comes_first() -> None:
    assert read_submit(reply({"id": "other", "request_id": "mine"})).request_id == "mine"


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "r1", None, 7, b"", HTML, b"{", {"message": "welcome"}),
        *({"request_id": unusable} for unusable in (None, 12, "", "a/../b", "x" * 129, "a b", "a\n")),
    ],
)
def test_a_success_without_a_usable_id_is_in_doubt(body: Any) -> None:
    assert isinstance(raised(read_submit, body, 200), Unclear)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524, 599, 301, 302, 307, 308, 408, 409, 425, 499])
@pytest.mark.parametrize("body", [HTML, b"", {"message": "upstream"}, {"error_code": 500001}])
def test_a_submit_that_may_have_gone_through_is_in_doubt(status: int, body: Any) -> None:
    assert isinstance(raised(read_submit, body, status), Unclear)


@pytest.mark.parametrize("code", [500001, "500001", 500, 503003])
def test_a_fault_of_the_service_told_under_200_is_in_doubt(code: object) -> None:
    assert isinstance(raised(read_submit, {"error_code": code}, 200), Unclear)


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 415, 422, 451])
def test_a_submit_that_the_service_says_no_to_is_final(status: int) -> None:
    problem = raised(read_submit, {"error_code": 400001, "error_message": "Invalid resource identifier"}, status)
    assert isinstance(problem, Rejected)
    assert problem.cause.code == "400001"
    assert problem.cause.http_status == status
    assert problem.cause.message == "Invalid resource identifier"


@pytest.mark.parametrize("code", [400001, 422001, 404001, "SomethingElse"])
def test_an_error_code_under_200_is_a_rejection_even_beside_an_id(code: object) -> None:
    assert isinstance(raised(read_submit, {"error_code": code, "request_id": "r1"}, 200), Rejected)


@pytest.mark.parametrize("code", [None, 0, "", False])
def test_an_empty_error_code_is_none_and_the_paid_id_is_not_lost(code: object) -> None:
    assert read_submit(reply({"error_code": code, "request_id": "r1"})).request_id == "r1"


# Every call.


@pytest.mark.parametrize("read", ALL)
@pytest.mark.parametrize("retry_after", [None, 0.0, 7.5])
def test_429_is_a_refusal_with_or_without_a_time(read: Callable[[Reply], object], retry_after: float | None) -> None:
    problem = raised(read, {"message": "slow down"}, 429, retry_after)
    assert isinstance(problem, Refused)
    assert problem.retry_after == retry_after
    assert problem.cause.message == "slow down"


@pytest.mark.parametrize("read", ALL)
@pytest.mark.parametrize("code", [429, "429", 429001])
def test_a_rate_limit_told_by_its_code_is_a_refusal_too(read: Callable[[Reply], object], code: object) -> None:
    assert isinstance(raised(read, {"error_code": code}, 200), Refused)


@pytest.mark.parametrize("read", ALL)
def test_503_is_a_refusal_only_when_it_says_when_to_come_back(read: Callable[[Reply], object]) -> None:
    assert isinstance(raised(read, HTML, 503, 3.0), Refused)
    assert isinstance(raised(read, HTML, 503), Unclear)


@pytest.mark.parametrize("status", [200, 400, 402, 429, 500, 503])
@pytest.mark.parametrize("code", [400002, "400002", 402, 10001])
def test_no_balance_stops_the_run_under_any_status(code: object, status: int) -> None:
    with pytest.raises(AccountError, match="balance") as caught:
        read_submit(reply({"error_code": code, "error_message": "Insufficient resources"}, status))
    assert "Insufficient resources" in caught.value.message
    assert "kept" in caught.value.hint


@pytest.mark.parametrize("body", [b"", HTML, {}, {"error_code": 402001}, {"error_code": "PaymentRequired"}])
def test_402_is_the_balance_whatever_stands_in_it(body: Any) -> None:
    with pytest.raises(AccountError, match="balance"):
        read_submit(reply(body, 402))


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("status", "body"), [(402, HTML), (402, {"error_code": 400002}), (200, {"error_code": 402})])
def test_a_read_is_free_so_an_empty_balance_loses_no_job(
    read: Callable[[Reply], object], status: int, body: Any
) -> None:
    assert isinstance(raised(read, body, status), Unclear)


@pytest.mark.parametrize("read", ALL)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error_code": 400004}),
        (200, {"error_code": "400004"}),
        (402, {"error_code": 400004}),
        (401, b""),
        (401, HTML),
        (403, {"error_code": 403003}),
        (403, {"error_code": 403}),
        (200, {"error_code": 401001}),
    ],
)
def test_a_refused_token_stops_the_run(read: Callable[[Reply], object], status: int, body: Any) -> None:
    with pytest.raises(AccountError, match="token"):
        read(reply(body, status))


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("status", [200, 403])
def test_an_id_that_is_somebody_elses_concerns_only_that_job(read: Callable[[Reply], object], status: int) -> None:
    assert isinstance(raised(read, {"error_code": 403001, "error_message": "denied"}, status), Rejected)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("status", "body"), [(404, b""), (404, HTML), (404, {"error_code": 404001})])
def test_404_on_a_read_is_not_found(read: Callable[[Reply], object], status: int, body: Any) -> None:
    assert isinstance(raised(read, body, status), NotFound)
    assert isinstance(raised(read, {"error_code": 404001}, 200), NotFound)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("status", [500, 502, 504, 524, 302, 308, 408, 425, 600, 999])
@pytest.mark.parametrize("body", [HTML, b"", {"detail": "?"}])
def test_a_read_without_an_answer_is_asked_again(read: Callable[[Reply], object], status: int, body: Any) -> None:
    problem = raised(read, body, status, 2.0)
    assert isinstance(problem, Unclear)
    assert problem.retry_after == 2.0


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("body", [b"", b" \n", HTML, b"{", b"\xff\xfe\x00", b"[1]", b'"x"', b"null", b"[" * 100_000])
def test_an_unreadable_success_is_asked_again(read: Callable[[Reply], object], body: bytes) -> None:
    assert isinstance(raised(read, body, 200), Unclear)


def test_a_page_and_an_empty_body_are_told_apart() -> None:
    assert raised(read_submit, HTML, 502).cause.message == "HTTP 502 with an HTML page"
    assert raised(read_submit, b" ", 502).cause.message == "HTTP 502 with an empty body"
    assert raised(read_submit, b"oops", 502).cause.message == "HTTP 502 with an unreadable body"


# Words of the service.


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error_code": 1, "error_message": "one", "message": "two", "detail": "three"}, "one"),
        ({"message": "two", "error": "x", "detail": "three"}, "two"),
        ({"error": "three", "detail": "four"}, "three"),
        ({"error": {"message": "inside"}}, "inside"),
        ({"detail": "four"}, "four"),
        ({"error_message": None, "message": "", "error": [], "detail": "last"}, "last"),
        (
            {"detail": [{"loc": ["input", "seed"], "msg": "not an integer", "type": "t"}, {"msg": "and more"}]},
            "input.seed: not an integer; and more",
        ),
        ({"detail": [{"loc": ["images", 0], "msg": "bad"}]}, "images.0: bad"),
        ({"detail": [{"loc": "seed", "msg": "bad"}, "plain", 7, None, {"loc": ["x"]}]}, "bad; plain; x"),
        ({"detail": {"reason": "deep"}}, "deep"),
    ],
)
def test_the_reason_is_found_wherever_it_was_put(body: Any, message: str) -> None:
    assert raised(read_submit, body, 422).cause.message == message


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Your prompt was blocked by our content policy", "content_policy"),
        (422, "rejected by the safety filter", "content_policy"),
        (400, "seed must be an integer", "invalid_input"),
        (422, "no", "invalid_input"),
        (400, "no", "rejected"),
    ],
)
def test_a_rejection_has_a_kind_to_group_it_by(status: int, message: str, kind: str) -> None:
    assert raised(read_submit, {"message": message}, status).cause.kind == kind


@pytest.mark.parametrize(
    "nasty",
    [
        *("\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\r\nb", "\x00", "\x9b2J", "x\u202egnp.exe", "\u2066a\u2069"),
        *("\u200f", "\u2028", "\ufeff", "\x7f", "\ud800", "tab\there"),
    ],
)
def test_nothing_that_steers_a_terminal_gets_through(nasty: str) -> None:
    cause = raised(read_submit, {"message": f"before {nasty} after", "error_code": f"9{nasty}"}, 400).cause
    for text in (cause.message, cause.code or "", one_line(nasty)):
        text.encode()
        assert all(character.isprintable() for character in text)
    assert cause.message.startswith("before ")
    assert cause.message.endswith(" after")


@given(st.text(st.characters(), max_size=3000), st.integers(2, 600))
def test_one_line_is_one_printable_line_of_at_most_its_limit(text: str, limit: int) -> None:
    clean = one_line(text, limit)
    assert len(clean) <= limit
    assert len(clean.splitlines()) <= 1
    clean.encode()
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in clean)
    assert one_line(clean, limit) == clean


def test_a_long_message_is_cut_and_says_so() -> None:
    message = raised(read_submit, {"message": "x" * 100_000}, 400).cause.message
    assert len(message) == 500
    assert message.endswith("…")


SHAPES = ('{"detail":@}', '{"error":[@]}', '{"detail":{"error":[@,{}]}}')


def nested(shape: str, depth: int) -> str:
    text = '"bottom"'
    for _ in range(depth):
        text = shape.replace("@", text)
    return text


@pytest.mark.parametrize("shape", SHAPES)
def test_a_nested_reason_is_found(shape: str) -> None:
    assert raised(read_submit, nested(shape, 1).encode(), 400).cause.message == "bottom"


@pytest.mark.parametrize("depth", [5, 6, 50, 200])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("around", ["@", '{"detail":@}'])  # one level more, so that no countdown skips its end
def test_a_deeply_nested_reason_is_not_followed_to_its_end(shape: str, depth: int, around: str) -> None:
    problem = raised(read_submit, around.replace("@", nested(shape, depth)).encode(), 400)
    assert isinstance(problem, Rejected)
    assert "bottom" not in problem.cause.message


def test_a_wide_and_deep_reason_is_read_in_no_time() -> None:
    reason: Any = "x"
    for _ in range(5):
        reason = [{"error": reason}] * 8
    assert isinstance(raised(read_submit, {"detail": reason}, 400), Rejected)


# Results.


@pytest.mark.parametrize("word", ["succeeded", "completed", "COMPLETED", " Succeeded "])
def test_both_words_for_success_count(word: str) -> None:
    answer = read_result(reply({"status": word, "output": {"image": A}}))
    assert answer == Succeeded(urls=(A,))


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ({"image": A}, (A,)),
        ({"images": [A, B]}, (A, B)),
        ({"images": [A, B], "image": A}, (A, B)),
        ({"image": A, "images": []}, (A,)),
        ({"image": A, "images": None}, (A,)),
        ({"images": A}, (A,)),
        ({"image": [A, B]}, (A, B)),
        ({"video": A}, (A,)),
        ({"videos": [A, B]}, (A, B)),
        ({"video": A, "image": B}, (B, A)),
        ({"image": A, "videos": [B]}, (A, B)),
        ({"audio": A}, (A,)),
        ({"audios": [A]}, (A,)),
        (A, (A,)),
        ([A, B, A], (A, B)),
        ([{"url": A}, {"url": B}], (A, B)),
        ({"images": [{"url": A, "width": 5}, {"url": B}]}, (A, B)),
        ({"result": {"files": [[A], {"x": B}]}}, (A, B)),
        (
            {"images": [A, "not a url", None, 7, "", "ftp://x/y", "data:image/png;base64,xx"]},
            (A, "data:image/png;base64,xx"),
        ),
        ({"image": A, "thumbnail": C}, (A,)),
    ],
)
def test_every_shape_of_output_gives_its_files_in_order_and_once(output: Any, urls: tuple[str, ...]) -> None:
    assert find_urls(output) == urls
    assert finished(output).urls == urls


def test_an_address_is_kept_as_it_was_received() -> None:
    assert finished({"image": A}).urls[0].count("%3D") == 1


def test_only_output_is_searched_for_files() -> None:
    echo = {"input": {"image_url": B}, "image": B, "images": [B], "result_url": C, "status_url": C, "cancel_url": C}
    assert finished({"image": A}, **echo).urls == (A,)
    assert failed({"status": "succeeded", "output": {}, **echo}).cause.kind == "no_output"


@pytest.mark.parametrize("output", [None, {}, [], "", "done", 7, True, {"image": None}, {"images": [{}]}, [[[]]]])
@pytest.mark.parametrize("nothing", [{}, {"error": None}, {"error": ""}, {"error": {}}, {"error": False}])
def test_a_success_without_a_file_is_a_failure_of_its_own_kind(output: Any, nothing: dict[str, Any]) -> None:
    answer = failed({"status": "completed", "output": output, "cost": 0.02, **nothing})
    assert answer.cause.kind == "no_output"
    assert not answer.final
    assert answer.cost_usd == 0.02


def test_completed_with_an_error_is_a_failure_in_the_services_words() -> None:
    answer = failed({"status": "completed", "error": "content policy violation"})
    assert answer.final
    assert answer.cause.kind == "content_policy"
    assert answer.cause.message == "content policy violation"


@pytest.mark.parametrize(
    ("error", "kind", "message", "code", "final"),
    [
        ("content policy violation", "content_policy", "content policy violation", None, True),
        ({"code": 500001, "message": "upstream error"}, "failed", "upstream error", "500001", False),
        ({"error_code": "E7", "detail": "GPU lost"}, "failed", "GPU lost", "E7", False),
        ([{"loc": ["seed"], "msg": "must be an integer"}], "invalid_input", "seed: must be an integer", None, True),
        (None, "failed", "the service gave no reason", None, False),
        (7, "failed", "the service gave no reason", None, False),
        ({"code": 0}, "failed", "the service gave no reason", "0", False),
    ],
)
@pytest.mark.parametrize("word", ["failed", "error", "Failed"])
def test_a_failure_there_is_told_with_its_cause(
    error: Any, kind: str, message: str, code: str | None, final: bool, word: str
) -> None:
    answer = failed({"status": word, "error": error})
    assert (answer.cause.kind, answer.cause.message, answer.cause.code) == (kind, message, code)
    assert answer.final is final
    assert failure_cause(error) == answer.cause


@pytest.mark.parametrize("error", ["HTTP 401 from upstream", "timed out after 429 s", "unauthorized"])
def test_numbers_in_the_text_of_a_failure_are_not_taken_for_statuses(error: str) -> None:
    assert failed({"status": "failed", "error": error}).cause.kind == "failed"


@pytest.mark.parametrize("word", ["in_queue", "in_progress", "pending", "warming_up", "success?", "", "ERROR_ISH"])
@pytest.mark.parametrize("read", [read_result, read_status])
def test_every_other_word_means_still_running(read: Callable[[Reply], object], word: str) -> None:
    assert read(reply({"status": word})) == Waiting(status=word.lower())


@pytest.mark.parametrize("status", [None, 7, True, [], {}, ["completed"]])
@pytest.mark.parametrize("read", [read_result, read_status])
def test_a_status_that_is_no_word_means_still_running(read: Callable[[Reply], object], status: Any) -> None:
    assert read(reply({"status": status, "output": {}})) == Waiting(status="")


@pytest.mark.parametrize("word", ["success", "Done", "finished", "ready", None, 7])
def test_a_file_under_another_word_for_success_or_none_is_a_success(word: Any) -> None:
    assert read_result(reply({"status": word, "output": {"image": A}})) == Succeeded(urls=(A,))


def test_a_file_under_a_word_that_nobody_knows_carries_the_word() -> None:
    assert read_result(reply({"status": "Hibernating", "output": A})) == Succeeded(urls=(A,), word="hibernating")


@pytest.mark.parametrize("word", ["in_progress", "processing"])
def test_a_file_beside_a_word_for_running_is_a_preview(word: str) -> None:
    assert read_result(reply({"status": word, "output": {"image": A}})) == Waiting(status=word)


@pytest.mark.parametrize("code", [0, "0", 200, "200", "", None, "OK", False])
def test_a_code_that_means_no_error_is_none(code: Any) -> None:
    assert finished({"image": A}, error_code=code) == Succeeded(urls=(A,))
    assert read_submit(reply({"request_id": "r", "error_code": code})).request_id == "r"


@pytest.mark.parametrize("status", [200, 400, 422])
def test_a_job_that_failed_with_a_code_beside_it_has_failed(status: int) -> None:
    body = {"request_id": "r", "status": "failed", "error_code": 3043, "error": "AiError: Internal server error"}
    answer = read_result(reply(body, status), "r")
    assert isinstance(answer, FailedThere)
    assert (answer.cause.code, answer.cause.message) == ("3043", "AiError: Internal server error")
    assert read_status(reply(body, status), "r") is None


@pytest.mark.parametrize("read", [read_result, read_status])
def test_an_answer_about_another_request_is_no_answer(read: Callable[..., object]) -> None:
    with pytest.raises(Unclear, match="another request"):
        read(reply({"request_id": "other", "status": "completed", "output": A}), "mine")


@pytest.mark.parametrize("body", [HTML, b"", {"message": "Forbidden"}, {"error_code": 1020, "cloudflare_error": True}])
def test_a_403_without_a_code_of_the_service_is_trouble_and_no_token(body: Any) -> None:
    assert isinstance(raised(read_submit, body, 403), NotSent)
    for read in READS:
        assert isinstance(raised(read, body, 403), Unclear)


def test_a_405_is_no_content_policy() -> None:
    assert raised(read_submit, {"detail": "Method Not Allowed"}, 405).cause.kind == "rejected"


@pytest.mark.parametrize("text", ["Your prompt was blocked", "This content is not allowed here"])
def test_a_prompt_that_was_blocked_is_a_content_policy(text: str) -> None:
    assert failed({"status": "failed", "error": text}).cause.kind == "content_policy"


def test_a_result_that_is_asked_for_too_early_is_not_ready() -> None:
    assert raised(read_result, {"error_code": 400005, "error_message": "not ready"}, 400).cause.kind == "not_ready"


def test_an_empty_balance_is_told_from_a_bad_token() -> None:
    with pytest.raises(BalanceGone):
        read_submit(reply({"error_code": 400002}, 400))


@pytest.mark.parametrize(("position", "read_as"), [(3, 3), (0, 0), (-1, None), ("3", None), (True, None), (1.5, None)])
def test_the_queue_position_is_a_whole_number_or_unknown(position: Any, read_as: int | None) -> None:
    answer = read_status(reply({"status": "in_queue", "queue_position": position}))
    assert answer == Waiting(status="in_queue", queue_position=read_as)


@pytest.mark.parametrize("word", ["cancelled", "canceled", "CANCELLED"])
@pytest.mark.parametrize("read", [read_result, read_status])
def test_cancelled_in_both_spellings(read: Callable[[Reply], object], word: str) -> None:
    assert read(reply({"status": word})) == CancelledThere()


@pytest.mark.parametrize("word", ["completed", "succeeded", "failed", "error"])
def test_the_end_on_the_status_endpoint_says_nothing_of_success(word: str) -> None:
    assert read_status(reply({"status": word})) is None


@pytest.mark.parametrize(
    ("cost", "dollars"),
    [
        *((0.02, 0.02), (0, 0.0), (3, 3.0)),
        *((odd, None) for odd in (True, "0.02", -1, None, [1], 1e300, 10**300)),
        *((float(odd), None) for odd in ("nan", "inf", "-inf")),
    ],
)
def test_a_cost_is_a_finite_amount_or_unknown(cost: Any, dollars: float | None) -> None:
    assert finished({"image": A}, cost=cost).cost_usd == dollars
    assert failed({"status": "failed", "cost": cost}).cost_usd == dollars


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2026-09-20T10:00:09Z", 1_789_898_409.0),
        ("2026-09-20T12:00:09.500+02:00", 1_789_898_409.5),
        ("2026-09-20 10:00:09", 1_789_898_409.0),
        (1_789_898_409, 1_789_898_409.0),
        ("yesterday", None),
        ("", None),
        (True, None),
        (float("nan"), None),
        (10**300, None),
        (-5, None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ({}, None),
    ],
)
def test_a_time_is_read_leniently_and_never_out_of_bounds(moment: Any, seconds: float | None) -> None:
    assert finished({"image": A}, finished_at=moment).finished_at == seconds


# Cancel.


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"status": "cancelled", "outcome": "cancelled"}, CancelOutcome.CANCELLED),
        ({"status": "completed", "outcome": "cancelled"}, CancelOutcome.CANCELLED),
        ({"status": "in_queue", "outcome": "Canceled"}, CancelOutcome.CANCELLED),
        ({"status": "in_progress", "outcome": "not_cancellable"}, CancelOutcome.TOO_LATE),
        ({"status": "cancelled", "outcome": "not_cancellable"}, CancelOutcome.TOO_LATE),
        ({"status": "cancelled"}, CancelOutcome.CANCELLED),
        ({"status": "cancellation_requested"}, CancelOutcome.CANCELLED),
        ({"status": "cancelled", "outcome": None}, CancelOutcome.CANCELLED),
        ({"status": "cancelled", "outcome": "perhaps"}, CancelOutcome.UNKNOWN),
        ({"status": "in_progress"}, CancelOutcome.UNKNOWN),
        ({"outcome": ["cancelled"]}, CancelOutcome.UNKNOWN),
        ({}, CancelOutcome.UNKNOWN),
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_the_outcome_of_a_cancel_is_believed_before_the_status(body: Any, outcome: CancelOutcome, status: int) -> None:
    assert read_cancel(reply(body, status)) is outcome


# Ids.


@pytest.mark.parametrize("text", ["0d6e0c2e-5b1f-4f0e-9a34-0f5a5f2f7a11", "a", "A_-9", "x" * 128])
def test_request_ids_that_can_stand_in_a_url(text: str) -> None:
    assert is_request_id(text)


@pytest.mark.parametrize("text", ["", "..", "a/b", "a?b", "a#b", "a b", "a\n", "é", "%2e", "x" * 129, None, 5, b"a"])
def test_request_ids_that_can_not(text: object) -> None:
    assert not is_request_id(text)


@pytest.mark.parametrize("text", ["google-deepmind/imagen-4/fast/text-to-image", "a", "v.1/x_y/4K", "a..b/c"])
def test_model_ids(text: str) -> None:
    assert is_model_id(text)


@pytest.mark.parametrize(
    "text", ["", "/a", "a/", "a//b", "a/../b", "./a", "..", "a b", "a?x", "a/é", "a\n", "https://x"]
)
def test_what_is_no_model_id(text: str) -> None:
    assert not is_model_id(text)


# Anything at all.

words = st.sampled_from(
    ["completed", "succeeded", "failed", "cancelled", "in_queue", "request_id", "400002", "404001", A, "r1", "429001"]
)
keys = st.sampled_from(
    [
        *("status", "output", "error", "error_code", "error_message", "message", "detail", "loc", "msg", "cost"),
        *("code", "request_id", "id", "outcome", "queue_position", "finished_at", "image", "images", "video", "url"),
    ]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | words
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(), inner, max_size=6)
)
answers = st.dictionaries(keys, anything, max_size=8)
statuses = st.sampled_from([200, 202, 400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503]) | st.integers(0, 1000)


def check(status: int, body: bytes, retry_after: float | None) -> None:
    for read in ALL:
        problem = outcome_of(read, Reply(status, body, retry_after))
        if isinstance(problem, CallError):
            assert problem.cause.kind.replace("_", "").isalpha()
            assert len(problem.cause.message) <= 500
            assert "\x1b" not in str(problem)
        if isinstance(problem, AccountError):
            assert "kept" in problem.hint
            assert len(problem.message.splitlines()) == 1


def outcome_of(read: Callable[[Reply], object], answer: Reply) -> object:
    try:
        return read(answer)
    except (CallError, AccountError) as problem:
        return problem


@given(statuses, st.binary(max_size=200), st.none() | st.floats(0.0, 3600.0))
def test_no_bytes_raise_anything_but_what_is_documented(status: int, body: bytes, retry_after: float | None) -> None:
    check(status, body, retry_after)


@given(statuses, answers | anything, st.none() | st.floats(0.0, 3600.0))
def test_no_json_raises_anything_but_what_is_documented(status: int, body: Any, retry_after: float | None) -> None:
    check(status, json.dumps(body).encode(), retry_after)


@given(statuses, answers)
@example(200, {"request_id": "0", "id": []})
def test_a_submit_is_accepted_only_with_an_id_that_was_in_the_answer(status: int, body: dict[str, Any]) -> None:
    try:
        accepted = read_submit(reply(body, status))
    except (CallError, AccountError):
        return
    assert 200 <= status < 300
    assert accepted.request_id in (body.get("request_id"), body.get("id"))  # of any type, so no set
    assert is_request_id(accepted.request_id)


@given(answers)
def test_a_success_always_has_something_to_fetch(body: dict[str, Any]) -> None:
    try:
        answer = read_result(reply({**body, "error_code": None, "status": "completed"}))
    except (CallError, AccountError):
        pytest.fail("a readable success was not read")
    assert isinstance(answer, (Succeeded, FailedThere))
    if isinstance(answer, Succeeded):
        assert answer.urls
        assert all(url.startswith(("http://", "https://", "data:")) for url in answer.urls)
