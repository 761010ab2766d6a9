"""Pictures -> images: channels, frames, tiles, hashes, and streaming that loses nothing."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from novelette.data import images, pixels
from novelette.data.images import Preprocessing, as_tensor, content_hash, guess_channels, load, prepare, stream
from novelette.data.pixels import is_grey, luminance, over_white, to_uint8
from novelette.data.sources import ArraySource, SubsetSource, UnreadablePicture, open_source
from novelette.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data"
rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (40, 60), np.uint8)
RGB = rng.integers(0, 256, (40, 60, 3), np.uint8)


def grey_as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def folder_of(pictures: list[np.ndarray | bytes], folder: Path) -> Path:
    """Pictures as PNG files, or bytes that are none, named by their number."""
    folder.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures):
        path = folder / f"{i:04d}.png"
        if isinstance(picture, bytes):
            path.write_bytes(picture)
        else:
            Image.fromarray(picture).save(path)
    return folder


# ---- preprocessing ----


@pytest.mark.parametrize("wrong", [{"size": 48}, {"channels": 2}, {"tiles": 0}, {"tiles": 9}, {"frame": "x"}, {"resize": 1}])
def test_preprocessing_refuses_what_it_does_not_know(wrong):
    with pytest.raises(ValidationError):
        Preprocessing(**wrong)


def test_preprocessing_survives_json():
    preprocessing = Preprocessing(size=128, channels=3, frame="pad", tiles=4, colour="convert")
    assert Preprocessing.model_validate_json(preprocessing.model_dump_json()) == preprocessing


# ---- channels ----


def test_luminance_is_pillows():
    assert np.array_equal(luminance(RGB), np.asarray(Image.fromarray(RGB).convert("L")))
    assert np.array_equal(luminance(grey_as_rgb(GREY)), GREY)  # exact for grey


def test_formulas_do_not_depend_on_how_many_pixels_go_at_a_time(monkeypatch):
    rgba = rng.integers(0, 256, (2, 40, 60, 4), np.uint8)
    deep = rng.integers(0, 65536, (2, 40, 60, 3)).astype(np.uint16)
    whole = [luminance(rgba[..., :3]), over_white(rgba), to_uint8(deep), is_grey(rgba[..., :3] // 30)]
    for strip in (1, 100, 5000):
        monkeypatch.setattr(pixels, "STRIP", strip)
        parts = [luminance(rgba[..., :3]), over_white(rgba), to_uint8(deep), is_grey(rgba[..., :3] // 30)]
        assert all(map(np.array_equal, parts, whole))


def test_one_channel_refuses_colour_in_one_sentence_with_the_name():
    with pytest.raises(InputError, match=r"1 channel was given a colour picture, parts/7\.png: .*--channels 3"):
        prepare(RGB, Preprocessing(), "parts/7.png")


@pytest.mark.parametrize("kind", ["files", "array"])
def test_a_colour_picture_among_grey_ones_is_left_out_and_named_and_stops_what_is_loaded_as_a_whole(tmp_path, kind):
    pictures = np.stack([grey_as_rgb(GREY), RGB, grey_as_rgb(GREY)])
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    source, left_out = open_source(tmp_path if kind == "files" else pictures), {}
    (chunk,) = stream(source, Preprocessing(), unreadable=left_out)
    assert chunk.indices.tolist() == [0, 2]
    assert list(left_out) == [1]
    assert "in colour" in left_out[1]
    with pytest.raises(InputError, match=rf"{re.escape(source.names[1])} is in colour.*--channels 3"):
        load(source, Preprocessing())
    with pytest.raises(InputError, match=re.escape("cannot be read (it is in colour")):
        list(stream(SubsetSource(source, np.array([1])), Preprocessing()))


def test_one_channel_takes_the_luminance_if_asked():
    preprocessing = Preprocessing(colour="convert")
    assert np.array_equal(prepare(RGB, preprocessing), prepare(luminance(RGB), preprocessing))


def test_grey_saved_as_rgb_counts_as_grey():
    assert np.array_equal(prepare(grey_as_rgb(GREY), Preprocessing()), prepare(GREY, Preprocessing()))


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {"quality": 60}), (".webp", {"quality": 60}), (".png", {})])
def test_grey_saved_as_a_colour_file_counts_as_grey(tmp_path, suffix, options):
    noisy = grey_as_rgb(GREY // 2 + 60) + rng.integers(0, 2, RGB.shape, np.uint8)
    Image.fromarray(noisy).save(tmp_path / f"a{suffix}", **options)
    source = open_source(tmp_path)
    assert source.read(0).ndim == 3
    assert guess_channels(source) == 1
    assert len(load(source, Preprocessing()).pixels) == 1


def test_a_faint_tint_and_a_small_coloured_spot_are_colour():
    tinted, spotted = grey_as_rgb(GREY // 2), grey_as_rgb(GREY)
    tinted[..., 0] += 12
    spotted[5, 5] = (200, 20, 20)
    assert is_grey(np.stack([tinted, spotted, grey_as_rgb(GREY)])).tolist() == [False, False, True]


def test_three_channels_repeat_grey():
    out = prepare(GREY, Preprocessing(channels=3))
    assert out.shape == (1, 3, 32, 32)
    assert np.array_equal(out[0, 0], out[0, 1])
    assert np.array_equal(out[0, :1], prepare(GREY, Preprocessing())[0])


def test_channels_are_guessed_from_a_spread_sample_of_readable_pictures(tmp_path):
    assert guess_channels(ArraySource(np.stack([RGB] * 3))) == 3
    assert guess_channels(ArraySource(np.stack([GREY] * 3))) == 1
    mixed = [grey_as_rgb(GREY)] * 199 + [RGB]  # the last is always in the sample
    assert guess_channels(ArraySource(np.stack(mixed))) == 3
    assert guess_channels(open_source(folder_of([b"text", GREY], tmp_path / "f"))) == 1
    asked = []
    source = ArraySource(np.zeros((10_000, 2, 2), np.uint8))
    source.read = lambda i: asked.append(i) or np.zeros((2, 2), np.uint8)
    guess_channels(source)
    assert len(asked) == 64
    assert (asked[0], asked[-1]) == (0, 9999)


# ---- frames and tiles ----


def test_an_image_of_the_right_size_stays_as_it_is():
    picture = rng.integers(0, 256, (32, 32, 3), np.uint8)
    for frame in ("stretch", "crop", "pad"):
        out = prepare(picture, Preprocessing(channels=3, frame=frame))
        assert np.array_equal(out[0], np.moveaxis(picture, 2, 0))


def test_stretch_halves_by_hand():
    # 64 -> 32 with a bilinear filter of widened support: weights 1, 3, 3, 1 over 8 on each axis
    picture = rng.integers(0, 256, (64, 64), np.uint8)
    weights = np.array([1, 3, 3, 1]) / 8
    window = picture[19:23, 29:33]  # the pixels about 2 * 10 and 2 * 15
    expected = weights @ window @ weights
    assert abs(int(prepare(picture, Preprocessing())[0, 0, 10, 15]) - expected) <= 1  # two roundings


def test_crop_keeps_the_middle_square():
    picture = np.full((40, 80), 200, np.uint8)
    picture[:, 20:60] = 50
    assert np.all(prepare(picture, Preprocessing(frame="crop"))[..., 1:-1] == 50)
    assert np.all(prepare(picture.T, Preprocessing(frame="crop"))[..., 1:-1, :] == 50)


def test_pad_keeps_everything_and_fills_with_the_borders_median():
    picture = np.full((40, 80, 3), (10, 90, 200), np.uint8)
    picture[10:30, 20:60] = 255
    out = prepare(picture, Preprocessing(channels=3, frame="pad"))[0]
    assert np.array_equal(out[:, :8], np.broadcast_to(np.array([10, 90, 200], np.uint8)[:, None, None], (3, 8, 32)))
    assert np.array_equal(out[:, -8:], out[:, :8])
    assert np.all(out[:, 14:18, 12:20] == 255)


def test_tiles_are_row_major_parts_of_the_picture():
    picture = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((96, 64), np.uint8))
    out = prepare(picture, Preprocessing(tiles=6))
    assert out.shape == (36, 1, 32, 32)
    assert out[:, 0, 16, 16].reshape(6, 6).tolist() == np.kron([[0, 40, 80], [120, 160, 200]], np.ones((3, 2))).tolist()


def test_tiles_put_together_are_the_picture_framed_at_their_size():
    big = prepare(RGB, Preprocessing(size=128, channels=3, frame="pad"))[0]
    small = prepare(RGB, Preprocessing(size=32, channels=3, frame="pad", tiles=4))
    assert np.array_equal(small.reshape(4, 4, 3, 32, 32).transpose(2, 0, 3, 1, 4).reshape(3, 128, 128), big)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    colour=st.booleans(),
    channels=st.sampled_from([1, 3]),
    frame=st.sampled_from(["stretch", "crop", "pad"]),
    tiles=st.integers(1, 3),
)
def test_any_picture_becomes_images_of_the_stated_shape(shape, colour, channels, frame, tiles):
    picture = np.full((*shape, 3) if colour else shape, 77, np.uint8)
    out = prepare(picture, Preprocessing(channels=channels, frame=frame, tiles=tiles))
    assert out.dtype == np.uint8
    assert out.shape == (tiles**2, channels, 32, 32)
    assert np.all(out == 77)  # framing a plain picture adds nothing to it


@pytest.mark.parametrize("picture", [np.zeros((4, 4)), np.zeros(4, np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_prepare_takes_decoded_pictures_only(picture):
    with pytest.raises(ValueError, match="a picture is uint8"):
        prepare(picture, Preprocessing())


# ---- the content hash ----


def test_the_hash_is_of_shape_and_pixels():
    assert content_hash(GREY) == content_hash(GREY.copy()) == content_hash(np.asfortranarray(GREY))
    assert content_hash(GREY) == content_hash(grey_as_rgb(GREY)) == content_hash(GREY[..., None])
    assert content_hash(GREY) != content_hash(GREY.reshape(60, 40))
    changed = GREY.copy()
    changed[0, 0] ^= 1
    assert content_hash(GREY) != content_hash(changed)


def test_the_hash_is_the_same_for_ever():
    # Calibration pictures are held out by it: a new value would move them in every saved detector's history.
    assert content_hash(np.arange(6, dtype=np.uint8).reshape(2, 3)) == 16609077507809636305


# ---- a file and its array ----


@pytest.mark.parametrize("preprocessing", [
    Preprocessing(size=64),
    Preprocessing(frame="crop", tiles=2),
    Preprocessing(frame="pad", channels=3),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float", "bool"])
def test_a_picture_and_its_pixels_as_an_array_give_the_same_bytes(tmp_path, preprocessing, kind):
    array = rng.integers(0, 65536, (3, 50, 70)).astype(np.uint16)
    array = {
        "uint8": (array >> 8).astype(np.uint8),
        "uint16": array,
        "float": (array / 65535).astype(np.float32),
        "bool": array > 9999,
    }[kind]
    for i, picture in enumerate(array):
        Image.fromarray(picture).save(tmp_path / f"{i}.tif")
    from_files, from_array = load(open_source(tmp_path), preprocessing), load(open_source(array), preprocessing)
    assert np.array_equal(from_files.pixels, from_array.pixels)
    assert np.array_equal(from_files.hashes, from_array.hashes)


def test_colour_with_alpha_is_the_same_from_file_and_array(tmp_path):
    array = rng.integers(0, 256, (3, 50, 70, 4), np.uint8)
    source = open_source(folder_of(list(array), tmp_path))
    preprocessing = Preprocessing(colour="convert")
    assert np.array_equal(load(source, preprocessing).pixels, load(open_source(array), preprocessing).pixels)


# ---- tensors ----


def test_as_tensor_rescales_to_plus_minus_one():
    levels = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    for given_ in (levels, torch.from_numpy(levels.copy()), np.broadcast_to(levels, (3, 1, 2, 2))):
        x = as_tensor(given_)
        assert x.dtype == torch.float32
        assert torch.allclose(x[:, 0, 0, 0], torch.tensor([-1.0, -0.6, 1.0]), atol=1e-6)  # float32 rounding
    assert levels.ravel().tolist() == [0, 51, 255]  # untouched
    with pytest.raises(TypeError, match="uint8"):
        as_tensor(levels.astype(np.float32))


def test_reading_pictures_needs_no_torch():
    code = "import sys, novelette.data.images; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


# ---- streaming ----


def sources_of(pictures: np.ndarray, tmp_path: Path) -> list:
    return [open_source(folder_of(list(pictures), tmp_path / "files")), open_source(pictures)]


def test_stream_is_in_order_and_complete_whatever_the_chunk_size(tmp_path):
    pictures = rng.integers(0, 256, (23, 32, 32), np.uint8)
    for source in sources_of(pictures, tmp_path):
        for size in (1, 5, 23, 256):
            chunks = list(stream(source, Preprocessing(), chunk_size=size))
            assert max(len(c.indices) for c in chunks) <= size
            assert np.concatenate([c.indices for c in chunks]).tolist() == list(range(23))
            assert np.array_equal(np.concatenate([c.pixels for c in chunks])[:, 0, 0], pictures)
            assert np.concatenate([c.hashes for c in chunks]).tolist() == [content_hash(p) for p in pictures]
            assert chunks[0].hashes.dtype == np.uint64


def test_unreadable_pictures_are_named_and_nothing_else_is_lost(tmp_path):
    pictures: list = [GREY] * 12
    pictures[0], pictures[5], pictures[11] = b"", b"text", b"\x89PNG\r\n\x1a\n"
    source = open_source(folder_of(pictures, tmp_path / "files"))
    unreadable: dict[int, str] = {}
    done: list[int] = []
    chunks = list(stream(source, Preprocessing(), chunk_size=4, unreadable=unreadable, progress=done.append))
    assert np.concatenate([c.indices for c in chunks]).tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert unreadable.keys() == {0, 5, 11}
    assert (unreadable[0], unreadable[5]) == ("empty file", "not an image")
    assert done == list(range(1, 13))
    loaded = load(source, Preprocessing())
    assert loaded.pixels.shape == (9, 1, 1, 32, 32)
    assert loaded.unreadable == unreadable


def test_a_picture_of_an_array_that_is_not_finite_is_unreadable():
    array = np.full((6, 32, 32), 0.5)
    array[2, 3, 3] = np.nan
    loaded = load(open_source(array), Preprocessing())
    assert loaded.indices.tolist() == [0, 1, 3, 4, 5]
    assert loaded.unreadable == {2: "float pixels that are not finite"}


def test_when_nothing_can_be_read_a_person_is_told(tmp_path):
    source = open_source(folder_of([b"", b"text"], tmp_path / "files"))
    unreadable: dict[int, str] = {}
    with pytest.raises(InputError, match=r"none of the 2 pictures can be read \(the first, 0000\.png: empty file\)"):
        list(stream(source, Preprocessing(), unreadable=unreadable))
    assert len(unreadable) == 2
    with pytest.raises(InputError, match="cannot be read"):
        load(SubsetSource(source, [1]), Preprocessing())


def test_subsets_stream_their_own_pictures(tmp_path):
    pictures = rng.integers(0, 256, (9, 32, 32), np.uint8)
    for source in sources_of(pictures, tmp_path):
        subset = SubsetSource(SubsetSource(source, [8, 1, 3, 3]), np.array([3, 0]))
        loaded = load(subset, Preprocessing())
        assert loaded.indices.tolist() == [0, 1]
        assert np.array_equal(loaded.pixels[:, 0, 0], pictures[[3, 8]])


def test_the_first_refused_colour_picture_is_named_by_files_and_arrays(tmp_path):
    pictures = np.stack([grey_as_rgb(GREY)] * 3 + [RGB, RGB])
    for source in sources_of(pictures, tmp_path):
        with pytest.raises(InputError) as error:
            load(source, Preprocessing())
        assert source.names[3] in str(error.value)


def test_a_stream_left_early_decodes_little_more_and_leaves_no_threads():
    class Counting:
        names = tuple(map(str, range(10_000)))
        read_so_far = 0

        def __len__(self) -> int:
            return 10_000

        def read(self, index: int) -> np.ndarray:
            self.read_so_far += 1
            if index % 7 == 3:
                raise UnreadablePicture("broken")
            return GREY

    source = Counting()
    threads = threading.active_count()
    chunks = stream(source, Preprocessing(), chunk_size=16)
    next(chunks)
    chunks.close()
    assert source.read_so_far < 200
    assert threading.active_count() == threads


def test_chunks_are_bounded_in_bytes_however_many_tiles(monkeypatch):
    monkeypatch.setattr(images, "CHUNK_BYTES", 100_000)
    preprocessing = Preprocessing(size=64, tiles=3)  # 36,864 bytes a picture
    chunks = list(stream(open_source(np.stack([GREY] * 7)), preprocessing))
    assert [len(c.indices) for c in chunks] == [2, 2, 2, 1]


@pytest.mark.skipif(not (SHARED / "coil20").is_dir(), reason="COIL-20's pictures are not here")
def test_coil20_is_grey_and_complete():
    source = open_source(SHARED / "coil20")
    assert (len(source), guess_channels(source)) == (1440, 1)
    loaded = load(SubsetSource(source, range(0, 1440, 60)), Preprocessing())
    assert loaded.pixels.shape == (24, 1, 1, 32, 32)
    assert not loaded.unreadable


@pytest.mark.skipif(not (SHARED / "flickr8k_1000").is_dir(), reason="the photographs are not here")
def test_photographs_are_colour():
    source = open_source(SHARED / "flickr8k_1000" / "images")
    assert guess_channels(source) == 3
    assert load(SubsetSource(source, range(8)), Preprocessing(channels=3, tiles=2)).pixels.shape == (8, 4, 3, 32, 32)
