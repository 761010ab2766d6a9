"""The commands as a person types them: what they print, what they write, and with which status they end."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tyro
from pictures import assert_refused, checks, everything_in, fitted, stripes, write, write_labelled

from novelette import arguments, cli, cli_classify, cli_study, cli_tag, cli_train, saying, store, watch
from novelette.cli import main
from novelette.data.images import Preprocessing, load
from novelette.data.sources import open_source
from novelette.methods import ede_gan

ROOT = Path(__file__).parents[2]
GAN = ("--widths", "2", "--latent", "8", "--steps", "20", "--false-alarm-rate", "0.2")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(60))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("pictures") / "labelled")


@pytest.fixture(scope="module")
def knn(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "knn.det", parts)


@pytest.fixture(scope="module")
def gan(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "gan.det", parts, "ede-gan", *GAN)


def weights(det):
    return (det / "weights.safetensors").read_bytes()


def as_json(argv, capsys):
    capsys.readouterr()
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# starting


@pytest.mark.parametrize("program", ["import novelette", "from novelette.cli import main; main(['--help'])"])
def test_starting_loads_neither_torch_nor_numpy(program):
    heavy = "import sys; print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'numpy', 'PIL', 'sklearn'}))"
    ended = subprocess.run([sys.executable, "-c", f"{program}\n{heavy}"], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_names_every_command_in_one_line(argv, capsys):
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w.+\.$", out, re.MULTILINE) for name in cli.COMMANDS)


@pytest.mark.parametrize("argv", [["fit"], *([name] for name in cli.COMMANDS), ["fit", "knn"], ["fit", "ede-gan"]], ids=" ".join)
def test_help_of_every_command_ends_well(argv, capsys):
    assert main([*argv, "--help"]) == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", [[], ["--paper"]], ids=["ours", "paper"])
def test_help_of_a_method_lists_its_settings_with_their_ranges_and_defaults(recipe, capsys):
    main(["fit", "ede-gan", *recipe, "--help"])
    words = re.sub(r"[\s│]", "", capsys.readouterr().out)  # lines break anywhere
    config = ede_gan.paper() if recipe else ede_gan.Config()
    widths = "-".join(map(str, config.widths))
    assert re.search(rf"--widthsN-N-Nchannelsofeachdownsamplingblock[^)]+\(default:{widths}\)", words)
    assert f"--batch-sizeINTpicturesanupdate(from1to4,096)(default:{config.batch_size})" in words


def test_methods_and_version_are_printed(capsys):
    assert main(["methods"]) == 0
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert "ede-gan" in out
    assert "knn" in out
    assert re.search(r"^novelette \d+\.\d+", out, re.MULTILINE)


def commands_in(page):
    """The commands of a page's ```bash blocks, as argument lists; lines that end in a backslash go on."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    said = [shlex.split(re.split(r"[|;>&]", line.strip().removeprefix("$ "))[0], comments=True) for line in lines]
    return [words[1:] for words in said if words[:1] == ["novelette"]]


def test_commands_are_found_in_a_page():
    page = "```bash\n$ novelette info a.det --json | head  # x\nmake demo\nnovelette score \\\n  a.det b/\n```\n```\nnovelette no\n```\n"
    assert commands_in(page) == [["info", "a.det", "--json"], ["score", "a.det", "b/"]]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name)
def test_every_command_in_the_documentation_parses(page, monkeypatch):
    def parse_only(command, args, name):
        tyro.cli(arguments.spied(command, []), args=list(args), prog=name)
        return 0

    for module in (cli, cli_classify, cli_study, cli_tag, cli_train):
        monkeypatch.setattr(module, "parse", parse_only)
    for argv in commands_in(page.read_text()):
        assert cli._run(argv) == 0, argv


# fit


