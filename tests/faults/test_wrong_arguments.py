"""Arguments and bench files that are wrong: one sentence, status 2, and nothing is written."""

import pytest
import torch
from pictures import assert_refused, write, write_labelled

from novelette import store

WRONG_ARGUMENTS = {
    "unknown command": (["train", "SOURCE"], "no command 'train'"),
    "unknown method": (["fit", "gan", "SOURCE", "-o", "OUT"], "no method 'gan'", "ede-gan", "knn"),
    "method forgotten": (["fit", "-o", "OUT"], "the method comes first"),
    "unknown option": (["fit", "knn", "SOURCE", "-o", "OUT", "--epoch", "3"], "--epoch"),
    "another method's option": (["fit", "knn", "SOURCE", "-o", "OUT", "--widths", "2"], "--widths"),
    "no output": (["fit", "knn", "SOURCE"], "-o"),
    "no source": (["score", "DET"], "missing"),
    "size not offered": (["fit", "knn", "SOURCE", "-o", "OUT", "--size", "33"], "--size", "32", "256"),
    "setting out of range": (["fit", "knn", "SOURCE", "-o", "OUT", "--k", "0"], "--k", "1", "not 0"),
    "setting not a number": (["fit", "knn", "SOURCE", "-o", "OUT", "--k", "many"], "--k", "many"),
    "k above the pictures": (["fit", "knn", "SOURCE", "-o", "OUT", "--k", "500"], "--k 500", "500 training pictures"),
    "tiles out of range": (["fit", "knn", "SOURCE", "-o", "OUT", "--tiles", "9"], "--tiles", "8", "not 9"),
    "negative seed": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--seed", "-1"], "--seed -1"),
    "seed of more than 63 bits": (
        ["fit", "knn", "SOURCE", "-o", "OUT", "--seed", str(2**63)],
        f"--seed {2**63} is out of range: give 0",
    ),
    "data root in no home": (["data", "--data-root", "~nobody-of-that-name/x"], "there is no such home folder"),
    "help within a comparison": (["compare", "SOURCE", "-o", "OUT", "--methods", "pca --help"], "novelette fit pca --help lists"),
    "negative protocol seed": (["fit", "knn", "digits", "--normal", "3", "-o", "OUT", "--protocol-seed", "-1"], "--protocol-seed -1"),
    "negative bootstrap seed": (["evaluate", "DET", "LABELLED", "--seed", "-1"], "--seed -1"),
    "rate of zero": (["fit", "knn", "SOURCE", "-o", "OUT", "--false-alarm-rate", "0"], "--false-alarm-rate", "between 0 and 1"),
    "rate of one": (["calibrate", "DET", "SOURCE", "--false-alarm-rate", "1"], "--false-alarm-rate", "between 0 and 1"),
    "rate that is not a number": (["calibrate", "DET", "SOURCE", "--false-alarm-rate", "nan"], "--false-alarm-rate"),
    "widths of the wrong count": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--widths", "2-4"], "--widths 2-4", "2 blocks", "need 3"),
    "widths that are no numbers": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--widths", "2,4,8"], "--widths", "2,4,8"),
    "width of zero": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--widths", "0"], "--widths"),
    "settings that contradict": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--statistics", "running"], "--norm batch"),
    "class of a named set forgotten": (["fit", "knn", "digits", "-o", "OUT"], "--normal", "0, 1, 2"),
    "class that does not exist": (["fit", "knn", "digits", "--normal", "ten", "-o", "OUT"], "digits has no class ten", "9"),
    "class number too high": (["fit", "knn", "digits", "--normal", "10", "-o", "OUT"], "no class 10"),
    "labelled pictures to fit on": (["fit", "knn", "LABELLED", "-o", "OUT"], "normal/ beside other folders", "the normal pictures alone"),
    "labelled pictures to calibrate on": (["calibrate", "DET", "LABELLED"], "normal/ beside other folders"),
    "class of two folders": (
        ["evaluate", "DET", "LABELLED", "--normal", "3", "--train", "SOURCE"],
        "--normal 3",
    ),
    "class of a folder": (["fit", "knn", "SOURCE", "--normal", "3", "-o", "OUT"], "--normal 3", "digits"),
    "unknown protocol": (["evaluate", "DET", "digits", "--normal", "3", "--protocol", "mine"], "--protocol mine", "standard"),
    "group-by that is no expression": (["fit", "knn", "SOURCE", "-o", "OUT", "--group-by", "("], "--group-by"),
    "group-by that finds nothing": (["fit", "knn", "SOURCE", "-o", "OUT", "--group-by", "part[0-9]"], "--group-by", "00.png"),
    "scores of no known type": (["score", "DET", "SOURCE", "-o", "OUT.txt"], ".csv or .jsonl"),
    "calibration pictures that training saw": (["calibrate", "DET", "TRAINED"], "trained on every one"),
    "no normal folder": (["evaluate", "DET", "SOURCE"], "normal/", "novel/"),
    "labelled folder missing": (["evaluate", "DET", "NOWHERE"], "NOWHERE"),
    "train missing": (["evaluate", "DET", "LABELLED", "--train", "NOWHERE"], "NOWHERE", "does not exist"),
    "no detector": (["score", "NOWHERE/a.det", "SOURCE"], "no detector", "a.det"),
    "no detector to calibrate": (["calibrate", "NOWHERE/a.det", "SOURCE"], "no detector", "a.det"),
    "no bench file": (["bench", "NOWHERE.toml"], "NOWHERE.toml"),
    "jobs of zero": (["bench", "NOWHERE.toml", "--jobs", "0"], "--jobs 0", "1 to 256"),
}


