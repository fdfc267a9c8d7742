"""Commands of `benchmark_item_training.py`, one a line: each idea of better generation alone, and combined.

    python scripts/benchmark_item_jobs.py single --inputs outputs/scientific-inputs \
        --output outputs/scientific-jobs --seeds 0 1 2 | xargs -P 16 -I{} sh -c '{}'

`--inputs` is the output of `prepare_item_models.py`; jobs with a teacher want the file `teacher.npz` of
`prepare_item_teacher.py` there. Seeds come in turn, so that a list cut short still holds
whole seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

ALL = "--content minilm words successors --content-dim 256"
TEACHER = f"{ALL} --far-targets .3 --teacher teacher --teacher-share .5"
WIDE = "--hidden 256 --heads 4 --dropout .4"

# name -> what differs from the base: content minilm, IDs minilm-3x256 of the job's seed
SINGLE = {
    "base": "",
    "no-content": "--content",
    "content-words": "--content minilm words",
    "content-cooccurrence": "--content minilm cooccurrence",
    "content-successors": "--content minilm successors --content-dim 256",
    "far-targets-.3": "--far-targets .3",
    "reverse-.5": "--reverse .5",
    "crop-.5": "--crop .5",
    "item-dropout-.2": "--item-dropout .2",
    "soft-targets-.2": "--soft-targets .2 --neighbours minilm",
    "soft-inputs-.2": "--soft-inputs .2 --neighbours minilm",
    "label-smoothing-.1": "--label-smoothing .1",
    "ema-0": "--ema 0",
    "dropout-.5": "--dropout .5",
    "hidden-256": "--hidden 256 --heads 4",
    "layers-3": "--layers 3",
    "batch-256": "--batch-size 256 --learning-rate 2e-3 --evaluate-every 60",
    "embedding-weight-decay-.1": "--embedding-weight-decay .1",
    "codes-fused": "--ids fused-3x256",
    "codes-4x256": "--ids minilm-4x256",
    "codes-4x64": "--ids minilm-4x64",
    "codes-3x64": "--ids minilm-3x64",
    "codes-2x128": "--ids minilm-2x128",
}
COMBINED = {
    "all": ALL,
    "all-far": f"{ALL} --far-targets .3",
    "all-wide": f"{ALL} --far-targets .3 --soft-targets .1 --neighbours minilm {WIDE}",
    "all-far-teacher": TEACHER,
    "wide-teacher": f"{TEACHER} {WIDE}",
    "control-all-far": f"--model control {ALL} --far-targets .3",
    "sasrec": "--model sasrec --content",
    "sasrec-all": f"--model sasrec {ALL}",
    "sasrec-all-far": f"--model sasrec {ALL} --far-targets .3",
    "control-all-teacher": f"--model control {TEACHER}",
    "sasrec-all-teacher": f"--model sasrec {TEACHER}",
    "codes-only": "--node-levels 0",
    "codes-only-teacher": f"--node-levels 0 {TEACHER}",
    "codes-only-wide-teacher": f"--node-levels 0 {TEACHER} {WIDE}",
    "codes-only-all-far": f"--node-levels 0 {ALL} --far-targets .3",
    "no-leaves-all-far": f"--node-levels 2 {ALL} --far-targets .3",
}
SETS = {
    "single": SINGLE,
    "combined": COMBINED,
    "published": {},
}  # published: every file of the inputs' folder of that name


def command(arguments: argparse.Namespace, name: str, changes: str, seed: int) -> str:
    """One line: relative names of vectors and IDs become files of the inputs."""
    inputs = arguments.inputs
    chosen = {"--content": ["minilm"], "--ids": ["minilm-3x256"]}
    option = ""
    for word in changes.split():
        if word.startswith("--"):
            option = word
            chosen[option] = []
        else:
            chosen[option].append(word)
    for option in ("--content", "--neighbours"):
        if option in chosen:
            chosen[option] = [str(inputs / f"{value}.npy") for value in chosen[option]]
    if "--teacher" in chosen:
        chosen["--teacher"] = [str(inputs / f"{name}.npz") for name in chosen["--teacher"]]
    # only 3x256 IDs were made with several seeds; the others stand with their one set
    ids = chosen["--ids"][0]
    number = seed if ids.endswith("3x256") else 0
    own = inputs / f"{ids}-{number}.index.json.gz"
    chosen["--ids"] = [str(inputs / ids if ids.startswith("published/") else own)]
    words = [" ".join([option, *values]) for option, values in chosen.items()]
    return " ".join(
        [
            "python scripts/benchmark_item_training.py",
            f"--interactions {inputs / 'interactions.csv.gz'}",
            f"--vector-ids {inputs / 'item_ids.json'}",
            *words,
            f"--seed {seed} --output {arguments.output / f'{name}-{seed}'}",
            *arguments.extra,
        ]
    )


def main() -> None:
    """Prints the commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", help="names of the set; default all")
    parser.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="options for every command")
    arguments = parser.parse_args()
    jobs = SETS[arguments.set]
    if arguments.set == "published":
        files = sorted((arguments.inputs / "published").glob("*.json*"))
        jobs = {path.name.split(".")[0]: f"--ids published/{path.name}" for path in files}
    for seed in arguments.seeds:
        for name, changes in jobs.items():
            if arguments.only is None or name in arguments.only:
                print(command(arguments, name, changes, seed))


if __name__ == "__main__":
    main()
