"""Sources: what is a picture, what is a mask, how every kind of file is decoded, and what a person is told when it cannot be."""

import io
import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from novelette.data import decode
from novelette.data.decode import MAX_PIXELS, read_picture
from novelette.data.masks import find_mask, looks_like_mask
from novelette.data.sources import ArraySource, FolderSource, Source, SubsetSource, UnreadablePicture, open_source
from novelette.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data"
TILES = SHARED / "magnetic_tile"
rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (9, 13), np.uint8)
RGB = rng.integers(0, 256, (9, 13, 3), np.uint8)


def save(pixels: np.ndarray, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def png_of_16_bits(values: np.ndarray, path: Path) -> Path:
    """A PNG of uint16 (H, W, 2, 3 or 4), which Pillow cannot write."""
    colour_type = {2: 4, 3: 2, 4: 6}[values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def png_header(width: int, height: int) -> bytes:
    data = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + data + struct.pack(">I", zlib.crc32(data)) + b"\0\0\0\0IDAT"


def tiff_of_a_tile(side: int) -> bytes:
    """A grey TIFF of 16 x 16 pixels in one tile of `side` x `side`, packed."""
    packed = zlib.compress(bytes(side * side))
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: len(packed)}
    folder = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + folder + bytes(4)


# ---- decoding ----


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".webp"])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_lossless_files_give_back_the_pixels_that_were_saved(tmp_path, suffix, pixels):
    if suffix == ".gif" and pixels.ndim == 3:
        pixels = pixels // 128 * 255  # eight colours fit a palette
    options = {"lossless": True} if suffix == ".webp" else {}
    read = read_picture(save(pixels, tmp_path / f"a{suffix}", **options))
    if suffix == ".webp" and pixels.ndim == 2:  # the format has no grey
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    assert read.dtype == np.uint8
    assert np.array_equal(read, pixels)


def test_a_jpeg_is_grey_or_rgb_as_saved(tmp_path):
    smooth = np.tile(np.arange(0, 240, 10, np.uint8), (24, 1))
    assert read_picture(save(smooth, tmp_path / "a.jpg")).shape == (24, 24)
    assert read_picture(save(np.stack([smooth] * 3, 2), tmp_path / "b.jpg")).shape == (24, 24, 3)


def test_one_bit_is_black_and_white(tmp_path):
    assert np.array_equal(read_picture(save(GREY > 99, tmp_path / "a.png")), (GREY > 99) * np.uint8(255))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_divided_by_257(tmp_path, suffix):
    values = rng.integers(0, 65536, (9, 13)).astype(np.uint16)
    assert np.array_equal(read_picture(save(values, tmp_path / f"a{suffix}")), np.rint(values / 257))


def test_sixteen_bits_in_the_other_byte_order(tmp_path):
    values = rng.integers(0, 65536, (9, 13)).astype(np.uint16)
    image = Image.frombytes("I;16B", (13, 9), values.astype(">u2").tobytes())
    image.save(tmp_path / "a.tif")
    assert np.array_equal(read_picture(tmp_path / "a.tif"), np.rint(values / 257))


def test_sixteen_bit_colour_keeps_its_lower_bytes(tmp_path):
    values = rng.integers(0, 65536, (9, 13, 3)).astype(np.uint16)
    assert np.array_equal(read_picture(png_of_16_bits(values, tmp_path / "a.png")), np.rint(values / 257))


def test_sixteen_bit_colour_with_alpha_equals_the_array(tmp_path):
    values = rng.integers(0, 65536, (9, 13, 4)).astype(np.uint16)
    read = read_picture(png_of_16_bits(values, tmp_path / "a.png"))
    assert np.array_equal(read, ArraySource(values[None]).read(0))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "16-bit colour"])
def test_a_large_picture_is_converted_some_rows_at_a_time_to_the_same_pixels(tmp_path, monkeypatch, mode):
    path = tmp_path / "a.png"
    if mode == "16-bit colour":
        png_of_16_bits(rng.integers(0, 65536, (40, 30, 3)).astype(np.uint16), path)
    else:
        path.write_bytes(encoded(mode, 30, 40, "PNG", seed=1))
    whole = read_picture(path)
    monkeypatch.setattr(decode, "LARGE_PIXELS", 30 * 7)
    assert np.array_equal(read_picture(path), whole)