def test_fit_says_what_it_did_and_what_is_strange_about_the_pictures(tmp_path, capsys):
    pictures = np.concatenate([stripes(40), checks(1), stripes(40)[:1]])  # 40 is novel, 41 a copy of 0
    det = fitted(tmp_path / "a.det", write(tmp_path / "parts", pictures), "ede-gan", *GAN)
    out, err = capsys.readouterr()
    found = re.search(r"a\.det: ede-gan fitted on (\d+) pictures and calibrated on (\d+) others in", out)
    assert int(found[1]) + int(found[2]) == 42
    strangest = re.search(r"strangest pictures: (.+)", out)[1].split(", ")
    assert len(strangest) == 10
    assert "1 duplicate: 00.png = 41.png" in out
    assert err == ""
    assert set(everything_in(tmp_path)) >= {"a.det/detector.json", "a.det/weights.safetensors"}
    assert not (tmp_path / "a.det.run").exists()
    assert store.load(det).threshold is not None


def test_strangest_training_picture_is_the_one_that_is_not_like_the_others(tmp_path, capsys):
    write(tmp_path / "parts", np.concatenate([stripes(40), checks(1)]))
    fitted(tmp_path / "a.det", tmp_path / "parts", "ede-gan", *GAN, "--pipeline", "ed", "--steps", "100")
    assert "strangest pictures: 40.png" in capsys.readouterr().out


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, parts, gan):
    assert weights(fitted(tmp_path / "same.det", parts, "ede-gan", *GAN)) == weights(gan)
    assert weights(fitted(tmp_path / "other.det", parts, "ede-gan", *GAN, "--seed", "1")) != weights(gan)


def test_detector_of_a_named_set_needs_only_a_class(tmp_path, capsys):
    assert main(["fit", "knn", "digits", "--normal", "3", "-o", str(tmp_path / "3.det")]) == 0
    evaluated = as_json(["evaluate", str(tmp_path / "3.det"), "digits", "--normal", "3"], capsys)
    assert evaluated["auroc"] > 0.95
    assert evaluated["knn_auroc"] > 0.95