@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument_is_told_in_one_sentence(wrong, tmp_path, det, parts, capsys):
    names = {"SOURCE": str(parts), "DET": str(det), "OUT": str(tmp_path / "new" / "x.det"), "OUT.txt": str(tmp_path / "x.txt")}
    names |= {name: str(tmp_path / name) for name in ("NOWHERE", "NOWHERE/a.det", "NOWHERE.toml")}
    argv, *says = wrong
    if "LABELLED" in argv:
        names["LABELLED"] = str(write_labelled(tmp_path / "labelled", 2))
    if "TRAINED" in argv:
        names["TRAINED"] = str(write(tmp_path / "seen", kept_pictures(det)))
    assert_refused([names.get(word, word) for word in argv], tmp_path, capsys, *says)


def kept_pictures(det):
    return store.load(det).scorer.state()["images"][:, 0].numpy()


def test_cuda_where_there_is_none_is_told_in_one_sentence(tmp_path, det, parts, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    labelled = write_labelled(tmp_path / "labelled", 2)
    for argv in (
        ["fit", "knn", str(parts), "-o", str(tmp_path / "a.det")],
        ["score", str(det), str(parts), "-o", str(tmp_path / "a.csv")],
        ["evaluate", str(det), str(labelled)],
    ):
        assert_refused([*argv, "--device", "cuda"], tmp_path, capsys, "--device cuda", "cpu")


def test_bench_that_asks_for_what_is_not_there_is_refused(tmp_path, capsys):
    file = tmp_path / "b.toml"
    start = 'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\n'
    entry = '[[detectors]]\nlabel = "a"\nmethod = "knn"\n'
    for text, says in (
        ("title = ", "not a TOML file"),
        (start, "detectors"),
        (start.replace('"b"', '"../b"') + entry, "b.toml: name: string should match"),
        ("", "b.toml: name: field required; title: field required; data: field required; detectors: field required\n"),
        (start + entry.replace("knn", 'knn"\ncolour = "3'), "there is no setting detectors.0.colour"),
        (start + "sizes = 3\n" + entry, "there is no setting sizes"),
        (start.replace("digits", "digitz") + entry, "digitz"),
        (start + "seeds = [0, -1]\n" + entry, "seeds"),
        (start.replace('"3"', '"ten"') + entry, "no class ten"),
        (start + 'protocol = "mine"\n' + entry, "no protocol 'mine'"),
        (start + entry.replace("knn", "nn"), "no method 'nn'"),
        (start + entry + "config = { k = 0 }\n", "--k"),
        (start + entry + "stack = 2\n", "cannot be stacked"),
    ):
        file.write_text(text)
        assert_refused(["bench", str(file), "--results", str(tmp_path / "results")], tmp_path, capsys, says)
    assert_refused(
        ["bench", str(tmp_path), "--results", str(tmp_path / "results")], tmp_path, capsys, f"cannot read {tmp_path}: is a directory"
    )
