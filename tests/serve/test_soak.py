"""The soaks of ``python -m tests.soak serve``, short."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamsep.engine.separator import Separator
from streamsep.serve.options import ServeOptions
from tests.serve.running import Running, metric, run, running
from tests.soak.__main__ import main
from tests.soak.attacks import ATTACKS
from tests.soak.serve_fuzz import TOKEN, Target, fuzz
from tests.soak.serve_isolation import Judge, isolation


def test_no_sample_reaches_another_session(server: Running, separator: Separator) -> None:
    report = run(isolation(server.url, Judge(separator, 0.0), 4, 6.0, 5))
    assert not report.faults
    assert report.sessions >= 4 and report.samples > 100_000


def test_sessions_that_share_steps_do_not_hear_one_another(model: Path, separator: Separator) -> None:
    with running(ServeOptions(port=0, model=str(model), max_sessions=4, resume_time=1.0)) as server:
        report = run(isolation(server.url, Judge(separator, 1e-4), 4, 6.0, 6))
        assert not report.faults
        assert report.sessions >= 4 and metric(server.page, "streamsep_batch_sessions_sum") > 0


def test_a_judge_can_say_no(separator: Separator) -> None:
    from tests.sounds import tune

    judge = Judge(separator, 0.0)
    one, two = (run(judge.expect(tune(0.3, 48_000, seed=seed), 48_000, 0)) for seed in (1, 2))
    assert judge.same(one, one.copy()) and not judge.same(one, two)
    assert not judge.same(one, one[..., :-1]) and not Judge(separator, 1e-4).same(one, two)


@pytest.mark.slow
def test_fuzz_and_attacks_beside_a_song(model: Path, separator: Separator) -> None:
    options = ServeOptions(
        port=0,
        model=str(model),
        max_sessions=12,
        exact=True,
        token=TOKEN,
        hello_timeout=2.0,
        idle_timeout=2.0,
        resume_time=1.0,
    )
    with running(options) as server:
        report = run(fuzz(Target(server.page, 1.0), separator, 600, 3), 240)
    assert not report.faults
    assert report.messages >= 600 and report.told > 50 and set(report.attacks) == set(ATTACKS)


def test_unknown_soaks_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lunch"]) == 2 and main(["../x"]) == 2
    assert "no soak 'lunch'" in capsys.readouterr().err
    assert main([]) == 0
