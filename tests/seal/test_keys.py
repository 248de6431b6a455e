"""Key files and key derivation."""

import copy
import pickle
import stat

import pytest

from hwgen.errors import HwgenError
from hwgen.seal import Key, derive_image_key, generate_key, load_key, load_or_generate_key
from hwgen.seal.keys import SALT_LABEL, counter_kdf, derive

SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")

CAVP_KBKDF = [  # NIST CAVP, KDFCTR_gen.rsp: CTRLOCATION=BEFORE_FIXED, RLEN=32_BITS; PRF=CMAC_AES128 twice, CMAC_AES256
    ("c10b152e8c97b77e18704e0f0bd38305",
     "98cd4cbbbebe15d17dc86e6dbad800a2dcbd64f7c7ad0e78e9cf94ffdba89d03e97eadf6c4f7b806caf52aa38f09d0eb71d71f497bcc6906"
     "b48d36c4", "26faf61908ad9ee881b8305c221db53f"),
    ("695f1b1a16c949cea51cdf2554ec9d42",
     "4fce5942832a390aa1cbe8a0bf9d202cb799e986c9d6b51f45e4d597a6b57f06a4ebfec6467335d116b7f5f9c5b954062f661820f5db2a5b"
     "bb3e0625", "d34b601ec18c34dfa0f9e0b7523e218bdddb9befe8d08b6c0202d75ace0dba89"),
    ("d0b1b3b70b2393c48ca05159e7e28cbeadea93f28a7cdae964e5136070c45d5c",
     "dd2f151a3f173492a6fbbb602189d51ddf8ef79fc8e96b8fcbe6dabe73a35b48104f9dff2d63d48786d2b3af177091d646a9efae005bdfac"
     "b61a1214", "8c449fb474d1c1d4d2a33827103b656a"),
]


@pytest.mark.parametrize(("key", "fixed", "output"), CAVP_KBKDF)
def test_published_key_derivation(key, fixed, output):
    assert counter_kdf(bytes.fromhex(key), bytes.fromhex(fixed), 4 * len(output)).hex() == output


def test_image_keys_differ():
    master = Key(SECRET)
    first = derive_image_key(master, bytes(16))
    assert first == derive_image_key(Key(SECRET), bytes(16))
    assert first.bits == 128
    assert derive_image_key(Key(SECRET * 2), bytes(16)).bits == 256
    others = [derive_image_key(master, bytes([1]) + bytes(15)).reveal(), master.reveal(),
              derive_image_key(Key(bytes(16)), bytes(16)).reveal(), derive(master, SALT_LABEL, b"", 256)[:16]]
    assert first.reveal() not in others


def test_salt_length():
    with pytest.raises(HwgenError, match="a salt of 8 bytes"):
        derive_image_key(Key(SECRET), bytes(8))


def test_key_hides_its_bytes():
    key = Key(SECRET)
    for text in (repr(key), str(key), f"{key}", f"{key!r}", f"{[key]}"):
        assert text.strip("[]") == "<Key of 128 bits>"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.copy(key)
    with pytest.raises(TypeError):
        hash(key)
    assert not hasattr(key, "__dict__")


def test_words_are_little_endian():
    assert Key(SECRET).words() == [0x33221100, 0x77665544, 0xBBAA9988, 0xFFEEDDCC]


@pytest.mark.parametrize("size", [0, 15, 24, 33])
def test_key_size(size):
    with pytest.raises(HwgenError, match=f"a key of {size} bytes"):
        Key(bytes(size))


@pytest.mark.parametrize("bits", [128, 256])
def test_generated_key(tmp_path, bits):
    path = tmp_path / "keys" / "dev.key"
    key, new = load_or_generate_key(path, bits=bits)
    assert new and key.bits == bits
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_generate_key(path, bits=bits) == (key, False)
    assert load_key(path) == key
    assert generate_key(tmp_path / "other.key", bits=bits) != key
    with pytest.raises(HwgenError, match="exists and is not overwritten"):
        generate_key(path)


def test_white_space_is_ignored(tmp_path):
    path = tmp_path / "key"
    path.write_text("00112233 44556677\n8899AABB CCDDEEFF\n\n")
    assert load_key(path, bits=128) == Key(SECRET)


@pytest.mark.parametrize("text", ["", "00112233", "x" * 32, "00" * 24, "00" * 15 + "0", "ключ"])
def test_bad_key_file(tmp_path, text):
    path = tmp_path / "my.key"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HwgenError, match="32 or 64 hexadecimal digits") as error:
        load_key(path)
    assert "my.key" in str(error.value)
    assert not text or text not in str(error.value).replace(str(path), "")


def test_missing_key_file(tmp_path):
    with pytest.raises(HwgenError, match="cannot read the key file: No such file"):
        load_key(tmp_path / "none")


def test_other_size_than_the_accelerator(tmp_path):
    path = tmp_path / "key"
    path.write_text(SECRET.hex())
    with pytest.raises(HwgenError, match="a key of 128 bits") as error:
        load_key(path, bits=256)
    assert "256 bits" in str(error.value)
    assert SECRET.hex() not in str(error.value)


def test_generated_size():
    with pytest.raises(HwgenError, match="a key of 192 bits"):
        generate_key("unused", bits=192)