def test_sixteen_bit_grey_with_alpha_is_grey(tmp_path):
    values = np.full((4, 5, 2), 65535, np.uint16)
    values[..., 0] = 30000
    read = read_picture(png_of_16_bits(values, tmp_path / "a.png"))
    assert read.shape == (4, 5)
    assert np.all(read == 30000 // 256)


def test_32_bit_integers_are_sixteen_bits_in_a_wider_type(tmp_path):
    values = rng.integers(0, 65536, (9, 13)).astype(np.int32)
    assert np.array_equal(read_picture(save(values, tmp_path / "a.tif")), np.rint(values / 257))
    with pytest.raises(UnreadablePicture, match=r"outside 0\.\.65535"):
        read_picture(save(values - 70000, tmp_path / "b.tif"))


def test_floats_lie_in_0_to_1(tmp_path):
    assert np.array_equal(read_picture(save((GREY / 255).astype(np.float32), tmp_path / "a.tif")), GREY)
    with pytest.raises(UnreadablePicture, match=r"outside 0\.\.1"):
        read_picture(save(GREY.astype(np.float32), tmp_path / "b.tif"))
    with pytest.raises(UnreadablePicture, match="not finite"):
        read_picture(save(np.full((3, 3), np.nan, np.float32), tmp_path / "c.tif"))


def test_alpha_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = (0, 128, 255)  # black: transparent, half, opaque
    assert read_picture(save(rgba, tmp_path / "a.png"))[0, :, 0].tolist() == [255, 127, 0]
    Image.fromarray(rgba).convert("LA").save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png").tolist() == [[255, 127, 0]]


def test_a_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_picture(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_cmyk_becomes_rgb(tmp_path):
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    image.save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").tolist() == [[[0, 255, 255]] * 2] * 2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, suffix, orientation):
    quarters = np.kron(np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [90, 90, 90]]], np.uint8), np.ones((16, 24, 1)))
    stored = {  # how a camera stores the upright picture, by EXIF's definition of each value
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](quarters)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = save(np.ascontiguousarray(stored.astype(np.uint8)), tmp_path / f"a{suffix}", exif=exif, **lossless)
    read = read_picture(path)
    assert read.shape == quarters.shape
    assert np.abs(read[8::16, 12::24].astype(int) - quarters[8::16, 12::24]).max() <= 3  # JPEG rounds


def test_only_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.all(read_picture(tmp_path / "a.gif") == 10)


# ---- files that cannot be read ----


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"this is text, not a picture\n" * 9, "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (png_header(30_000, 30_000), "900 Mpx is over the limit of 100 Mpx"),
        (png_header(12_000, 10_000), "120 Mpx is over the limit of 100 Mpx"),
        (png_header(9_500, 10_000), "over Pillow's own limit of pixels, as it is set here"),  # its warning is an error here
        (png_header(20, 20), "truncated"),
    ],
)
def test_an_unreadable_file_says_why(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadablePicture) as error:
        open_source(path).read(0)
    assert str(error.value) == reason


def test_a_small_tiff_in_a_huge_tile_is_over_the_limit():
    assert decode.decode(tiff_of_a_tile(32)).shape == (16, 16)
    with pytest.raises(UnreadablePicture, match=r"4.2 Mpx is over the limit of 1 Mpx"):  # the tile is decoded whole
        decode.decode(tiff_of_a_tile(2048), max_pixels=1_000_000)


def test_a_jpeg_in_memory_of_very_many_scans_is_refused():
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content[content.rindex(decode.SCAN) : -2]
    with_scans = [content[:-2] + times * last + content[-2:] for times in (10, decode.MOST_SCANS)]
    assert decode.decode(with_scans[0]).shape == GREY.shape
    with pytest.raises(UnreadablePicture, match="over 500 scans"):
        decode.decode(with_scans[1])


