"""Definition files: shipped ones, your own, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrec.artifacts import data_folder
from genrec.errors import ConfigError
from genrec.quantization import (
    FSQ,
    LFQ,
    RQVAE,
    AspectQuantizer,
    ProductQuantizer,
    ResidualFSQ,
    ResidualKMeans,
)
from genrec.semantic_ids import IndexMethod, ItemTokenizer, ItemTokenizerDefinition, definition_path

SHIPPED = {
    "rqvae-3x256": (256, 256, 256, 256),
    "rqvae-4x256": (256, 256, 256, 256),
    "rqvae-refit-4x256": (256, 256, 256, 256),
    "rqvae-lc-rec-4x256": (256,) * 4,
    "rqvae-letter-4x256": (256,) * 4,
    "rkmeans-balanced-4x256": (256,) * 4,
    "opq-4x256": (256,) * 4,
    "opq-32x256": (256,) * 32,
    "lfq-4x256": (256,) * 4,
    "rfsq-4x256": (256,) * 4,
    "rkmeans-3x64": (64, 64, 64),
    "rkmeans-3x256": (256, 256, 256),
    "rkmeans-4x256": (256, 256, 256, 256),
    "fsq-4x240": (240, 240, 240, 240),
    "fsq-4x15360": (15_360,) * 4,
    "aspects-2x2x256": (256,) * 4,
    "p5-random": (256, 256, 256),
    "p5-independent": (16_384,),
    "p5-sequential": (64, 64, 64),
    "p5-collaborative": (21, 121, 121, 121),
    "p5-semantic": (64, 320, 320, 320, 320),
    "p5-hybrid": (21, 22, 16_384),
}


def test_every_definition_in_the_folder_is_tested() -> None:
    assert {path.stem for path in data_folder("tokenizers").glob("*.yaml")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_definitions_have_the_shape_their_name_says(name: str) -> None:
    tokenizer = ItemTokenizer.from_definition(name, seed=7)
    assert tokenizer.spec.codebook_sizes == SHIPPED[name]
    quantizer = tokenizer.quantizer
    made = (AspectQuantizer, RQVAE, ResidualKMeans, FSQ, ResidualFSQ, LFQ, ProductQuantizer, IndexMethod)
    assert isinstance(quantizer, made)
    assert quantizer.seed == 7
    header = definition_path(name).read_text(encoding="utf-8")
    for part in ("# What it is:", "# Whose settings:", "# How to use:"):
        assert part in header


def test_tigers_settings() -> None:
    section = ItemTokenizerDefinition.load("rqvae-3x256").rqvae
    assert section is not None
    assert (*section.hidden_dims, section.latent_dim) == (512, 256, 128, 32)
    assert (section.num_codebooks, section.codebook_size, section.commitment) == (3, 256, 0.25)
    assert ItemTokenizer.from_definition("rqvae-3x256").collisions == "extra_code"


def test_every_setting_of_a_file_reaches_the_quantizer(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "rqvae: {hidden_dims: [7], latent_dim: 3, num_codebooks: 2, codebook_size: 5, commitment: 0.5,\n"
        "  epochs: 9, batch_size: 11, learning_rate: 2e-4, normalize: l2, device: cpu}\n"
        "collisions: extra_code\nextra_code_size: 6\n"
    )
    tokenizer = ItemTokenizer.from_definition(path)
    q = tokenizer.quantizer
    assert isinstance(q, RQVAE)
    space = q.latent_space
    assert (space.hidden_dims, space.latent_dim, q.objective.commitment, space.epochs) == ((7,), 3, 0.5, 9)
    assert (space.batch_size, space.learning_rate, space.scaling.normalize, space.device) == (
        11,
        2e-4,
        "l2",
        "cpu",
    )
    assert tokenizer.spec.codebook_sizes == (5, 5, 6)
    path.write_text(
        "fsq: {levels: [3, 4], num_chunks: 2, hidden_dims: [], epochs: 9, batch_size: 11,\n"
        "  learning_rate: 0.1, normalize: none, device: cpu}\n"
    )
    f = ItemTokenizer.from_definition(str(path)).quantizer
    assert isinstance(f, FSQ)
    space = f.latent_space
    assert (f.levels, f.num_chunks, space.hidden_dims, space.epochs) == ((3, 4), 2, (), 9)
    assert (space.batch_size, space.learning_rate, space.scaling.normalize, space.device) == (
        11,
        0.1,
        "none",
        "cpu",
    )
    path.write_text("residual_kmeans: {num_codebooks: 2, codebook_size: 5, iterations: 4, normalize: l2}\n")
    k = ItemTokenizer.from_definition(str(path)).quantizer
    assert isinstance(k, ResidualKMeans)
    assert (k.codebook_sizes, k.iterations, k.scaling.normalize) == ((5, 5), 4, "l2")


def test_unknown_names_list_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"rqvae-4x256\.yaml"):
        definition_path("rqvae-4x265")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rqvae: {codebook_sizes: 4}\n", "did you mean rqvae.codebook_size"),
        ("rqvae: {epochs: many}\ncollision: matching\n", "2 mistakes"),
        ("collisions: matching\n", "exactly one quantizer section"),
        ("rqvae: {}\nfsq: {}\n", "exactly one quantizer section"),
        ("rqvae: {}\ncollisions: matchin\n", "did you mean 'matching'"),
        ("rqvae: {}\nextra_code_size: 0\n", "extra_code_size"),
        ("fsq: {levels: [2]}\n", "at least 3 levels"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        ItemTokenizer.from_definition(path)
