"""What each part of the recipe is worth: trainings without it, or with it, by the command.

Run: python benchmarks/bench_recipe.py DATA OUTPUT [--network fishnet_complex] [--seeds 1 2 3]
[--only whole plain ...]

DATA is a data set of 64×64 images, as `dataprep` writes it. Results are added to OUTPUT/recipe.csv;
each network wants an OUTPUT of its own.
Interrupted, the same command goes on with the training that ran; those that are finished stay.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.history import History

RUNNER = Path(__file__).parents[1] / "local_runner.py"
EPOCHS = 30
WHOLE = "--preset tiny-imagenet"
# Flags over those of the preset.
VARIANTS = {
    "whole": "",
    "plain": "--trainer.optimizer adamw --trainer.weight_decay 0 --trainer.learning_rate 1e-3"
    " --trainer.batch_size 64 --trainer.schedule constant --trainer.warmup_epochs 0"
    " --trainer.label_smoothing 0 --augment.flip False --augment.shift 0",
    "no flip, no shift": "--augment.flip False --augment.shift 0",
    "no shift": "--augment.shift 0",
    "no flip": "--augment.flip False",
    "no cosine": "--trainer.schedule constant",
    "no weight decay": "--trainer.weight_decay 0",
    "no label smoothing": "--trainer.label_smoothing 0",
    "no warm-up": "--trainer.warmup_epochs 0",
    "AdamW": "--trainer.optimizer adamw --trainer.learning_rate 2e-3 --trainer.weight_decay 0.05",
    "batches of 64": "--trainer.batch_size 64 --trainer.learning_rate 0.1",
    "and CutMix": "--augment.cutmix 1 --augment.unmixed_epochs 5",
    "and TrivialAugment": "--augment.trivial True",
    "and random parts": "--augment.min_area 0.5",
    "and erasing": "--augment.erase 0.25",
    "and averaged weights": "--trainer.average 0.999",
}


def train(data: str, output: Path, network: str, variant: str, seed: int) -> float:
    """Validation top-1 after the last epoch."""
    flags = (
        f"--to Trainer {WHOLE} {VARIANTS[variant]} --model.name {network}"
        f" --trainer.epochs {EPOCHS} --trainer.seed {seed}"
    )
    command = [sys.executable, str(RUNNER), "--data", data, "--output", str(output)]
    print(f"{variant}, seed {seed}:", *command[1:], flags, flush=True)
    subprocess.run([*command, *flags.split()], check=True, stdout=subprocess.DEVNULL)
    with (curves(output) / "history.csv").open(encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    assert int(last["epoch"]) == EPOCHS, last
    return float(last["val_top1"])


def curves(output: Path) -> Path:
    """The folder of the last run's `model_run`, which may be a cached one."""
    history = History(output)
    [found] = [a for a in history.of_type("ModelRun") if a.id in history.runs[0].artifacts]
    return Path(found.uri)


def read(path: Path) -> dict[tuple[str, int], float]:
    """(variant, seed) → top-1 of what is finished."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {(row[0], int(row[1])): float(row[2]) for row in csv.reader(file)}


def main() -> None:
    """Prints the table of all that is finished, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("output", type=Path)
    parser.add_argument("--network", default="fishnet_simple")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    table = args.output / "recipe.csv"
    for seed in args.seeds:
        for variant in args.only:
            if (variant, seed) in read(table):
                continue
            start = time.monotonic()
            top1 = train(args.data, args.output, args.network, variant, seed)
            with table.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow([variant, seed, top1])
            print(
                f"  {100 * top1:.1f} % after {(time.monotonic() - start) / 60:.0f} min", flush=True
            )
    results = read(table)
    print(f"\n{args.network}, {EPOCHS} epochs, {os.cpu_count()} cores\n")
    print("| recipe | top-1, % | mean |\n|---|---|---:|")
    for variant in VARIANTS:
        found = [100 * top1 for (name, _), top1 in sorted(results.items()) if name == variant]
        if found:
            each = ", ".join(f"{top1:.1f}" for top1 in found)
            print(f"| {variant} | {each} | {statistics.mean(found):.1f} |")


if __name__ == "__main__":
    main()
