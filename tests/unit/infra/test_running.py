"""One back office in a folder, what the commands are told of it, and what a visitor is told to try."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from demo.__main__ import _parser
from infra.run import welcome
from infra.running import AlreadyRunning, Run, alone

RUN = Run(
    url="http://api.facteo.localhost:4599",
    connect_to="127.0.0.1:4599",
    endpoint="http://127.0.0.1:4599",
    region="eu-west-3",
    bucket="inbox",
    user_pool="pool",
    staff_client="staff",
    tracking_client="tracking",
    texts_topic="arn:aws:sns:eu-west-3:000000000000:texts",
    sftp_root="/sftp",
)


def told(folder: Path) -> str:
    """What a command says that finds no back office."""
    with pytest.raises(SystemExit) as exited:
        Run.load(folder)
    return str(exited.value)


def test_commands_find_it_from_when_it_is_ready_until_it_ends(tmp_path: Path) -> None:
    assert "Nothing is running" in told(tmp_path / "not-there")
    with alone(tmp_path):
        assert "still starting" in told(tmp_path)
        RUN.save(tmp_path)
        assert Run.load(tmp_path) == RUN
    assert "Nothing is running" in told(tmp_path)


def test_what_a_killed_one_told_is_not_believed(tmp_path: Path) -> None:
    RUN.save(tmp_path)
    assert "Nothing is running" in told(tmp_path)
    with alone(tmp_path):
        assert "still starting" in told(tmp_path)


def test_a_second_one_in_the_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with alone(tmp_path):
        with pytest.raises(AlreadyRunning, match="already being started"), alone(tmp_path):
            pass
        RUN.save(tmp_path)
        with pytest.raises(AlreadyRunning, match=f"already running at {RUN.url}"), alone(tmp_path):
            pass
        assert Run.load(tmp_path) == RUN


def test_its_end_bears_that_somebody_emptied_the_folder(tmp_path: Path) -> None:
    with alone(tmp_path):
        RUN.save(tmp_path)
        (tmp_path / "run.json").unlink()


def test_every_line_that_a_visitor_may_paste_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in welcome(RUN).splitlines() if line.startswith(("bin/", "curl ", "make "))]
    assert len(lines) > 10
    for line in lines:
        assert shlex.split(line), "no quote is left open, whether or not the shell knows comments"
        command, *arguments = shlex.split(line, comments=True)
        if command == "bin/facteo":
            _parser().parse_args(arguments)
    assert any(RUN.url in line for line in lines)
    assert ":4566" not in welcome(RUN)
