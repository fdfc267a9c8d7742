"""The part `scale` of the tokenizer's benchmark: residual k-means and matching beside faiss.

Does not know the other parts. `scripts/benchmark_tokenizer.py` says what is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from genrec.quantization import Quantizer, ResidualKMeans
from genrec.semantic_ids import resolve_matching

WIDTH, BLOCK = 384, 50_000
SIZES = (256, 256, 256, 256)
Row = dict[str, Any]


def scale(options: argparse.Namespace) -> list[Row]:
    """Residual k-means and matching beside faiss."""
    with tempfile.TemporaryDirectory() as folder:
        vectors = generated(Path(folder) / "vectors.npy", options.rows, options.seed)
        quantizer = ResidualKMeans(len(SIZES), SIZES[0], iterations=options.iterations, seed=options.seed)
        most = quantizer.rows_per_code * SIZES[0]
        sample = np.array(vectors[np.linspace(0, len(vectors) - 1, min(most, len(vectors))).astype(int)])
        ours: dict[str, list[float]] = {"fit": [], "encode": [], "matching": []}
        theirs: list[float] = []
        with peak_memory() as memory:
            for _ in range(options.rounds):
                began = time.process_time()
                ours["fit"].append(timed(lambda: quantizer.fit(sample))[1])
                codes, seconds = timed(lambda: quantizer.encode(vectors))
                ours["encode"].append(seconds)
                resolved, seconds = timed(lambda codes=codes: matched(quantizer, codes, vectors))
                ours["matching"].append(seconds)
                own_cpu, began = time.process_time() - began, time.process_time()
                memory.pause()
                peer = residual_quantizer(options.iterations, beam=1)
                trained, encoded = timed(lambda peer=peer: peer.train(sample)), faiss_codes(peer, vectors)
                theirs.append(trained[1] + encoded[1])
                other_cpu = time.process_time() - began
                memory.go_on()
            memory.pause()
            best = {name: min(times) for name, times in ours.items()}
            own, other = error(quantizer.decode, codes, vectors), error(peer.decode, encoded[0], vectors)
            ratio = sum(best.values()) / min(theirs)
            shared = len(codes) - len(np.unique(codes, axis=0))
            unique = len(np.unique(resolved, axis=0)) == len(resolved)
            found = [
                row("fit + encode + matching / faiss train + encode", ratio, "ratio", "<= 1.3", ratio <= 1.3),
                row("the same in CPU seconds", own_cpu / other_cpu, "ratio"),
                *(row(f"{name}, genrec", seconds, "s") for name, seconds in best.items()),
                row("train + encode, faiss (greedy)", min(theirs), "s"),
                row("relative error, genrec", own, "share", "<= faiss", own <= other),
                row("relative error, faiss (greedy)", other, "share"),
                row("peak anonymous memory", memory.peak / 1e9, "GB", "<= 1.5", memory.peak <= 1.5e9),
                row("native IDs more than once", shared / len(codes), "share of items"),
                row("unique after matching", float(unique), "", "1", unique),
            ]
            if options.beam:
                peer = residual_quantizer(options.iterations, beam=5)
                trained, encoded = timed(lambda: peer.train(sample)), faiss_codes(peer, vectors)
                found.append(row("train + encode, faiss (beam 5)", trained[1] + encoded[1], "s"))
                found.append(
                    row("relative error, faiss (beam 5)", error(peer.decode, encoded[0], vectors), "share")
                )
    return found


def generated(path: Path, rows: int, seed: int) -> np.ndarray:
    """Unit vectors around 2,000 centres of unequal weight in 128 directions of falling variance, mapped."""
    generator = np.random.default_rng(seed)
    directions = np.linalg.qr(generator.standard_normal((WIDTH, 128)))[0].T.astype(np.float32)
    spread = (np.arange(1, 129) ** -0.5).astype(np.float32)
    centres = generator.standard_normal((2_000, 128), dtype=np.float32) * spread
    weights = np.arange(1, 2_001) ** -0.5
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, WIDTH))
    for start in range(0, rows, BLOCK):
        size = min(BLOCK, rows - start)
        points = centres[generator.choice(2_000, size, p=weights / weights.sum())]
        points = points + 0.7 * spread * generator.standard_normal((size, 128), dtype=np.float32)
        block = points @ directions + 0.01 * generator.standard_normal((size, WIDTH), dtype=np.float32)
        made[start : start + size] = block / np.linalg.norm(block, axis=1, keepdims=True)
    made.flush()
    del made
    return np.load(path, mmap_mode="r")


def residual_quantizer(iterations: int, beam: int) -> Any:
    """Faiss's quantizer of the same shape and training."""
    quantizer = faiss.ResidualQuantizer(WIDTH, len(SIZES), 8)
    quantizer.train_type = faiss.ResidualQuantizer.Train_default
    quantizer.cp.niter = iterations
    quantizer.max_beam_size = beam
    return quantizer


def faiss_codes(peer: Any, vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Codes of all rows, block by block as they are mapped, and the seconds."""
    blocks = range(0, len(vectors), BLOCK)
    return timed(
        lambda: np.concatenate([peer.compute_codes(np.array(vectors[s : s + BLOCK])) for s in blocks])
    )


def matched(quantizer: Quantizer, codes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Unique IDs."""
    return resolve_matching(
        codes,
        quantizer.codebook_sizes,
        vectors,
        last_code_distances=quantizer.last_code_distances,
        prefix_distances=quantizer.prefix_distances,
    )


def error(decode: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, vectors: np.ndarray) -> float:
    """Squared distance to the decoded vectors over the variance, on all rows."""
    mean = np.mean(vectors, axis=0, dtype=np.float64)
    missed = spread = 0.0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK].astype(np.float64)
        missed += float(np.square(block - decode(codes[start : start + BLOCK])).sum())
        spread += float(np.square(block - mean).sum())
    return missed / spread


class Memory:
    """Highest anonymous memory of this process, sampled; pages of mapped files do not count."""

    def __init__(self) -> None:
        self.peak, self.watching, self.over = 0, True, False

    def pause(self) -> None:
        """Stops looking."""
        self.watching = False

    def go_on(self) -> None:
        """Looks again."""
        self.watching = True

    def watch(self) -> None:
        """Looks fifty times a second until `over` is set."""
        while not self.over:
            if self.watching:
                status = Path("/proc/self/status").read_text(encoding="ascii")
                kilobytes = int(status.split("RssAnon:")[1].split()[0])
                self.peak = max(self.peak, 1024 * kilobytes)
            time.sleep(0.02)


@contextmanager
def peak_memory() -> Iterator[Memory]:
    """Samples memory while the block runs."""
    memory = Memory()
    thread = threading.Thread(target=memory.watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        memory.over = True
        thread.join()


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and the seconds it took."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def row(name: str, value: float, unit: str, goal: str | None = None, met: bool | None = None) -> Row:
    """One row of the table."""
    return {"name": name, "value": value, "unit": unit, "goal": goal, "met": met}
