"""What was measured beside the AUROC: scores seen and unseen, noise, passes."""

from table.made_records import GAN, HEAD, rows

from novelette.bench.trials import noise, passes, seen


def test_seen_and_unseen_by_hand(place):
    scores = {"train": 2.0, "normal": 3.0, "novel": 6.0, "told_apart": 0.75}
    found = place.records(place.bench(HEAD + GAN), {("GAN", normal, 0): 0.9 for normal in "01"}, scores=scores)
    assert rows(seen(found).text)[2] == ["GAN", "2", "3", "6", "1.50", "2.00", "0.7500"]


def test_noise_by_hand(place):
    shown = {"0": {"latent": 0.9, "image": 0.8}, "0.4": {"image": 0.6}}
    found = place.records(place.bench(HEAD + GAN), {("GAN", normal, 0): 0.9 for normal in "01"}, noise=shown)
    section = noise(found)
    assert rows(section.text)[0] == ["detector", "score", "σ = 0", "σ = 0.4"]
    assert rows(section.text)[2:] == [["GAN", "latent", "0.9000", ""], ["GAN", "image", "0.8000", "0.6000"]]
    latent, image = section.plots[0].panels[""]
    assert (list(latent.x), list(image.x), latent.dashed, image.dashed) == ([0.0], [0.0, 0.4], False, True)


def test_passes_by_hand(place):
    found = place.records(place.bench(HEAD + GAN), {("GAN", normal, 0): 0.9 for normal in "01"}, passes=0.92)
    assert rows(passes(found).text)[2] == ["GAN", "0.9000", "0.9200", "+0.0200"]
