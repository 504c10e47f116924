import torch
from torch import Tensor

from streamsep.codec.envelope import FLOOR
from streamsep.codec.teacher import EnvelopeTeacher, Teacher

from .conftest import columns, sounds

VOICE, BURST, BASS, PAD = range(4)


def _features(frames: int = 25) -> Tensor:
    spectrum = columns(sounds(4, frames))
    return EnvelopeTeacher()(spectrum, torch.full((4, frames, 1), 0.02))


def test_a_teacher_is_a_teacher() -> None:
    teacher: Teacher = EnvelopeTeacher()
    assert teacher.features_dim == 244


def test_steps_are_the_sequence(stems: Tensor) -> None:
    teacher, level = EnvelopeTeacher(), torch.full((2, 12, 1), 0.02)
    whole = teacher(stems, level)
    state = teacher.init_state(2)
    for t in range(12):
        one = teacher.step(stems[:, t, 0], level[:, t, 0], state)
        torch.testing.assert_close(one, whole[:, t, 0], atol=1e-5, rtol=0)


def test_onsets_are_where_something_begins() -> None:
    onset = _features()[..., 240:242].flatten(1, 1).amax(-1)[:, 1:]  # [4, 24, S]
    assert (onset[..., BURST].amax(1) > 0.2).all()
    assert (onset[..., BASS].mean(1) < 0.1).all() and (onset[..., BASS].amax(1) < onset[..., BURST].amax(1) / 2).all()


def test_voicing_tells_a_voice_from_noise() -> None:
    voicing = _features()[:, 2:, :, 242:].mean((1, 3))  # [4, S]
    assert (voicing >= 0).all() and (voicing <= 1).all()
    assert (voicing[:, VOICE] > voicing[:, BURST] + 0.3).all()


def test_silence_is_at_the_floor() -> None:
    teacher = EnvelopeTeacher()
    features = teacher(torch.zeros(1, 3, 2, 2, 961, dtype=torch.complex64), torch.full((1, 3), 1e-9))
    assert (features[..., :240] - FLOOR).abs().max() < 1e-6
    assert (features[..., 240:].abs() < 1e-6).all()