def test_a_cut_off_jpeg_is_truncated(tmp_path):
    path = save(rng.integers(0, 256, (64, 64, 3), np.uint8), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadablePicture, match="truncated"):
        read_picture(path)


def test_a_missing_file_a_folder_and_a_pipe_are_unreadable(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, reason in (("gone.png", "no such file"), ("", "a folder"), ("pipe.png", "not a regular file")):
        with pytest.raises(UnreadablePicture, match=reason):
            read_picture(tmp_path / path)


@settings(max_examples=80, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    format=st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_mode_and_size_gives_uint8_pixels(tmp_path_factory, mode, width, height, format, seed):
    path = tmp_path_factory.mktemp("any") / "a.png"
    content = encoded(mode, width, height, format, seed)
    if content is None:
        return
    path.write_bytes(content)
    assert_array_or_reason(path, (height, width))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on broken tags
@settings(max_examples=200, deadline=None)
@given(
    format=st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"]),
    mode=st.sampled_from(["L", "P", "RGB", "RGBA", "I;16"]),
    cut=st.floats(0, 1),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    seed=st.integers(0, 2**32 - 1),
)
def test_broken_bytes_give_pixels_or_a_reason_and_nothing_else(tmp_path_factory, format, mode, cut, edits, seed):
    content = encoded(mode, 17, 11, format, seed)
    if content is None:
        return
    broken = bytearray(content[: round(cut * len(content))] if seed % 2 else content)
    for where, value in edits:
        if broken:
            broken[min(int(where**2 * len(broken)), len(broken) - 1)] = value  # headers are hit more often
    path = tmp_path_factory.mktemp("broken") / "a.png"
    path.write_bytes(broken)
    assert_array_or_reason(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on broken tags
@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"GIF89a"]))
def test_random_bytes_give_pixels_or_a_reason_and_nothing_else(tmp_path_factory, content, start):
    path = tmp_path_factory.mktemp("random") / "a.png"
    path.write_bytes(start + content)
    assert_array_or_reason(path)


