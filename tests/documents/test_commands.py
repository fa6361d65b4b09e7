"""Runs the commands of all documents, page by page, with real servers.

Blocks that need an account or a cluster are marked in the page; `blocks.py` describes the marks.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.documents.blocks import PAGES, ROOT, Block, blocks
from tests.once import made_once

NOT_RUN = 23  # blocks that no test runs; lower it when one is added, and raise it only with a reason in the page
RUN_HERE = {page: found for page in PAGES if (found := [b for b in blocks(page) if not b.not_run and not b.tested_by])}
ALL = [block for page in PAGES for block in blocks(page)]


def test_blocks_that_no_test_runs_have_a_reason_and_are_few() -> None:
    reasons = [block.not_run for block in ALL if block.not_run]
    assert all(len(reason.split()) >= 3 for reason in reasons)
    assert len(reasons) == NOT_RUN


@pytest.mark.parametrize("block", [block for block in ALL if block.tested_by], ids=lambda block: block.page)
def test_a_named_test_exists_and_has_words_of_the_commands(block: Block) -> None:
    text = (ROOT / block.tested_by).read_text("utf-8")
    words = {word for command in block.commands for word in re.findall(r"[\w-]{5,}", command)} - {"fastmar"}
    assert Path(block.page).name in text or any(word in text for word in words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.documents.world import make_world

    return made_once(tmp_path_factory, "documents", make_world)


@pytest.mark.training
@pytest.mark.torchserve
@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_run(page: Path, world: Path, tmp_path: Path) -> None:
    from tests.documents.world import Shell

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path / "world"
    shutil.copytree(world, folder)
    with Shell(folder, page) as shell:
        for block in RUN_HERE[page]:
            for command in block.commands:
                shell.run(command)
