"""The README's form of running the tests, as it is written, without any extra."""

import re

import pytest
import readers

pytestmark = pytest.mark.slow


def test_the_tests_pass_where_no_extra_is_installed(tmp_path):
    (form,) = (block for block in readers.blocks("sh") if "pytest" in block)
    printed = readers.run(
        form, readers.copy(tmp_path / "boxest"), readers.environment(tmp_path / "environment")
    )
    assert re.search(r"=+ \d+ passed, .*in .*=+$", printed.strip().splitlines()[-1])
    assert "the fast suite" in printed