def encoded(mode: str, width: int, height: int, format: str, seed: int) -> bytes | None:
    """A random picture, encoded; None where the format has no such mode."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    if mode.startswith("I;16"):
        image = Image.frombytes(mode, (width, height), values[..., :2].tobytes())
    elif mode in ("I", "F"):
        image = Image.fromarray(values[..., 0]).convert(mode)
    elif mode in ("LAB", "HSV", "YCbCr"):
        image = Image.frombytes(mode, (width, height), values[..., :3].tobytes())
    else:
        image = Image.fromarray(values).convert("RGB").convert("P").convert(mode) if mode == "PA" else Image.fromarray(values).convert(mode)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format)
    except (OSError, KeyError, ValueError):
        return None
    return buffer.getvalue()


def assert_array_or_reason(path: Path, shape: tuple[int, int] | None = None) -> None:
    try:
        pixels = read_picture(path)
    except UnreadablePicture as error:
        reason = str(error)
    else:
        reason = None
    if reason is not None:
        assert 0 < len(reason) < 200
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    assert shape is None or pixels.shape[:2] == shape


# ---- folders ----


def test_a_folder_is_read_nested_sorted_and_without_other_files(tmp_path):
    for name in ("b.png", "a/z.jpg", "a/c.PNG", ".hidden.png", ".git/x.png", "c.tiff"):
        save(GREY, tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "a" / "empty.bmp").touch()  # has a picture's name: unreadable, not ignored
    source = open_source(tmp_path)
    assert source.names == ("a/c.PNG", "a/empty.bmp", "a/z.jpg", "b.png", "c.tiff")
    assert isinstance(source, Source)
    assert np.array_equal(source.read(0), GREY)
    with pytest.raises(UnreadablePicture, match="empty file"):
        source.read(1)


def test_links_that_loop_end_and_linked_folders_are_read_once(tmp_path):
    save(GREY, tmp_path / "one" / "a.png")
    (tmp_path / "one" / "up").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    source = open_source(tmp_path)
    assert source.names == ("one/a.png", "self.png")
    with pytest.raises(UnreadablePicture):
        source.read(1)


def test_a_file_name_that_is_not_utf8_has_a_printable_name(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    try:
        Path(os.fsdecode(path)).write_bytes(save(GREY, tmp_path / "x" / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    source = open_source(tmp_path)
    assert source.names[0].encode() == "caf\ufffd.png".encode()
    assert np.array_equal(source.read(0), GREY)


def test_one_picture_a_list_and_a_subset(tmp_path):
    one, two = save(GREY, tmp_path / "1.png"), save(RGB, tmp_path / "2_mask.png")
    assert open_source(str(one)).names == (str(one),)
    source = open_source([two, one])  # a mask that is named is meant
    assert source.names == (str(two), str(one))
    subset = SubsetSource(source, [1, 1, 0])
    assert len(subset) == 3
    assert subset.names == (str(one), str(one), str(two))
    assert np.array_equal(subset.read(2), RGB)
    assert open_source(subset) is subset


# ---- masks ----


def test_masks_are_not_pictures_and_are_found_for_theirs(tmp_path):
    mask = ((GREY > 99) * 255).astype(np.uint8)
    for name in ("test/scratch/000.png", "test/good/001.png", "a.png", "b.jpg", "c.jpg", "images/d.jpg", "lone_mask.png"):
        save(GREY, tmp_path / name)
    belongs = {
        "test/scratch/000.png": "ground_truth/scratch/000_mask.png",
        "a.png": "a_gt.bmp",
        "b.jpg": "b.png",
        "images/d.jpg": "Masks/d.png".lower(),
    }
    for name in belongs.values():
        save(mask, tmp_path / name)
    save(GREY, tmp_path / "c.png")  # beside c.jpg, but a picture by its values
    source = open_source(tmp_path)
    assert source.names == (
        "a.png", "b.jpg", "c.jpg", "c.png", "images/d.jpg", "lone_mask.png", "test/good/001.png", "test/scratch/000.png",
    )  # fmt: skip
    assert source.masks == tuple(sorted(belongs.values()))
    for name in source.names:
        expected = tmp_path / belongs[name] if name in belongs else None
        assert find_mask(tmp_path / name) == expected


@pytest.mark.parametrize(("soft", "verdict"), [(0.04, True), (0.06, False)])
def test_a_mask_may_have_a_few_soft_edges(tmp_path, soft, verdict):
    pixels = np.zeros((100, 100), np.uint8)
    pixels[30:60] = 255
    pixels.flat[: round(soft * pixels.size)] = 128
    assert looks_like_mask(save(pixels, tmp_path / "a.png")) is verdict


def test_a_colour_picture_is_no_mask(tmp_path):
    assert not looks_like_mask(save(np.full((5, 5, 3), (0, 0, 255), np.uint8), tmp_path / "a.png"))


@pytest.mark.skipif(not TILES.is_dir(), reason="the magnetic-tile pictures are not here")
def test_magnetic_tile_masks_stay_out():
    source = FolderSource(TILES / "MT_Crack")
    assert len(source) == len(source.masks) == 57
    assert all(name.endswith(".jpg") for name in source.names)
    assert all(find_mask(source.path(i)) == source.path(i).with_suffix(".png") for i in range(5))


# ---- arrays ----


@pytest.mark.parametrize(
    ("shape", "length", "each"),
    [
        ((5, 9, 13), 5, (9, 13)),
        ((5, 9, 13, 1), 5, (9, 13)),
        ((5, 9, 13, 3), 5, (9, 13, 3)),
        ((5, 9, 13, 4), 5, (9, 13, 3)),
        ((5, 1, 9, 13), 5, (9, 13)),
        ((5, 3, 9, 13), 5, (9, 13, 3)),
        ((9, 13), 1, (9, 13)),
        ((9, 13, 3), 1, (9, 13, 3)),
    ],
)
def test_array_shapes(shape, length, each):
    source = open_source(rng.integers(0, 256, shape, np.uint8))
    assert len(source) == len(source.names) == length
    assert source.read(0).shape == each


def test_array_types_give_the_same_pixels():
    for array in (GREY, GREY.astype(np.uint16) * 257, GREY.astype(">u2") * 257, GREY / 255, (GREY / 255).astype(np.float32)):
        assert np.array_equal(open_source(array).read(0), GREY)
    assert np.array_equal(open_source(GREY > 99).read(0), (GREY > 99) * 255)


def test_npy_and_npz_files(tmp_path):
    array = rng.integers(0, 256, (4, 9, 13), np.uint8)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", whatever=array)
    np.savez_compressed(tmp_path / "c.npz", labels=np.arange(4), x=array)
    for name in ("a.npy", "b.npz", "c.npz"):
        source = open_source(tmp_path / name)
        assert np.array_equal(source.read(3), array[3])
        assert source.names[3] == f"{tmp_path / name}[3]"


# ---- what a person is told ----


def bad_sources(folder: Path) -> dict[str, tuple[object, str]]:
    (folder / "empty").mkdir()
    save(GREY, folder / "only" / "masks" / "a.png")
    (folder / "notes.txt").write_text("text")
    np.save(folder / "good.npy", GREY)
    (folder / "cut.npy").write_bytes((folder / "good.npy").read_bytes()[:100])
    (folder / "text.npy").write_text("no array")
    (folder / "zero.npz").touch()
    np.save(folder / "objects.npy", np.array([{}, []], object), allow_pickle=True)
    (folder / "pickle.npy").write_bytes(pickle.dumps([1, 2]))
    (folder / "pickle.npz").write_bytes(pickle.dumps([1, 2]))
    np.savez(folder / "many.npz", first=GREY, second=GREY)
    return {
        "missing": (folder / "gone", "does not exist"),
        "nothing": ("", "does not exist"),
        "zero byte": ("a\0b", "does not exist"),
        "long": ("x" * 5000, "does not exist"),
        "no pictures": (folder / "empty", "holds no pictures"),
        "masks only": (folder / "only", "holds 1 masks but no pictures"),
        "unknown type": (folder / "notes.txt", "is of no known type"),
        "cut": (folder / "cut.npy", "is damaged"),
        "text": (folder / "text.npy", "is damaged"),
        "zero": (folder / "zero.npz", "is damaged"),
        "objects": (folder / "objects.npy", "pickled objects"),
        "pickle": (folder / "pickle.npy", "is damaged"),
        "pickled npz": (folder / "pickle.npz", "is damaged"),
        "many": (folder / "many.npz", "the arrays first, second"),
        "one axis": (np.zeros(9, np.uint8), "has the shape"),
        "five axes": (np.zeros((1, 1, 1, 9, 9), np.uint8), "has the shape"),
        "two channels": (np.zeros((2, 9, 9, 2), np.uint8), "has the shape"),
        "no picture": (np.zeros((0, 9, 9), np.uint8), "holds no pictures"),
        "int64": (np.zeros((2, 9, 9), np.int64), "is of type int64"),
        "complex": (np.zeros((2, 9, 9), complex), "is of type complex128"),
        "object array": (np.zeros((2, 9, 9), object), "is of type object"),
        "range": (np.full((2, 9, 9), 255.0), "scale them to 0..1"),
        "empty list": ([], "is empty"),
        "number": (3, "is no source of pictures"),
    }


def test_every_bad_source_is_one_sentence(tmp_path):
    for what, (source, words) in bad_sources(tmp_path).items():
        with pytest.raises(InputError) as error:
            open_source(source)
        assert words in str(error.value), what
        assert "\n" not in str(error.value), what


def test_names_must_match_the_array():
    with pytest.raises(InputError, match="2 pictures but 1 names"):
        ArraySource(np.zeros((2, 9, 9), np.uint8), ["a"])


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200), cut=st.integers(0, 300), suffix=st.sampled_from([".npy", ".npz"]))
def test_broken_array_files_are_refused_or_read(tmp_path_factory, content, cut, suffix):
    path = tmp_path_factory.mktemp("npy") / f"a{suffix}"
    buffer = io.BytesIO()
    np.save(buffer, GREY) if suffix == ".npy" else np.savez(buffer, GREY)
    path.write_bytes(buffer.getvalue()[:cut] + content)
    try:
        source = open_source(path)
    except InputError:
        return
    assert source.read(0).dtype == np.uint8