def test_steps_given_to_the_papers_recipe_take_the_place_of_its_epochs(tmp_path, parts, capsys):
    small = ("--widths", "2", "--latent", "8", "--steps", "3")
    config = store.load(fitted(tmp_path / "a.det", parts, "ede-gan", "--paper", *small)).config
    assert (config.steps, config.epochs, config.batch_size, config.schedule) == (3, 0, 1, "constant")
    log = (tmp_path / "a.det" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == 3


def test_fit_that_diverges_says_so_and_leaves_no_work_to_resume(tmp_path, parts, capsys, monkeypatch):
    monkeypatch.setattr(watch.Watch, "_nonsense", lambda self, step, losses, m: "training diverged at step 20: g is nan")
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    assert_refused(argv, tmp_path, capsys, "diverged at step 20", "try a lower --learning-rate")


def test_fit_with_too_few_pictures_for_the_rate_saves_without_a_threshold_and_says_how_many_more(tmp_path, parts, capsys):
    det = tmp_path / "a.det"
    assert main(["fit", "knn", str(parts), "-o", str(det), "--false-alarm-rate", "0.01"]) == 0
    held = len(store.load(det).calibration)
    out = capsys.readouterr().out
    assert f"no threshold: a false-alarm rate of 0.01 needs 99 calibration pictures, {99 - held} more than the {held} there are" in out
    assert store.load(det).threshold is None
    assert main(["score", str(det), str(parts / "00.png")]) == 0
    assert "novel" not in capsys.readouterr().out
    assert main(["score", str(det), str(parts), "-o", str(tmp_path / "a.jsonl")]) == 0
    assert all(json.loads(line)["novel"] is None for line in (tmp_path / "a.jsonl").read_text().splitlines())


def interrupt_at(step, monkeypatch):
    """Press Ctrl-C in the step `step`, from 0."""
    wants = cli_run().wants_log

    def press(self, at):
        if at == step:
            signal.raise_signal(signal.SIGINT)
        return wants(self, at)

    monkeypatch.setattr(cli_run(), "wants_log", press)


def cli_run():
    from novelette.training import Run

    return Run


@pytest.mark.parametrize("step", [0, 7, 19])
def test_stopped_fit_goes_on_with_resume_to_the_very_weights_of_one_never_stopped(step, tmp_path, parts, gan, capsys, monkeypatch):
    det, argv = tmp_path / "a.det", ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(step, patched)
        status = main(argv)
    err = capsys.readouterr().err
    assert status == saying.STOPPED == 130
    assert f"stopped at step {step + 1}" in err
    assert f"the work is kept in {det}.run" in err
    assert "--resume" in err
    assert err.count("\n") == 1
    assert not det.exists()
    assert main([*argv, "--resume"]) == 0
    assert weights(det) == weights(gan)
    assert store.load(det).calibration.tolist() == store.load(gan).calibration.tolist()
    assert not (tmp_path / "a.det.run").exists()


def test_resume_refuses_other_settings_other_pictures_and_a_damaged_checkpoint(tmp_path, parts, capsys, monkeypatch):
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main(argv) == 130
    before = everything_in(tmp_path)
    others = write(tmp_path.parent / f"{tmp_path.name}-others", stripes(60, seed=8))
    capsys.readouterr()
    for changed, says in (
        ([*argv, "--latent", "9"], "another --latent"),
        ([*argv, "--seed", "1"], "another --seed"),
        (["fit", "ede-gan", str(others), *argv[3:]], "another set of training pictures"),
        (["fit", "knn", *argv[2:5]], "a.det.run holds a stopped run of ede-gan"),  # which has no steps to go on with
        (["fit", "vae", *argv[2:5]], "a.det.run holds a stopped run of ede-gan"),
    ):
        assert main([*changed, "--resume"]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
        assert everything_in(tmp_path) == before
    checkpoint = tmp_path / "a.det.run" / "checkpoint.pt"
    os.truncate(checkpoint, 500)
    assert main([*argv, "--resume"]) == 2
    assert "checkpoint.pt cannot be read" in capsys.readouterr().err


def test_resume_with_another_split_of_the_same_pictures_is_refused(tmp_path, parts, capsys, monkeypatch):
    """It would calibrate on pictures that the stopped run has trained on."""
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main(argv) == 130
    assert_refused([*argv, "--group-by", "[0-9]", "--resume"], tmp_path, capsys, "another set of training pictures")


def test_a_stopped_run_that_would_replace_a_detector_goes_on_with_resume_alone(tmp_path, parts, gan, capsys, monkeypatch):
    det, argv = tmp_path / "a.det", ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    assert main(["fit", "knn", str(parts), "-o", str(det)]) == 0
    before = everything_in(det)
    assert_refused([*argv, "--resume"], tmp_path, capsys, "--force")  # of no run that was told to
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main([*argv, "--force"]) == 130
    assert everything_in(det) == before
    assert main([*argv, "--resume"]) == 0
    assert weights(det) == weights(gan)


def test_a_stopped_run_that_was_to_replace_nothing_replaces_nothing(tmp_path, parts, knn, capsys, monkeypatch):
    det, argv = tmp_path / "a.det", ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main(argv) == 130
    shutil.copytree(knn, det)
    capsys.readouterr()
    assert_refused([*argv, "--resume"], tmp_path, capsys, "a.det exists", "--force")


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_resume_with_an_output_that_is_no_name_is_refused(output, parts, capsys):
    assert main(["fit", "knn", str(parts), "-o", output, "--resume"]) == 2
    assert f"novelette: {output} exists" in capsys.readouterr().err


def test_resume_says_when_there_is_nothing_to_go_on_with(tmp_path, parts, capsys):
    assert main(["fit", "knn", str(parts), "-o", str(tmp_path / "a.det"), "--resume"]) == 0
    assert f"there is no stopped run at {tmp_path / 'a.det.run'}: beginning one" in capsys.readouterr().err


def test_what_is_something_else_than_a_detector_is_named(tmp_path, parts, capsys):
    for card, what in (("bundle.json", "a bundle"), ("tagger.json", "a tagger")):
        (tmp_path / what).mkdir()
        (tmp_path / what / card).write_text("{}")
        assert_refused(["calibrate", str(tmp_path / what), str(parts)], tmp_path, capsys, f"is {what}, not a detector")
    assert_refused(["calibrate", str(parts), str(parts)], tmp_path, capsys, "is not a detector: it has no detector.json")


def test_a_named_set_where_none_is_taken_is_not_called_a_missing_path(tmp_path, knn, capsys):
    argv = ["score", str(knn), "digits", "-o", str(tmp_path / "a.csv")]
    assert_refused(argv, tmp_path, capsys, "digits does not exist; digits is a named set, which is not taken here")


@pytest.mark.heavy
def test_ctrl_c_at_a_terminal_ends_with_130_and_no_traceback(tmp_path, parts):
    command = [sys.executable, "-m", "novelette.cli", "fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det")]
    fit = subprocess.Popen([*command, *GAN, "--steps", "10000000"], stderr=subprocess.PIPE, text=True)
    try:
        log, deadline = tmp_path / "a.det.run" / "log.jsonl", time.monotonic() + 60  # torch takes seconds to load
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        fit.send_signal(signal.SIGINT)
        _, err = fit.communicate(timeout=30)
    finally:
        fit.kill()
    assert fit.returncode == 130
    assert err.count("\n") == 1
    assert "--resume" in err
    assert (tmp_path / "a.det.run" / "checkpoint.pt").exists()


def test_ctrl_c_anywhere_else_ends_with_130_and_one_line(tmp_path, knn, parts, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("novelette.detector.Detector.score_pixels", stop)
    capsys.readouterr()
    assert main(["score", str(knn), str(parts), "-o", str(tmp_path / "a.csv")]) == 130
    assert capsys.readouterr() == ("", "novelette: stopped\n")
    assert everything_in(tmp_path) == {}


# what cannot be read


@pytest.fixture
def dirty(tmp_path):
    """normal/ of 30 and novel/ of 3 readable pictures, and an empty, a truncated and a foreign file among them."""
    folder = write_labelled(tmp_path / "dirty", 3)
    write(folder / "normal", stripes(30, seed=4))
    (folder / "normal" / "05x.png").touch()
    (folder / "novel" / "00x.png").write_bytes((folder / "novel" / "00.png").read_bytes()[:200])
    (folder / "normal" / "99.jpg").write_text("no picture")
    return folder


def test_unreadable_pictures_are_listed_counted_and_skipped(dirty, tmp_path, knn, capsys):
    normal = str(dirty / "normal")
    for argv in (
        ["fit", "knn", normal, "-o", str(tmp_path / "a.det"), "--false-alarm-rate", "0.3"],
        ["calibrate", str(tmp_path / "a.det"), normal, "--false-alarm-rate", "0.3"],
        ["score", str(knn), str(dirty), "-o", str(tmp_path / "a.csv")],
        ["evaluate", str(knn), str(dirty)],
    ):
        capsys.readouterr()
        assert main(argv) == saying.SKIPPED == 3
        err = capsys.readouterr().err.splitlines()
        if normal in argv:
            skipped = ["05x.png: empty file", "99.jpg: not an image"]
        else:
            skipped = ["normal/05x.png: empty file", "normal/99.jpg: not an image", "novel/00x.png: truncated"]
        assert err[: len(skipped)] == [f"skipped {line}" for line in skipped]
        assert err[len(skipped)] == f"{len(skipped)} pictures were skipped"
    paths = [line.partition(",")[0] for line in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert len(paths) == 33
    assert paths == sorted(paths)
    assert store.load(tmp_path / "a.det").provenance["n_unreadable"] == 2


def test_unreadable_pictures_do_not_change_the_figures(dirty, labelled, knn, capsys):
    capsys.readouterr()
    main(["evaluate", str(knn), str(dirty), "--json"])
    with_them = json.loads(capsys.readouterr().out)
    for name in ("normal/05x.png", "normal/99.jpg", "novel/00x.png"):
        (dirty / name).unlink()
    without = as_json(["evaluate", str(knn), str(dirty)], capsys)
    assert (with_them["n_normal"], with_them["n_novel"], with_them["unreadable"]) == (30, 3, 3)
    assert {k: v for k, v in with_them.items() if k not in ("seconds", "unreadable")} == {
        k: v for k, v in without.items() if k not in ("seconds", "unreadable")
    }


# calibrate


@pytest.mark.parametrize("method", ["knn", "gan"])
def test_calibrate_changes_the_calibration_alone(method, tmp_path, request, capsys):
    was = request.getfixturevalue(method)
    det = Path(shutil.copytree(was, tmp_path / "a.det"))
    fresh = write(tmp_path / "fresh", stripes(30, seed=7))
    assert main(["calibrate", str(det), str(fresh), "--false-alarm-rate", "0.1"]) == 0
    assert "calibrated on 30 pictures" in capsys.readouterr().out
    cards = [json.loads((folder / "detector.json").read_text()) for folder in (was, det)]
    assert {key for key in cards[0] if cards[0][key] != cards[1][key]} == {"calibration", "false_alarm_rate", "card_sha256"}
    others = [{name: content for name, content in everything_in(folder).items() if name != "detector.json"} for folder in (was, det)]
    assert others[0] == others[1]
    now = store.load(det)
    assert now.calibration.tolist() == sorted(now.score(fresh).tolist())
    assert now.threshold == now.calibration[-3]  # the k-th largest, k = floor(0.1 * 31)
    np.testing.assert_array_equal(now.score(fresh), store.load(was).score(fresh))


def test_calibrate_leaves_out_the_pictures_that_training_saw(tmp_path, knn, parts):
    det = Path(shutil.copytree(knn, tmp_path / "a.det"))
    held_out = store.load(knn).calibration
    assert main(["calibrate", str(det), str(parts), "--false-alarm-rate", "0.2"]) == 0
    np.testing.assert_array_equal(store.load(det).calibration, held_out)


def test_calibrate_keeps_the_stated_rate_unless_another_is_given(tmp_path, knn):
    fresh = write(tmp_path / "fresh", stripes(12, seed=7))
    for given, rate in (([], 0.2), (["--false-alarm-rate", "0.1"], 0.1)):
        assert main(["calibrate", str(knn), str(fresh), *given, "-o", str(tmp_path / f"{rate}.det")]) == 0
        assert store.load(tmp_path / f"{rate}.det").false_alarm_rate == rate


def test_calibrate_into_another_detector_leaves_the_first(tmp_path, knn, capsys):
    before = everything_in(knn)
    fresh = write(tmp_path / "fresh", stripes(12, seed=7))
    assert main(["calibrate", str(knn), str(fresh), "--false-alarm-rate", "0.05", "-o", str(tmp_path / "b.det")]) == 0
    assert "7 more than the 12 there are" in capsys.readouterr().out  # 5 % needs 19
    assert everything_in(knn) == before
    assert store.load(tmp_path / "b.det").threshold is None


def test_calibrate_in_place_that_would_lose_the_threshold_is_refused(tmp_path, knn, capsys):
    det = Path(shutil.copytree(knn, tmp_path / "a.det"))
    fresh = write(tmp_path / "fresh", stripes(12, seed=7))
    argv = ["calibrate", str(det), str(fresh), "--false-alarm-rate", "0.05"]
    assert_refused(argv, tmp_path, capsys, "needs 19 calibration pictures", "keeps its old threshold")
    assert store.load(det).threshold == store.load(knn).threshold is not None


def test_calibrate_leaves_out_every_view_of_what_training_saw(tmp_path):
    """Twenty things of three views each: a group is on one side, so as many as were held out are fresh, whole groups of them."""
    folder = tmp_path / "parts"
    for i, picture in enumerate(write_views(folder)):
        picture.rename(folder / f"part{i // 3:02}-{i % 3}.png")
    det = fitted(tmp_path / "a.det", folder, "knn", "--group-by", "part[0-9]+")
    was = store.load(det)
    assert len(was.calibration) % 3 == 0
    trained = store.load(det).scorer.state()["images"][:, 0].numpy()
    new = write(tmp_path / "new", np.concatenate([trained[:1], checks(2)]))  # one that it saw, and two new ones
    for old, name in zip(sorted(new.iterdir()), ("part1-0.png", "part1-1.png", "part2-0.png"), strict=True):
        old.rename(new / name)
    assert main(["calibrate", str(det), str(new), "-o", str(tmp_path / "b.det")]) == 0
    assert len(store.load(tmp_path / "b.det").calibration) == 1  # part1-1 is a view of what it saw
    assert main(["calibrate", str(det), str(folder), "--false-alarm-rate", "0.3", "-o", str(tmp_path / "c.det")]) == 0
    np.testing.assert_array_equal(store.load(tmp_path / "c.det").calibration, was.calibration)


def write_views(folder):
    return sorted(write(folder, stripes(60)).iterdir())


# score, evaluate, info


def test_scores_of_a_detector_fitted_in_python_and_by_the_command_agree(tmp_path, parts, gan):
    import novelette

    fitted_here = novelette.fit("ede-gan", parts, widths="2", latent=8, steps=20, false_alarm_rate=0.2)
    np.testing.assert_array_equal(fitted_here.score(checks(3)), store.load(gan).score(checks(3)))
    assert novelette.load(gan).predict(checks(3)).novel.shape == (3,)


def test_evaluate_prints_one_json_object_with_every_figure(labelled, knn, capsys):
    said = as_json(["evaluate", str(knn), str(labelled)], capsys)
    keys = "auroc auroc_low auroc_high aupr fpr95 false_alarm_rate miss_rate knn_auroc knn_cosine_auroc n_normal n_novel seconds"
    assert set(keys.split()) <= set(said)
    assert (said["n_normal"], said["n_novel"]) == (12, 12)
    assert said["auroc_low"] <= said["auroc"] <= said["auroc_high"]
    assert said["knn_cosine_auroc"] == said["auroc"]  # the detector is that very kNN
    alarms = store.load(knn).predict(labelled / "normal").novel
    assert said["false_alarm_rate"] == pytest.approx(alarms.mean())


def test_evaluate_tells_the_novel_folders_apart(tmp_path, labelled, knn, capsys):
    for folder, name in (("normal", "normal"), ("novel", "scratch"), ("novel", "pit")):
        shutil.copytree(labelled / folder, tmp_path / name)
    said = as_json(["evaluate", str(knn), str(tmp_path)], capsys)["kinds"]
    assert set(said) == {"pit", "scratch"}
    assert said["pit"] == said["scratch"]
    caught = store.load(knn).predict(tmp_path / "pit").novel
    assert (said["pit"]["pictures"], said["pit"]["called_novel"]) == (12, caught.sum())
    assert main(["evaluate", str(knn), str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["by", "kind", "pictures", "called", "novel", "AUROC"] in lines
    assert ["scratch", "12", str(caught.sum())] in [line[:3] for line in lines]
    assert as_json(["evaluate", str(knn), str(labelled)], capsys)["kinds"] == {}


def test_files_that_are_taken_for_masks_are_named(tmp_path, labelled, knn, capsys):
    shutil.copytree(labelled, tmp_path / "labelled")
    write(tmp_path / "labelled" / "mask", checks(2))  # a kind of novelty, or marks of novelty: its name says marks
    write(tmp_path / "parts", stripes(20))
    write(tmp_path / "parts" / "masks", checks(1))
    marks = "taken for masks and left out: mask/00.png, mask/01.png; if they are pictures, rename them or their folder\n"
    for argv, says in (
        (["evaluate", str(knn), str(tmp_path / "labelled")], marks),
        (["score", str(knn), str(tmp_path / "labelled"), "-o", str(tmp_path / "a.csv")], marks),
        (["fit", "knn", str(tmp_path / "parts"), "-o", str(tmp_path / "a.det")], marks.replace("mask/00.png, mask/01.png", "masks/00.png")),
    ):
        capsys.readouterr()
        assert main(argv) == 0
        assert says in capsys.readouterr().err


def test_names_that_are_not_utf8_are_shown_as_far_as_they_are_text(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        write_labelled(folder, 20)
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    det = fitted(tmp_path / os.fsdecode(b"d\xe9.det"), folder / "normal")
    assert main(["info", str(det)]) == 0
    assert "normal" in capsys.readouterr().out
    assert main(["evaluate", str(det), str(folder), "-o", str(tmp_path / "report")]) == 0
    title, provenance = re.search(
        "<title>(.*)</title>.*(source</th><td>.*?)</td>", (tmp_path / "report" / "index.html").read_text(), re.S
    ).groups()
    assert title.startswith("d\ufffd.det on ")
    assert title.endswith("/caf\ufffd")
    assert "/caf\ufffd/normal" in provenance
    assert as_json(["evaluate", str(det), str(folder)], capsys)["knn_auroc"] is not None  # found again by the bytes of its name


def test_evaluate_without_the_training_pictures_says_so_and_takes_others(tmp_path, labelled, capsys):
    source = write(tmp_path / "parts", stripes(40))
    det = fitted(tmp_path / "a.det", source)
    here = as_json(["evaluate", str(det), str(labelled)], capsys)
    source.rename(tmp_path / "moved")
    gone = as_json(["evaluate", str(det), str(labelled)], capsys)
    assert gone["knn_auroc"] is gone["knn_cosine_auroc"] is None
    assert "not at hand" in gone["note"]
    assert gone["auroc"] == here["auroc"]
    given = as_json(["evaluate", str(det), str(labelled), "--train", str(tmp_path / "moved")], capsys)
    assert given["knn_auroc"] is not None
    write(source, stripes(40, seed=3))  # other pictures have come to its place: they are not taken for the detector's own
    assert as_json(["evaluate", str(det), str(labelled)], capsys)["knn_auroc"] is None


def test_a_class_is_of_the_named_set_whether_it_is_evaluated_or_the_neighbours_are_of_it(tmp_path, knn, labelled, parts, capsys):
    det = fitted(tmp_path / "3.det", "digits", "knn", "--normal", "3")
    own = as_json(["evaluate", str(det), "digits", "--normal", "3"], capsys)
    others = as_json(["evaluate", str(det), "digits", "--normal", "3", "--train", str(parts)], capsys)
    assert (others["auroc"], others["n_novel"]) == (own["auroc"], own["n_novel"])
    assert others["knn_auroc"] < own["knn_auroc"]  # stripes are no neighbours of digits
    here = as_json(["evaluate", str(knn), str(labelled)], capsys)
    digits = as_json(["evaluate", str(knn), str(labelled), "--train", "digits", "--normal", "3"], capsys)
    assert (digits["auroc"], digits["n_normal"]) == (here["auroc"], here["n_normal"])
    assert digits["knn_auroc"] is not None


def test_evaluate_on_the_set_of_the_fit_takes_its_class_and_protocol_and_says_when_others_are_given(tmp_path, capsys):
    det = fitted(tmp_path / "3.det", "digits", "knn", "--normal", "3", "--protocol", "gpnd", "--protocol-seed", "4")
    own = as_json(["evaluate", str(det), "digits"], capsys)
    spelled = as_json(["evaluate", str(det), "digits", "--normal", "3", "--protocol", "gpnd", "--protocol-seed", "4"], capsys)
    assert (own["auroc"], own["n_normal"], own["note"]) == (spelled["auroc"], spelled["n_normal"], None)
    assert as_json(["evaluate", str(det), "digits", "--train", "digits"], capsys)["knn_auroc"] is not None
    for said, title in (
        (["--normal", "4", "--protocol", "gpnd", "--protocol-seed", "4"], "normal = 4, gpnd, drawn by seed 4"),
        (["--normal", "3", "--protocol", "gpnd"], "normal = 3, gpnd, drawn by seed 0"),
        (["--normal", "3"], "normal = 3, standard"),
    ):
        note = as_json(["evaluate", str(det), "digits", *said], capsys)["note"]
        assert f"fitted on digits, normal = 3, gpnd, drawn by seed 4; these pictures are of digits, {title}." in note


def test_evaluate_counts_other_views_of_what_training_saw(tmp_path, capsys):
    folder = tmp_path / "parts"
    for i, picture in enumerate(write_views(folder)):
        picture.rename(folder / f"part{i // 3:02}-{i % 3}.png")
    det = fitted(tmp_path / "a.det", folder, "knn", "--group-by", "part[0-9]+")
    trained = store.load(det).scorer.state()["images"][:, 0].numpy()
    write(tmp_path / "labelled" / "novel", checks(3))
    normal = write(tmp_path / "labelled" / "normal", np.concatenate([trained[:1], stripes(3, seed=5)]))
    for old, name in zip(sorted(normal.iterdir()), ("part1-0.png", "part1-1.png", "part1-2.png", "part2-0.png"), strict=True):
        old.rename(normal / name)
    note = as_json(["evaluate", str(det), str(tmp_path / "labelled")], capsys)["note"]
    assert "3 of these 7 pictures are also among the training pictures, or of a group with one that is" in note
    capsys.readouterr()
    weigh = ["--miss-cost", "5", "--novel-prior", "0.2", "-o", str(tmp_path / "b.det")]
    assert main(["calibrate", str(det), str(tmp_path / "labelled"), *weigh]) == 0
    assert "calibrated on 1 normal picture and 3 novel" in capsys.readouterr().out  # part2-0 alone is new


def test_looking_for_the_training_pictures_never_downloads(tmp_path, knn, monkeypatch):
    from novelette.data import named
    from novelette.data.select import Where
    from novelette.evaluate_saved import training_pixels

    monkeypatch.delenv("NOVELETTE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = []
    monkeypatch.setattr(named, "fetch", lambda *args: asked.append(args))
    detector = store.load(knn)
    detector.provenance["source"] |= {"source": "mnist", "normal": "3"}
    assert training_pixels(detector, None, Where()) is None
    assert asked == []


def test_neighbours_are_the_pictures_that_the_detector_trained_on(labelled, gan, knn, parts):
    from novelette.data.select import Where
    from novelette.evaluate_saved import training_pixels

    detector = store.load(gan)
    neighbours = training_pixels(detector, None, Where())
    everything = load(open_source(parts), Preprocessing())
    assert len(neighbours) == detector.provenance["n_training"] == len(everything.pixels) - len(detector.calibration)
    np.testing.assert_array_equal(neighbours[:, 0], store.load(knn).scorer.state()["images"].numpy())


def test_evaluate_writes_a_page_and_says_where(tmp_path, labelled, gan, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(gan), str(labelled), "-o", str(tmp_path / "made" / "report")]) == 0
    out, err = capsys.readouterr()
    assert "AUROC" in out
    assert err == f"report: {tmp_path / 'made' / 'report' / 'index.html'}\n"
    assert set(everything_in(tmp_path)) == {"made", "made/report", "made/report/index.html"}


@pytest.mark.parametrize(("method", "keeps"), [("knn", True), ("gan", False)])
def test_info_describes_a_detector(method, keeps, request, capsys):
    det = request.getfixturevalue(method)
    said = as_json(["info", str(det)], capsys)
    keys = "method params macs image_size channels threshold false_alarm_rate seed version contains_training_pictures"
    assert set(keys.split()) <= set(said)
    assert said["contains_training_pictures"] is keeps
    assert (said["image_size"], said["channels"], said["seed"], said["false_alarm_rate"]) == (32, 1, 0, 0.2)
    assert said["threshold"] == store.load(det).threshold
    assert main(["info", str(det)]) == 0
    assert re.search(r"^threshold +\d", capsys.readouterr().out, re.MULTILINE)
