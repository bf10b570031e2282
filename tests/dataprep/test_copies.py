from dataprep.collection import Collection, Collector
from dataprep.copies import remarks
from dataprep.entry import Entry


def collection(*images: tuple[str, str, str, int]) -> Collection:
    """Of split, class, file name and CRC-32."""
    collector = Collector()
    for split, synset, name, crc in images:
        collector.add(split, synset, name, Entry(f"{split}/{synset}/{name}", 100, crc))
    return collector.collection()


DISTINCT = [("train", "cat", "1", 1), ("train", "dog", "2", 2), ("val", "cat", "3", 3)]


def test_images_that_all_differ():
    assert remarks(collection(*DISTINCT)) == []


def test_copies_in_one_class_and_split():
    [told] = remarks(collection(*DISTINCT, ("train", "cat", "4", 1), ("train", "cat", "5", 1)))
    assert told.startswith("2 images are copies of others in their class and split: ")
    assert told.count(" = ") == 2


def test_image_in_two_classes():
    [told] = remarks(collection(*DISTINCT, ("train", "dog", "4", 1)))
    assert told.startswith("1 images are in several classes, byte for byte: ")
    assert "train/cat/1 = train/dog/4" in told or "train/dog/4 = train/cat/1" in told


def test_image_in_both_splits():
    [told] = remarks(collection(*DISTINCT, ("val", "cat", "4", 1), ("val", "cat", "5", 1)))
    assert told.startswith("2 validation images are in the training split too, byte for byte: ")
    assert "val/cat/4 = train/cat/1" in told
    assert "val/cat/5 = train/cat/1" in told


def test_image_in_two_classes_and_both_splits():
    other_class, leaked = remarks(collection(*DISTINCT, ("val", "dog", "4", 1)))
    assert "in several classes" in other_class
    assert "in the training split too, byte for byte: val/dog/4 = train/cat/1. " in leaked


def test_only_some_are_named():
    copies = [("val", "cat", f"copy {n}", 1) for n in range(9)]
    [told] = remarks(collection(*DISTINCT, *copies))
    assert told.count(" = ") == 3
    assert " and 6 more. " in told


def test_empty_files_are_no_copies():
    collector = Collector()
    for name in "ab":
        collector.add("train", name, name, Entry(name, 0, 0))
    assert remarks(collector.collection()) == []
