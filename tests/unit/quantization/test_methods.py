"""What is particular to one quantizer or to its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genrec.errors import ConfigError, DataError, TrainingError
from genrec.quantization import (
    FSQ,
    LFQ,
    RQVAE,
    ProductQuantizer,
    ResidualFSQ,
    ResidualKMeans,
    RqvaeObjective,
    load_quantizer,
    perplexity,
)
from genrec.quantization.additive_part import additive_part
from genrec.quantization.bottlenecks import (
    BinaryBottleneck,
    FiniteScalarBottleneck,
    MovingAverageBottleneck,
    ResidualScalarBottleneck,
)
from genrec.quantization.gradient_codebooks import GradientCodebook
from genrec.quantization.residual_codebooks import ResidualCodebooks, nearest, squared_distances
from genrec.quantization.vector_scaling import VectorScaling


def sample(rows: int, dim: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def test_residual_codes_are_the_greedy_nearest_ones() -> None:
    books = ResidualCodebooks([np.array([[0.0], [10.0]]), np.array([[-1.0], [0.0], [2.0]])])
    vectors = np.array([[1.9], [9.2], [10.1], [4.0]])
    assert books.encode(vectors).tolist() == [[0, 2], [1, 0], [1, 1], [0, 2]]
    assert books.decode(np.array([[1, 0]])).tolist() == [[9.0]]
    assert books.prefix_distances(vectors[:1], np.array([[0], [1]]))[0] == pytest.approx([3.61, 65.61])
    assert books.last_code_distances(vectors[:1], np.array([[0, 0]]))[0] == pytest.approx([8.41, 3.61, 0.01])


def test_equally_near_codes_give_the_lowest() -> None:
    points = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
    assert nearest(np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 0.0]]), points).tolist() == [0, 0, 0]


def test_distances_are_never_negative() -> None:
    points = 1e3 * sample(50).astype(np.float64)
    distances = squared_distances(points, points)
    assert (distances >= 0).all()
    np.testing.assert_allclose(np.diag(distances), 0, atol=1e-6)


@pytest.mark.parametrize("normalize", ["none", "l2", "standardize"])
def test_scaling_is_undone(normalize: str) -> None:
    vectors = 3 + 5 * sample(40).astype(np.float64)
    scaling = VectorScaling(normalize).fit(vectors)  # type: ignore[arg-type]
    scaled = scaling.apply(vectors)
    if normalize == "l2":
        np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1)
        np.testing.assert_allclose(scaling.apply(np.zeros((1, 6))), 0)
    else:
        np.testing.assert_allclose(scaling.undo(scaled), vectors)
    if normalize == "standardize":
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
        assert scaled.var() == pytest.approx(1)
        before, after = squared_distances(vectors, vectors), squared_distances(scaled, scaled)
        np.testing.assert_allclose(after * scaling.scale**2, before, atol=1e-8)


def test_perplexity_counts_codes_in_use() -> None:
    assert perplexity(np.array([5, 5, 0, 5])) == pytest.approx(3)
    assert perplexity(np.array([9, 0, 0])) == 1


def test_kmeans_finds_the_clusters_that_are_there() -> None:
    centres = 100 * sample(8, seed=1)
    vectors = np.repeat(centres, 20, axis=0) + sample(160, seed=2)
    codes = ResidualKMeans(2, 8).fit(vectors).encode(vectors)
    groups = codes[:, 0].reshape(8, 20)
    assert (groups == groups[:, :1]).all()
    assert len(set(groups[:, 0].tolist())) == 8


def test_kmeans_learns_from_a_sample_of_many_vectors(monkeypatch: pytest.MonkeyPatch) -> None:

    vectors = sample(500)
    quantizer = ResidualKMeans(1, 8, iterations=3, rows_per_code=4).fit(vectors)
    assert quantizer.training_record["vectors"] == 500
    assert quantizer.training_record["codes_used"] == [8]


def test_kmeans_gives_other_codebooks_for_another_seed() -> None:
    vectors = sample(200)
    one, two = (ResidualKMeans(1, 8, seed=seed).fit(vectors).encode(vectors) for seed in (0, 1))
    assert (one != two).any()


def test_rqvae_codes_are_those_of_the_module_it_trained() -> None:
    """The float64 arithmetic outside torch and vector-quantize-pytorch agree."""
    torch.manual_seed(0)
    bottleneck = MovingAverageBottleneck(4, num_codebooks=3, codebook_size=8, commitment=0.25, batch_size=64)
    latents = torch.randn(64, 4)
    bottleneck(latents)
    bottleneck.eval()
    _, indices, _ = bottleneck.layers(latents[None])
    books = ResidualCodebooks(bottleneck.codebooks())
    np.testing.assert_array_equal(books.encode(latents.double().numpy()), indices[0].numpy())


def test_rqvae_keeps_a_record_of_its_losses() -> None:
    vectors = np.repeat(10 * sample(8, seed=3), 16, axis=0) + sample(128, seed=4)
    quantizer = RQVAE(
        6, (16,), 4, codebook_size=8, epochs=40, batch_size=32, learning_rate=1e-2, device="cpu"
    )
    record = quantizer.fit(vectors).training_record
    losses = [epoch["reconstruction"] for epoch in record["epochs"]]
    assert [epoch["epoch"] for epoch in record["epochs"]] == list(range(1, 41))
    assert losses[-1] < 0.5 * losses[0]
    assert len(record["perplexity"]) == 3
    assert max(record["codes_used"]) > 4


def test_a_refitted_decoder_errs_less_and_changes_no_code(tmp_path: Path) -> None:
    vectors = sample(5_000, dim=6)  # more than a block
    trained, refitted = (
        RQVAE(
            6,
            (16,),
            4,
            codebook_size=8,
            objective=RqvaeObjective(refit_decoder=refit),
            epochs=2,
            device="cpu",
        ).fit(vectors)
        for refit in (False, True)
    )
    np.testing.assert_array_equal(trained.encode(vectors), refitted.encode(vectors))
    errors = [quantizer.training_record["relative_error"] for quantizer in (trained, refitted)]
    assert errors[1] < 0.99 * errors[0]
    refitted.save(tmp_path / "quantizer")
    loaded = load_quantizer(tmp_path / "quantizer")
    codes = refitted.encode(vectors)
    np.testing.assert_array_equal(loaded.decode(codes), refitted.decode(codes))


def test_the_additive_part_is_the_ridge_regression_on_the_codes() -> None:
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 300) for size in (5, 4)], axis=1)
    codes[:, 1] %= 3  # one code is not used
    missed = rng.normal(size=(300, 3)) + rng.normal(size=(5, 3))[codes[:, 0]]
    found = additive_part(missed, codes, (5, 4))
    ones = np.concatenate([np.eye(5)[codes[:, 0]], np.eye(4)[codes[:, 1]]], axis=1)
    expected = np.linalg.solve(ones.T @ ones + np.eye(9), ones.T @ missed)
    # a constant may move from one position to the other, which changes no sum
    np.testing.assert_allclose(ones @ np.concatenate(found), ones @ expected, atol=2e-2)
    assert (found[1][3] == 0).all()


def test_rqvae_refuses_another_width_than_it_was_made_for() -> None:
    with pytest.raises(DataError, match="width 6"):
        RQVAE(6, (4,), 2, epochs=1).fit(sample(5, dim=7))


def test_rqvae_says_when_training_breaks_down() -> None:
    huge = np.full((4, 3), 3e38, dtype=np.float32)
    huge[0] = 0
    with pytest.raises(TrainingError, match="not finite"):
        RQVAE(3, (4,), 2, codebook_size=2, epochs=2, normalize="none", device="cpu").fit(huge)


def test_fsq_codes_are_those_of_the_library() -> None:
    quantizer = FSQ((8, 6, 5, 3), 2, hidden_dims=(16,), epochs=2, batch_size=16, device="cpu").fit(sample(50))
    vectors = 3 * sample(400, seed=5)
    latents = torch.from_numpy(quantizer.latent_space.latents(vectors))
    bottleneck = FiniteScalarBottleneck((8, 6, 5, 3), 2).double()
    _, indices = bottleneck.fsq(latents.unflatten(-1, (2, 4)))
    np.testing.assert_array_equal(quantizer.encode(vectors), indices.numpy())
    quantized, loss = bottleneck(latents)
    expected = quantizer.latent_space.decode(quantized.numpy())
    np.testing.assert_allclose(quantizer.decode(indices.numpy()), expected, atol=1e-5)
    assert loss == 0


def test_fsq_reaches_every_level() -> None:
    quantizer = FSQ((8, 5, 3), 1, hidden_dims=(), epochs=1, device="cpu").fit(sample(50))
    codes = quantizer.encode(50 * sample(20_000, seed=6))
    levels = np.stack(np.unravel_index(codes[:, 0], (8, 5, 3), order="F"), axis=1)
    assert levels.max(axis=0).tolist() == [7, 4, 2]
    assert levels.min(axis=0).tolist() == [0, 0, 0]


def test_fsq_has_the_sizes_of_the_paper() -> None:
    assert FSQ().codebook_sizes == (15_360,) * 4


def test_balanced_codes_are_used_about_evenly() -> None:
    vectors = np.concatenate([0.5 * sample(900), 1.5 + sample(300, seed=1)])  # most in one dense heap
    even = ResidualKMeans(1, 12, clustering="balanced").fit(vectors)
    plain = ResidualKMeans(1, 12).fit(vectors)
    counts = np.bincount(even.encode(vectors)[:, 0], minlength=12)
    assert counts.min() > 60
    assert counts.max() < 150
    assert even.training_record["perplexity"][0] > plain.training_record["perplexity"][0]


def test_the_learned_rotation_brings_slices_nearer() -> None:
    mixed = sample(2_000, dim=8) * np.array([9, 9, 3, 3, 1, 1, 0.3, 0.3], dtype=np.float32)
    turned = ProductQuantizer(4, 16, rotation_rounds=20).fit(mixed)
    plain = ProductQuantizer(4, 16, rotation_rounds=0).fit(mixed)
    assert turned.training_record["relative_error"] < 0.8 * plain.training_record["relative_error"]
    rotation = turned._rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(8), atol=1e-5)


def test_a_product_quantizer_needs_vectors_as_wide_as_it_has_positions() -> None:
    with pytest.raises(DataError, match="7 slices"):
        ProductQuantizer(7, 4).fit(sample(9))


def test_residual_fsq_codes_are_those_of_the_library() -> None:
    quantizer = ResidualFSQ((4, 3), 3, hidden_dims=(8,), epochs=2, batch_size=16, device="cpu")
    vectors = 3 * sample(300, seed=7)
    quantizer.fit(vectors)
    latents = torch.from_numpy(quantizer.latent_space.latents(vectors))
    _, indices = ResidualScalarBottleneck((4, 3), 3).double().eval().layers(latents[None])
    np.testing.assert_array_equal(quantizer.encode(vectors), indices[0].numpy())


def test_lfq_codes_are_those_of_the_library() -> None:
    quantizer = LFQ(4, 2, hidden_dims=(8,), epochs=2, batch_size=16, device="cpu").fit(sample(60))
    vectors = 2 * sample(300, seed=8)
    values = torch.from_numpy(quantizer._standardized(quantizer.latent_space.latents(vectors)))
    _, indices, _ = BinaryBottleneck(4, 2, 0.1).eval().layers(values[None].float())
    np.testing.assert_array_equal(quantizer.encode(vectors), indices[0].numpy())


def test_lfq_keeps_its_codes_in_use() -> None:
    record = (
        LFQ(3, 2, hidden_dims=(16,), epochs=20, batch_size=64, device="cpu").fit(sample(400)).training_record
    )
    assert record["codes_used"] == [8, 8]


def test_uniform_mapping_gives_every_code_its_share_in_training() -> None:
    torch.manual_seed(0)
    book = GradientCodebook(2, 8, 0.25, uniform=True, clusters=0, diversity=0.0)
    with torch.no_grad():
        book.codes.copy_(torch.arange(16.0).view(8, 2))
        book.started += 1
    rows = 4.0 + torch.randn(80, 2)  # all near three of the codes
    used = [torch.cdist(book(rows)[0], book.codes).argmin(dim=1).bincount(minlength=8)]
    used.append(torch.cdist(book.eval()(rows)[0], book.codes).argmin(dim=1).bincount(minlength=8))
    assert int(used[0].min()) >= 5
    assert int(used[0].max()) <= 15
    assert int((used[1] > 0).sum()) <= 4


def test_alignment_draws_items_to_their_collaborative_vectors() -> None:
    vectors, collaborative = sample(200), sample(200, dim=3, seed=11)
    losses = []
    for weight in (1e-6, 1.0):
        own = RqvaeObjective(codebooks="gradient", alignment=weight)
        quantizer = RQVAE(
            None, (16,), 4, 2, 16, own, epochs=10, batch_size=50, learning_rate=1e-2, device="cpu"
        )
        record = quantizer.fit(vectors, collaborative=collaborative).training_record
        losses.append(record["epochs"][-1]["side_loss"] / weight)
    assert losses[1] < losses[0]


def test_collaborative_vectors_are_given_exactly_where_they_are_used() -> None:
    plain, aligned = RQVAE(), RQVAE(objective=RqvaeObjective(codebooks="gradient", alignment=0.1))
    with pytest.raises(ConfigError, match="exactly if"):
        plain.fit(sample(5), collaborative=sample(5))
    with pytest.raises(ConfigError, match="exactly if"):
        aligned.fit(sample(5))
    with pytest.raises(DataError, match="one collaborative vector"):
        aligned.fit(sample(5), collaborative=sample(4))


def test_float32_and_float64_decide_alike() -> None:
    points = np.concatenate([sample(40, dim=24), sample(40, dim=24) * np.float32(1 + 1e-6)])
    books = ResidualCodebooks([points, 0.3 * sample(50, dim=24, seed=12)])
    vectors = (points[np.arange(400) % 80] + 1e-4 * sample(400, dim=24, seed=13)).astype(np.float64)
    first = nearest(vectors, points.astype(np.float64))
    np.testing.assert_array_equal(books.encode(vectors)[:, 0], first)
    second = nearest(vectors - points[first], books.codebooks[1])
    np.testing.assert_array_equal(books.encode(vectors)[:, 1], second)
    huge = ResidualCodebooks([1e25 * points.astype(np.float64)])
    np.testing.assert_array_equal(
        huge.encode(1e25 * vectors)[:, 0], nearest(1e25 * vectors, 1e25 * points.astype(np.float64))
    )
