"""Which errors are failures of the machine, to be explained, and which are defects."""

import pytest

from batcher.store.machine import machine_problem


@pytest.mark.parametrize(
    "error",
    [MemoryError(), SystemError("error return without exception set"), ImportError("x.so: failed to map segment")],
)
def test_too_little_memory_is_explained_in_whatever_words_it_is_reported(error: Exception) -> None:
    problem = machine_problem(error)
    assert problem is not None
    assert "ulimit -v" in problem.hint


@pytest.mark.parametrize("error", [SystemError("bad argument"), ImportError("no module"), ValueError("no")])
def test_another_error_is_a_defect(error: Exception) -> None:
    assert machine_problem(error) is None
