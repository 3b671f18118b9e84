"""Signals in: layouts, NumPy's and text files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxcam.errors import VolumeError
from onnxcam.signals import Signal, as_signal, read_signal


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((9,), 1), ((9, 1), 1), ((9, 2), 2), ((1, 9, 2), 2), ((1, 9, 1), 1)],
)
def test_channels_behind(shape: tuple[int, ...], channels: int) -> None:
    signal = as_signal(ramp(*shape), channels)
    np.testing.assert_array_equal(signal.values, ramp(9, channels))
    assert signal.size == (9,)


@pytest.mark.parametrize("shape", [(1, 9), (1, 1, 9), (2, 9), (1, 2, 9)])
def test_channels_in_front(shape: tuple[int, ...]) -> None:
    signal = as_signal(ramp(*shape), shape[-2])
    np.testing.assert_array_equal(signal.values, ramp(shape[-2], 9).T)


@pytest.mark.parametrize(
    ("values", "channels", "said"),
    [
        (ramp(2, 2), 2, r"may be in front or behind in \(2, 2\); give a Signal made by hand"),
        (ramp(2, 9, 1), 1, "a batch of 2"),
        (ramp(9), 2, r"no axis of \(9,\) has the model's 2 channels; give \(L, 2\)"),
        (ramp(1, 1, 1, 9), 1, r"give \(L\), \(L, C\) or \(C, L\)"),
        (np.float32(3), 1, "shape"),
        (np.array([1, np.nan]), 1, "1 of 2 values are NaN or infinite"),
        (np.ones(9), 1, "every value is 1"),
        (np.empty(0), 1, "empty"),
        (np.array([None, 1]), 1, "Python objects"),
        (np.ones(9, complex), 1, "complex128"),
    ],
)
def test_what_is_no_signal(values: np.ndarray, channels: int, said: str) -> None:
    with pytest.raises(VolumeError, match=said):
        as_signal(values, channels)


def test_a_signal_says_what_it_needs() -> None:
    with pytest.raises(VolumeError, match=r"float32 \(L, C\), or use as_signal"):
        Signal(ramp(9))


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ramp(2, 9))
    np.savez(tmp_path / "a.npz", ecg=ramp(9))
    signal = read_signal(tmp_path / "a.npy", 2)
    np.testing.assert_array_equal(signal.values, ramp(2, 9).T)
    assert signal.path == str(tmp_path / "a.npy")
    np.testing.assert_array_equal(read_signal(tmp_path / "a.npz").values, ramp(9, 1))
    np.savez(tmp_path / "two.npz", i=ramp(9), ii=ramp(9))
    with pytest.raises(VolumeError, match=r"'i' \(9,\), 'ii' \(9,\)"):
        read_signal(tmp_path / "two.npz")


@pytest.mark.parametrize(
    "text",
    [
        "0,1\n2,3\n4,5\n",
        "time,value\n0,1\n2,3\n4,5",
        '\ufeff"t", "U [mV]"\r\n0, 1\r\n2, 3\r\n4, 5\r\n',
        "0;1\n2;3\n4;5",
        "a\tb\n0\t1\n2\t3\n4\t5",
        "# taken on Monday, at 5\n 0   1 # first\n\n2 3\n4 5\n",
        "0e0 1.0\n+2. 3\n4 5E0",
        "0,2,4\n1,3,5\n",
    ],
)
@pytest.mark.parametrize("ending", ["csv", "txt", "CSV"])
def test_text(text: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_signal(path, 2).values, ramp(3, 2))


@pytest.mark.parametrize(
    "text", ["1\n2\n4", "value\n1\n2\n4", "ECG, lead 2\n1\n2\n4", "1,2,4", "1 2 4\n"]
)
def test_one_column_or_one_row_is_one_channel(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    np.testing.assert_array_equal(read_signal(tmp_path / "a.txt").values, [[1], [2], [4]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no numbers in it"),
        ("# nothing\n\n", "no numbers in it"),
        ("a,b\n", "no numbers in it"),
        ("1\ntwo\n3", "'two'"),
        ("1,2\n3\n", "columns"),
        ("1,2\n3,\n", "row 1"),
        ("0,5;1\n1,5;2", "0.5"),
        ("1\nnan\n3", "1 of 3 values are NaN"),
        (
            "time,value\n0,1\n1,3\n2,2",
            r"2 columns \(time, value\), the model takes 1 channel; keep",
        ),
    ],
)
def test_text_that_is_no_signal(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(VolumeError, match=rf"a\.csv: .*{said}"):
        read_signal(tmp_path / "a.csv")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    for name, said in [
        ("a.csv", "damaged"),
        ("a.wav", r"use \.npy, \.npz, \.csv, \.txt"),
        ("", r"not a signal that can be read"),
        ("none.csv", "no such file"),
        ("none.xyz", "no such file"),
    ]:
        with pytest.raises(VolumeError, match=said):
            read_signal(tmp_path / name)


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 3),
        min_size=4,
        max_size=20,
    ).filter(lambda rows: np.unique(np.array(rows, np.float32)).size > 1),
    separator=st.sampled_from([",", ";", "\t", " "]),
    titled=st.booleans(),
)
def test_numbers_come_back_from_text(
    rows: list[tuple[float, ...]],
    separator: str,
    titled: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lines = [separator.join("xyz")] * titled + [separator.join(map(repr, row)) for row in rows]
    path = tmp_path_factory.mktemp("text") / "a.csv"
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read_signal(path, 3).values, np.array(rows, np.float32))
