import json

from dataprep.outcome import tell


def dataset(folder, classes: int, left_out=(), doubtful=()) -> str:
    synsets = [f"n{number:03}" for number in range(classes)]
    split = {"records": 7, "shards": {"a": {}, "b": {}}, "classes": dict.fromkeys(synsets, 1234)}
    manifest = {
        "synsets": synsets,
        "splits": {"train": split, "val": split},
        "left_out": [{"file": file, "reason": "why"} for file in left_out],
        "doubtful": [{"file": file, "reason": "why"} for file in doubtful],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "labels.txt").write_text("".join(f"name of {synset}\n" for synset in synsets))
    return str(folder)


def test_tells_what_there_is_and_the_next_command(tmp_path, capsys):
    output = dataset(tmp_path, 2, left_out=["a", "b", "c", "d"], doubtful=["e"])
    tell(output, written=True, flags="--preset mine ")
    assert capsys.readouterr().out == (
        f"{output}: written\n"
        "  train: 7 records in 2 shards\n"
        "  val: 7 records in 2 shards\n"
        "  classes: 2 (train, val)\n"
        "    name of n000 (1,234, 1,234)\n"
        "    name of n001 (1,234, 1,234)\n"
        "  left out: 4 images that cannot be used, a, b, c and 1 more; manifest.json has the "
        "reasons\n"
        "  doubtful: 1 images that were taken and may be damaged, e; manifest.json has the "
        "reasons\n"
        f"Next: python local_runner.py --preset mine --data {output}\n"
    )


def test_of_many_classes_some_are_listed(tmp_path, capsys):
    output = dataset(tmp_path, 200)
    tell(output, written=False)
    out = capsys.readouterr().out
    assert out.count("name of") == 20
    assert f"    and 180 more: python -m dataprep inspect {output} --all\n" in out
