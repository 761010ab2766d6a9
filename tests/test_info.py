"""`novelette info`: a detector's sizes on disk and in use, and a student beside its teacher."""

import json
from dataclasses import replace

import pytest
from pictures import assert_refused, fitted, stripes, write

from novelette import info, store
from novelette.cli import main
from novelette.facts import rows, teacher_words

GAN = ("--latent", "8", "--steps", "20", "--false-alarm-rate", "0.2")
SPEED = {"latency_ms", "latency_p99_ms", "images_per_second", "batch", "calls", "threads"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A teacher, its student and a kNN: t.det, s.det, knn.det."""
    folder = tmp_path_factory.mktemp("detectors")
    parts = write(folder / "parts", stripes(60))
    fitted(folder / "t.det", parts, "ede-gan", "--widths", "4", *GAN)
    fitted(folder / "knn.det", parts)
    assert main(["distill", str(folder / "t.det"), str(parts), "-o", str(folder / "s.det"), "--widths", "2", "--steps", "3"]) == 0
    return folder


def as_json(det, capsys):
    capsys.readouterr()
    assert main(["info", str(det), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def as_lines(det, capsys):
    capsys.readouterr()
    assert main(["info", str(det)]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_students_teacher_stands_beside_it(folder, capsys):
    said, cost, cost_t = as_json(folder / "s.det", capsys), store.load(folder / "s.det").cost(), store.load(folder / "t.det").cost()
    for its, where in ((cost, said), (cost_t, said["teacher"])):
        assert (its.params, its.macs, its.elementwise, its.weight_bytes) == tuple(
            where[name] for name in ("params", "macs", "elementwise", "weight_bytes")
        )
        assert set(where["speed"]) == SPEED
        assert where["speed"]["threads"] == 1
    ratios, speed, speed_t = said["ratios"], said["speed"], said["teacher"]["speed"]
    assert ratios["params"] == cost_t.params / cost.params > 1
    assert ratios["macs"] == cost_t.macs / cost.macs > 1
    assert ratios["latency_ms"] == speed_t["latency_ms"] / speed["latency_ms"]
    assert ratios["images_per_second"] == speed["images_per_second"] / speed_t["images_per_second"]  # more is better
    assert "disk_bytes" not in ratios


def test_the_table_for_people_follows_the_first_facts(folder, capsys):
    out = as_lines(folder / "s.det", capsys)
    cost, cost_t = store.load(folder / "s.det").cost(), store.load(folder / "t.det").cost()
    table = out[out.index("") + 1 :]
    table = table[: table.index("")]
    assert table[0].split() == ["student", "teacher", "ratio"]
    assert table[1].split() == ["parameters", f"{cost.params:,}", f"{cost_t.params:,}", f"{cost_t.params / cost.params:.2f}"]
    assert any(line.startswith("ms for one image, median ") and len(line.split()) == 8 for line in table)
    assert "those of a new network of its shape" in table[-2]
    assert "one thread" in table[-3]


def facts_of(lines):
    """The page's two columns, by name."""
    return {line[:28].strip(): line[28:] for line in lines if line}


def test_what_a_person_wants_first_stands_first_and_the_teacher_on_one_line(folder, capsys):
    out, student = as_lines(folder / "s.det", capsys), store.load(folder / "s.det")
    first = facts_of(out[: out.index("")])
    assert list(first)[:5] == ["method", "images", "threshold", "false-alarm rate", "trained on"]
    assert first["images"] == "32 × 32 px, grey, stretch"
    assert first["threshold"] == f"{student.threshold:.6g}"
    trained, parts = student.provenance["n_training"], folder / "parts"
    assert first["trained on"] == f"{trained} pictures of {parts}"
    assert first["teacher"] == f"ede-gan, widths 4, 20 steps, trained on {trained} pictures of {parts}"
    assert first["contains training pictures"] == "no"
    assert first["made"].endswith("on cpu, by novelette " + student.provenance["versions"]["novelette"])
    assert not any("provenance" in line or "teacher_config" in line for line in out)
    rest = facts_of(out[out.index("Settings; --json has all that is known.") :])
    assert rest["widths"] == ", ".join(map(str, student.config.widths))
    assert (rest["learning_rate"], rest["norm_first"]) == (f"{student.config.learning_rate:.6g}", "yes")


def test_a_line_for_every_fact_and_none_for_nothing():
    facts = {"a": None, "b": [], "c": False, "d": 12345, "e": 0.123456789, "f": ("x", 2.5), "g": "", "h": 0}
    assert [line.split(maxsplit=1) for line in rows(facts)] == [
        ["c", "no"],
        ["d", "12,345"],
        ["e", "0.123457"],
        ["f", "x, 2.5"],
        ["h", "0"],
    ]


@pytest.mark.parametrize(
    ("distilled", "says"),
    [
        (None, None),
        ([], None),
        ({"teacher_config": None}, None),
        ({"teacher_config": {"k": 5}, "teacher_method": "feature-knn", "teacher": {}}, "feature-knn"),
        ({"teacher_config": {"widths": [64, 128], "steps": 1500}, "teacher": None}, "ede-gan, widths 64-128, 1,500 steps"),
        (
            {"teacher_config": {"widths": "many"}, "teacher": {"n_training": 1, "title": "a"}},
            "ede-gan, widths many, trained on 1 picture of a",
        ),
    ],
)
def test_a_teacher_is_told_as_far_as_it_is_known(distilled, says):
    assert teacher_words(distilled) == says


def test_a_warning_of_the_fit_stands_among_the_first_facts(folder, tmp_path, capsys):
    knn = store.load(folder / "knn.det")
    det = store.save(replace(knn, provenance=knn.provenance | {"warning": "it collapsed"}), tmp_path / "w.det")
    out = as_lines(det, capsys)
    assert facts_of(out[: out.index("")])["warning"] == "it collapsed"


@pytest.mark.parametrize("name", ["t", "knn"])
def test_a_detector_that_was_not_distilled_stands_alone(name, folder, capsys):
    said = as_json(folder / f"{name}.det", capsys)
    assert said["teacher"] is said["ratios"] is None
    assert set(said["speed"]) == SPEED
    out = as_lines(folder / f"{name}.det", capsys)
    assert out[out.index("") + 1].split() == ["parameters", f"{said['params']:,}"]


def test_knn_has_no_parameters_but_keeps_and_compares_pictures(folder, capsys):
    said = as_json(folder / "knn.det", capsys)
    pixels = store.load(folder / "knn.det").scorer.state()["images"].numel()
    assert (said["params"], said["elementwise"]) == (0, 0)
    assert said["macs"] == said["weight_bytes"] == pixels > 0


def test_sizes_on_disk_with_the_discriminator_and_without(folder, capsys):
    det = folder / "t.det"
    said = as_json(det, capsys)
    whole = sum((det / name).stat().st_size for name in ("detector.json", "weights.safetensors"))
    critic = sum(t.nbytes for name, t in store.load(det).scorer.state().items() if name.startswith("critic."))
    assert said["disk_bytes"] == whole
    assert said["disk_bytes_without_discriminator"] == whole - critic < whole
    assert said["weight_bytes"] < whole - critic
    assert "disk_bytes_without_discriminator" not in as_json(folder / "knn.det", capsys)


def test_a_search_has_a_speed_but_no_network_to_count_and_needs_its_discriminator(folder, capsys):
    fitted(folder / "search.det", folder / "parts", "anogan", "--widths", "2", "--steps", "2", "--search-steps", "1")
    said = as_json(folder / "search.det", capsys)
    assert set(said["speed"]) == SPEED
    assert not {"params", "macs", "disk_bytes_without_discriminator"} & set(said)
    assert not any(line.startswith("parameters") for line in as_lines(folder / "search.det", capsys))


@pytest.mark.parametrize("config", [{"widths": [1, 2]}, {"widths": "many"}, {"depth": 3}, [4], None], ids=repr)
def test_a_teacher_that_no_network_is_is_told_in_a_sentence(config, folder, tmp_path, capsys):
    student = store.load(folder / "s.det")
    distilled = student.provenance["distilled"] | {"teacher_config": config}
    det = store.save(replace(student, provenance=student.provenance | {"distilled": distilled}), tmp_path / "odd.det")
    assert_refused(["info", str(det)], tmp_path, capsys, "detector.json is damaged", "teacher_config")


@pytest.mark.parametrize("distilled", [None, [], "x", {}, {"teacher": {}}], ids=repr)
def test_a_card_that_does_not_know_its_teacher_is_described_without(distilled, folder, tmp_path, capsys):
    student = store.load(folder / "s.det")
    det = store.save(replace(student, provenance=student.provenance | {"distilled": distilled}), tmp_path / "odd.det")
    assert as_json(det, capsys)["teacher"] is None


def test_ratios_say_how_many_times_better_the_student_is():
    student = {"params": 10, "speed": {"latency_ms": 2.0, "images_per_second": 300.0, "batch": 64}}
    teacher = {"params": 50, "speed": {"latency_ms": 6.0, "images_per_second": 100.0, "batch": 8}}
    assert info.ratios(student, teacher) == {"params": 5.0, "latency_ms": 3.0, "images_per_second": 3.0}
