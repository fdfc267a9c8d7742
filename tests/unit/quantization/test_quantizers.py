"""What holds for every quantizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.artifacts import MANIFEST
from genrec.errors import ArtifactError, DataError, GenRecError, SemanticIdError
from genrec.quantization import (
    FSQ,
    LFQ,
    RQVAE,
    AspectQuantizer,
    ProductQuantizer,
    Quantizer,
    ResidualFSQ,
    ResidualKMeans,
    RqvaeObjective,
    load_quantizer,
)

DIM = 6
MAKERS: dict[str, Callable[[], Quantizer]] = {
    "residual_kmeans": lambda: ResidualKMeans(3, 8, iterations=5),
    "rqvae": lambda: RQVAE(
        hidden_dims=(8,), latent_dim=4, codebook_size=8, epochs=3, batch_size=16, device="cpu"
    ),
    "rqvae-uniform": lambda: RQVAE(
        hidden_dims=(8,),
        latent_dim=4,
        codebook_size=8,
        objective=RqvaeObjective(codebooks="gradient", uniform_mapping=True, diversity=1e-4),
        epochs=3,
        batch_size=16,
        device="cpu",
    ),
    "balanced": lambda: ResidualKMeans(3, 8, iterations=5, clustering="balanced"),
    "product": lambda: ProductQuantizer(3, 8, rotation_rounds=2, iterations=5),
    "fsq": lambda: FSQ((3, 4), 3, hidden_dims=(8,), epochs=3, batch_size=16, device="cpu"),
    "residual_fsq": lambda: ResidualFSQ((3, 4), 3, hidden_dims=(8,), epochs=3, batch_size=16, device="cpu"),
    "aspects": lambda: AspectQuantizer(3, 1, 8, iterations=5),
    "lfq": lambda: LFQ(3, 3, hidden_dims=(8,), epochs=3, batch_size=16, device="cpu"),
}


def sample(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)


@pytest.fixture(scope="module", params=MAKERS)
def maker(request: pytest.FixtureRequest) -> Callable[[], Quantizer]:
    return MAKERS[request.param]


@pytest.fixture(scope="module")
def fitted(maker: Callable[[], Quantizer]) -> Quantizer:
    return maker().fit(sample(60))


def test_sizes_are_known_before_fit(maker: Callable[[], Quantizer]) -> None:
    quantizer = maker()
    assert len(quantizer.codebook_sizes) == 3
    assert not quantizer.fitted
    assert quantizer.fit(sample(20)).codebook_sizes == maker().codebook_sizes


def test_codes_are_int32_and_in_range(fitted: Quantizer) -> None:
    codes = fitted.encode(sample(40, seed=1))
    assert codes.dtype == np.int32
    assert codes.shape == (40, 3)
    assert (codes >= 0).all()
    assert (codes < np.array(fitted.codebook_sizes)).all()
    assert len(np.unique(codes, axis=0)) > 5


@given(data=st.data())
def test_codes_are_the_same_for_any_batch_and_order(fitted: Quantizer, data: st.DataObject) -> None:
    vectors = sample(30, seed=2)
    whole = fitted.encode(vectors)
    order = np.array(data.draw(st.permutations(range(30))))
    cut = data.draw(st.integers(0, 30))
    np.testing.assert_array_equal(fitted.encode(vectors[order[:cut]]), whole[order[:cut]])
    np.testing.assert_array_equal(fitted.encode(vectors[order[cut:]]), whole[order[cut:]])


def test_single_rows_get_the_codes_of_a_large_batch(fitted: Quantizer) -> None:
    vectors = sample(9_000, seed=3)
    whole = fitted.encode(vectors)
    for row in range(0, 9_000, 450):
        np.testing.assert_array_equal(fitted.encode(vectors[row : row + 1])[0], whole[row])


def test_same_vectors_and_seed_give_the_same_quantizer(
    maker: Callable[[], Quantizer], fitted: Quantizer
) -> None:
    again = maker().fit(sample(60))
    vectors = sample(50, seed=4)
    np.testing.assert_array_equal(again.encode(vectors), fitted.encode(vectors))
    codes = again.encode(vectors)
    np.testing.assert_array_equal(again.decode(codes), fitted.decode(codes))


def test_fit_leaves_the_global_random_state_alone(maker: Callable[[], Quantizer]) -> None:
    import torch

    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    maker().fit(sample(20))
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def test_saved_and_loaded_is_the_same(fitted: Quantizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "q")
    loaded = load_quantizer(tmp_path / "q")
    vectors = sample(200, seed=6)
    codes = fitted.encode(vectors)
    assert type(loaded) is type(fitted)
    assert loaded.fitted
    assert loaded.codebook_sizes == fitted.codebook_sizes
    np.testing.assert_array_equal(loaded.encode(vectors), codes)
    np.testing.assert_array_equal(loaded.decode(codes), fitted.decode(codes))
    np.testing.assert_array_equal(
        loaded.last_code_distances(vectors, codes), fitted.last_code_distances(vectors, codes)
    )
    assert loaded.training_record == json.loads(json.dumps(fitted.training_record))
    with pytest.raises(DataError, match="width"):
        loaded.encode(np.zeros((1, DIM + 1), dtype=np.float32))


def test_last_code_distances_are_least_at_the_own_code(fitted: Quantizer) -> None:
    vectors = sample(40, seed=7)
    codes = fitted.encode(vectors)
    distances = fitted.last_code_distances(vectors, codes)
    assert distances.shape == (40, fitted.codebook_sizes[-1])
    assert distances.dtype == np.float32
    own = distances[np.arange(40), codes[:, -1]]
    np.testing.assert_allclose(own, distances.min(axis=1), atol=1e-5)


def test_last_code_distances_do_not_read_the_last_code(fitted: Quantizer) -> None:
    vectors = sample(10, seed=8)
    codes = fitted.encode(vectors)
    other = codes.copy()
    other[:, -1] = 0
    np.testing.assert_array_equal(
        fitted.last_code_distances(vectors, codes), fitted.last_code_distances(vectors, other)
    )


def test_prefix_distances_prefer_the_own_prefix_to_most(fitted: Quantizer) -> None:
    vectors = sample(60)
    codes = fitted.encode(vectors)
    distances = fitted.prefix_distances(vectors, codes[:, :-1])  # [60, 60]
    assert distances.shape == (60, 60)
    rank_of_own = (distances < np.diag(distances)[:, None]).mean()
    assert rank_of_own < 0.1


def test_decoding_keeps_more_of_the_vectors_than_their_mean(maker: Callable[[], Quantizer]) -> None:
    centres = 5 * sample(4, seed=9)
    vectors = (centres[np.arange(200) % 4] + 0.1 * sample(200, seed=10)).astype(np.float32)
    quantizer = maker()
    if isinstance(quantizer, (RQVAE, FSQ, ResidualFSQ, LFQ)):
        quantizer.latent_space.epochs, quantizer.latent_space.learning_rate = 40, 2e-2
    decoded = quantizer.fit(vectors).decode(quantizer.encode(vectors))
    assert decoded.dtype == np.float32
    error = np.square(decoded - vectors).sum() / np.square(vectors - vectors.mean(axis=0)).sum()
    assert error < 0.3
    assert quantizer.training_record["relative_error"] == pytest.approx(error, rel=1e-3)


def test_the_number_of_threads_changes_nothing(maker: Callable[[], Quantizer], fitted: Quantizer) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        again = maker().fit(sample(60))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    vectors = sample(50, seed=4)
    np.testing.assert_array_equal(again.encode(vectors), fitted.encode(vectors))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_fewer_vectors_than_codes(maker: Callable[[], Quantizer], rows: int) -> None:
    quantizer = maker().fit(sample(rows))
    assert quantizer.encode(sample(rows)).shape == (rows, 3)
    assert quantizer.codebook_sizes == maker().codebook_sizes
    assert np.isfinite(quantizer.decode(quantizer.encode(sample(rows)))).all()


@pytest.mark.parametrize("value", [0.0, 3.0, 1e-20])
def test_all_vectors_equal(maker: Callable[[], Quantizer], value: float) -> None:
    vectors = np.full((30, DIM), value, dtype=np.float32)
    codes = maker().fit(vectors).encode(vectors)
    assert (codes == codes[0]).all()


def test_no_vectors_to_encode(fitted: Quantizer) -> None:
    assert fitted.encode(np.empty((0, DIM), dtype=np.float32)).shape == (0, 3)
    assert fitted.decode(np.empty((0, 3), dtype=np.int32)).shape == (0, DIM)


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (np.array([[0, 1, 2, 3, 4, np.nan]], dtype=np.float32), "NaN"),
        (np.array([[0, 1, 2, 3, 4, np.inf]], dtype=np.float32), "NaN or infinity"),
        (np.zeros((2, DIM + 1), dtype=np.float32), "width"),
        (np.zeros(DIM, dtype=np.float32), "matrix"),
        (np.zeros((2, DIM), dtype=np.int64), "floats"),
        (np.array([["a"] * DIM]), "floats"),
        ([[0.0] * DIM], "numpy"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(fitted: Quantizer, vectors: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fitted.encode(vectors)


def test_fitting_on_nothing_is_refused(maker: Callable[[], Quantizer]) -> None:
    with pytest.raises(DataError, match="no vectors"):
        maker().fit(np.empty((0, DIM), dtype=np.float32))
    with pytest.raises(DataError, match="NaN"):
        maker().fit(np.full((3, DIM), np.nan, dtype=np.float32))


@pytest.mark.parametrize("codes", [[[0, 0, 12]], [[0, -1, 0]], [[0, 0]], [0, 0, 0], [[0.0, 0.0, 0.0]]])
def test_codes_out_of_range_are_refused(fitted: Quantizer, codes: list[list[float]]) -> None:
    with pytest.raises(SemanticIdError):
        fitted.decode(np.array(codes))


def test_nothing_works_before_fit(maker: Callable[[], Quantizer], tmp_path: Path) -> None:
    quantizer, codes = maker(), np.zeros((1, 3), dtype=np.int32)
    for action in (
        lambda: quantizer.encode(sample(1)),
        lambda: quantizer.decode(codes),
        lambda: quantizer.last_code_distances(sample(1), codes),
        lambda: quantizer.prefix_distances(sample(1), codes[:, :2]),
        lambda: quantizer.save(tmp_path / "q"),
    ):
        with pytest.raises(DataError, match="learned nothing"):
            action()
    assert not (tmp_path / "q").exists()


def test_altered_files_are_refused(fitted: Quantizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "q")
    path = next((tmp_path / "q").rglob("quantizer.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="safetensors"):
        load_quantizer(tmp_path / "q")
    path.unlink()
    with pytest.raises(ArtifactError, match="missing"):
        load_quantizer(tmp_path / "q")
    (tmp_path / "q" / MANIFEST).write_text("{}")
    with pytest.raises(ArtifactError):
        load_quantizer(tmp_path / "q")
    with pytest.raises(ArtifactError):
        load_quantizer(tmp_path / "nowhere")


def test_a_quantizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    MAKERS["residual_kmeans"]().fit(sample(10)).save(tmp_path / "q")
    for wrong in (RQVAE, FSQ, ResidualFSQ, LFQ, ProductQuantizer):
        with pytest.raises(ArtifactError, match="it is a residual_kmeans"):
            wrong.load(tmp_path / "q")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResidualKMeans(0),
        lambda: ResidualKMeans(iterations=0),
        lambda: ResidualKMeans(normalize="max"),  # type: ignore[arg-type]
        lambda: RQVAE(latent_dim=0),
        lambda: RQVAE(hidden_dims=(0,)),
        lambda: RQVAE(learning_rate=0),
        lambda: RQVAE(objective=RqvaeObjective(commitment=-1)),
        lambda: RqvaeObjective(uniform_mapping=True),
        lambda: RqvaeObjective(diversity=0.1),
        lambda: RqvaeObjective(codebooks="mean"),  # type: ignore[arg-type]
        lambda: ResidualKMeans(clustering="fuzzy"),  # type: ignore[arg-type]
        lambda: ResidualKMeans(rows_per_code=0),
        lambda: ProductQuantizer(0),
        lambda: ProductQuantizer(rotation_rounds=-1),
        lambda: ResidualFSQ(levels=(1,)),
        lambda: LFQ(bits=0),
        lambda: LFQ(bits=17),
        lambda: LFQ(entropy_weight=-1),
        lambda: FSQ(levels=()),
        lambda: FSQ(levels=(2, 3)),
        lambda: FSQ(num_chunks=0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], Quantizer]) -> None:
    with pytest.raises(GenRecError):
        make()
