"""The race's own parts: the mask net adds up, is causal, learns, and costs what it is said to cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from streamsep import load
from streamsep.config import BINS, SAMPLE_RATE
from streamsep.data.dataset import compose_dataset
from streamsep.data.mixing import MixingDataset
from streamsep.model.checkpoint import load_model
from streamsep.model.trunk import Trunk
from streamsep.train.checkpoint import save_weights
from streamsep.train.loop import BEST
from streamsep.train.recipe import load_recipe
from tests.bench import entrants
from tests.bench.mask_net import MaskNet
from tests.bench.race import RECIPE, our_model, train
from tests.bench.rivals import HSTasNetPeer, MaskPeer, mask_width
from tests.sounds import tune


def test_stems_add_up_and_nothing_is_heard_early() -> None:
    torch.manual_seed(0)
    net = MaskNet(32).eval()
    mixture = tune(1.03, SAMPLE_RATE)
    stems = net.separate(mixture)
    np.testing.assert_allclose(np.sum(list(stems.values()), axis=0), mixture, atol=1e-5)
    changed = mixture.copy()
    changed[:, 30_000:] = 0
    for stem, sound in net.separate(changed).items():
        np.testing.assert_allclose(sound[:, : 30_000 - 1_920], stems[stem][:, : 30_000 - 1_920], atol=1e-5)


def test_width_spends_what_is_asked_for() -> None:
    """Against torch's own count of the linear layers; LSTM layers are counted by hand there, too."""
    width = mask_width(1.4e9)
    net = MaskNet(width)
    with FlopCounterMode(display=False) as counter:
        x = net.into(torch.zeros(1, 50, 2 * BINS))
        net.masks(net.out(torch.cat([x, x], -1)))
    lstm = 2 * 50 * sum(weight.numel() for name, weight in net.past.named_parameters() if "weight" in name)
    assert 0.9 * 1.4e9 < counter.get_total_flops() + lstm <= 1.4e9


def test_a_peer_learns_and_goes_on(tmp_path: Path) -> None:
    compose_dataset(tmp_path / "pool", 2, 3.0, seed=3)
    dataset = MixingDataset([tmp_path / "pool"], 25, 2, 1)
    peer = MaskPeer(32)
    said: list[str] = []
    held = torch.from_numpy(dataset.batch(10_000))
    with torch.no_grad():
        before = float(peer.loss(held))
    train(peer, dataset, 2.0, tmp_path / "net.pt", said.append)
    with torch.no_grad():
        assert float(peer.loss(held)) < before
    first = torch.load(tmp_path / "net.pt", weights_only=True)["steps"]
    again = MaskPeer(32)
    train(again, dataset, 3.0, tmp_path / "net.pt", said.append)
    assert torch.load(tmp_path / "net.pt", weights_only=True)["steps"] > first > 0 and len(said) == 2
    mixture = tune(0.5, SAMPLE_RATE)
    for stem, sound in entrants.peer(str(tmp_path / "net.pt"))(mixture, SAMPLE_RATE).items():
        np.testing.assert_array_equal(sound, again.separate(mixture)[stem])


def test_a_model_of_ours_takes_part(tmp_path: Path) -> None:
    """The best guide of a training, at the lookahead that is asked for."""
    trunk = Trunk(load_recipe(str(RECIPE)).model.condition).eval()
    (tmp_path / "guide").mkdir()
    save_weights(tmp_path / "guide" / BEST, trunk)
    our_model(tmp_path, tmp_path / "model")
    mixture = tune(0.5, SAMPLE_RATE)
    wanted = load(str(tmp_path / "model"), decode="guide").separate(mixture, SAMPLE_RATE, lookahead=-1)
    found = entrants.streamsep(f"-1:{tmp_path / 'model'}")(mixture, SAMPLE_RATE)
    np.testing.assert_array_equal(found["drums"], wanted["drums"])
    spectrum = torch.randn(1, 5, 2, 2, BINS, dtype=torch.complex64)
    again = load_model(tmp_path / "model").trunk(spectrum, torch.tensor([1])).logits
    torch.testing.assert_close(again, trunk(spectrum, torch.tensor([1])).logits, atol=0.05, rtol=0.05)  # float16 kept


def test_hs_tasnet_takes_part() -> None:
    pytest.importorskip("einx")
    try:
        peer = HSTasNetPeer()
    except ImportError as error:
        pytest.skip(str(error))
    stems = torch.from_numpy(np.stack([tune(0.3, SAMPLE_RATE, seed=i) for i in range(4)]))[None]
    assert float(peer.loss(stems).detach()) > 0
    found = peer.separate(tune(0.31, SAMPLE_RATE))
    assert set(found) == {"vocals", "drums", "bass", "other"} and found["vocals"].shape == (2, 14_880)
