"""Interrupted fits and encodings go on to the same result; many threads give what one gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from genrec.errors import ArtifactError, DataError
from genrec.quantization import (
    FSQ,
    LFQ,
    RQVAE,
    ProductQuantizer,
    Quantizer,
    ResidualKMeans,
    RqvaeObjective,
    autoencoder,
    encode_file,
    row_blocks,
)
from genrec.quantization.fit_checkpoint import FitCheckpoint

NETWORK = {"hidden_dims": (8,), "epochs": 4, "batch_size": 16, "device": "cpu"}
UNIFORM = RqvaeObjective(codebooks="gradient", uniform_mapping=True, diversity=1e-3, diversity_clusters=2)
MAKERS: dict[str, Callable[[], Quantizer]] = {
    "residual_kmeans": lambda: ResidualKMeans(3, 8, iterations=5),
    "product": lambda: ProductQuantizer(3, 8, rotation_rounds=2, iterations=5),
    "rqvae": lambda: RQVAE(latent_dim=4, codebook_size=8, **NETWORK),  # type: ignore[arg-type]
    "rqvae-uniform": lambda: RQVAE(latent_dim=4, codebook_size=8, objective=UNIFORM, **NETWORK),  # type: ignore[arg-type]
    "fsq": lambda: FSQ((3, 4), 3, **NETWORK),  # type: ignore[arg-type]
    "lfq": lambda: LFQ(3, 3, **NETWORK),  # type: ignore[arg-type]
}


def sample(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("writes", [1, 2])
def test_a_fit_that_was_interrupted_goes_on_to_the_same_result(
    name: str, writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = sample(50)
    whole = MAKERS[name]().fit(vectors)
    monkeypatch.setattr(autoencoder, "CHECKPOINT_SECONDS", 0.0)
    write, done = FitCheckpoint.write, []

    def then_stop(self: FitCheckpoint, part: int | str, arrays: dict[str, np.ndarray]) -> None:
        write(self, part, arrays)
        done.append(part)
        if len(done) == writes:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(FitCheckpoint, "write", then_stop)
        with pytest.raises(Stopped):
            MAKERS[name]().fit(vectors, checkpoint=tmp_path / "fit")
    parts_read: list[object] = []
    read = FitCheckpoint.read

    def noted(self: FitCheckpoint, part: int | str) -> dict[str, np.ndarray] | None:
        found = read(self, part)
        parts_read.extend([part] if found is not None else [])
        return found

    monkeypatch.setattr(FitCheckpoint, "read", noted)
    resumed = MAKERS[name]().fit(vectors, checkpoint=tmp_path / "fit")
    assert parts_read
    np.testing.assert_array_equal(resumed.encode(vectors), whole.encode(vectors))
    np.testing.assert_array_equal(resumed.decode(whole.encode(vectors)), whole.decode(whole.encode(vectors)))
    assert resumed.training_record == whole.training_record
    assert not (tmp_path / "fit").exists()


def test_parts_of_other_vectors_or_settings_are_not_used(tmp_path: Path) -> None:
    vectors = sample(40)
    settings = ResidualKMeans(2, 8)._settings()
    kept = FitCheckpoint(tmp_path, "residual_kmeans", settings, vectors)
    kept.write(0, {"codebook": np.zeros((8, 6), np.float32), "prices": np.zeros(8, np.float32)})
    assert kept.read(0) is not None
    for other in (
        FitCheckpoint(tmp_path, "product", settings, vectors),
        FitCheckpoint(tmp_path, "residual_kmeans", settings | {"seed": 1}, vectors),
        FitCheckpoint(tmp_path, "residual_kmeans", settings, sample(40, seed=1)),
        FitCheckpoint(tmp_path, "residual_kmeans", settings, vectors[:39]),
        FitCheckpoint(None, "residual_kmeans", settings, vectors),
    ):
        assert other.read(0) is None
    (tmp_path / "0" / "arrays.safetensors").write_bytes(b"no")
    with pytest.raises(ArtifactError):
        kept.read(0)


def test_an_encoding_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.quantization.code_file.ROWS", 10)
    vectors, quantizer = sample(35), ResidualKMeans(3, 8).fit(sample(60))
    expected, encode, seen = quantizer.encode(vectors), ResidualKMeans.encode, []

    def counted(self: ResidualKMeans, block: np.ndarray) -> np.ndarray:
        if len(seen) == 2:
            seen.append(-1)
            raise Stopped
        seen.append(len(block))
        return encode(self, block)

    monkeypatch.setattr(ResidualKMeans, "encode", counted)
    with pytest.raises(Stopped):
        encode_file(quantizer, vectors, tmp_path / "codes")
    codes = encode_file(quantizer, vectors, tmp_path / "codes")
    assert seen == [10, 10, -1, 10, 5]
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(encode_file(quantizer, vectors, tmp_path / "codes"), expected)
    assert len(seen) == 5  # all was done
    del codes
    other = ResidualKMeans(3, 8, seed=1).fit(sample(60))
    np.testing.assert_array_equal(encode_file(other, vectors, tmp_path / "codes"), encode(other, vectors))


def test_an_encoding_takes_no_file_it_does_not_know(tmp_path: Path) -> None:
    quantizer = ResidualKMeans(3, 8).fit(sample(20))
    assert encode_file(quantizer, sample(0), tmp_path / "none").shape == (0, 3)
    (tmp_path / "codes.npy").write_bytes(b"mine")
    with pytest.raises(ArtifactError, match="nothing tells whose"):
        encode_file(quantizer, sample(5), tmp_path)
    with pytest.raises(DataError, match="width"):
        encode_file(quantizer, np.zeros((2, 7), dtype=np.float32), tmp_path / "new")


@pytest.mark.parametrize("clustering", ["kmeans", "minibatch", "balanced"])
def test_threads_and_mapped_files_change_nothing(
    clustering: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = sample(3_000)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    monkeypatch.setattr(row_blocks.each_block, "__kwdefaults__", {"block": 256, "progress": None})
    monkeypatch.setattr(row_blocks, "BLOCK", 256)
    found = []
    for threads, given in ((1, vectors), (3, mapped)):
        with threadpool_limits(limits=threads, user_api="blas"):
            quantizer = ResidualKMeans(2, 16, iterations=8, clustering=clustering)  # type: ignore[arg-type]
            found.append((quantizer.fit(given).encode(given), quantizer.training_record))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_blocks_come_in_order_and_few_are_held_at_once() -> None:
    begun: list[int] = []

    def work(one: slice) -> int:
        begun.append(one.start)
        return one.start

    blocks = row_blocks.each_block(work, 1_000, threads=3, block=10)
    assert next(blocks) == 0
    assert len(begun) <= 8
    assert [0, *blocks] == list(range(0, 1_000, 10))
