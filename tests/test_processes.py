"""Jobs over processes: the same results for any number of them, and no error is lost."""

from __future__ import annotations

import operator

import pytest
import torch

from drivesim.processes import in_processes, one_thread


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once(workers: int) -> None:
    assert sorted(in_processes(operator.neg, range(7), workers)) == list(range(-6, 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_out(workers: int) -> None:
    with pytest.raises(TypeError, match="bad operand"):
        list(in_processes(operator.neg, [1, "two", 3], workers))


def test_the_number_of_threads_comes_back_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
