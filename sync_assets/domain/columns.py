"""Columns of frames as exact arrays for the sums of stock: texts, whole pieces, millionths."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as pc

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

MILLION = 1_000_000
TEXT = pyarrow.large_string()


def texts(series: pd.Series) -> pyarrow.Array:
    """A column of texts; what is missing stays missing."""
    if not len(series):
        return pyarrow.array([], TEXT)
    if isinstance(series.dtype, pd.CategoricalDtype):
        words = pyarrow.array(series.cat.categories, TEXT)
        codes = series.cat.codes.to_numpy().astype(np.int64)
        return words.take(pyarrow.array(codes, mask=codes < 0))
    array = pyarrow.array(series, TEXT, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pyarrow.ChunkedArray) else array


def distinct(*columns: pyarrow.Array) -> pyarrow.Array:
    """Every text that is in any of the columns, in order."""
    parts = [pc.unique(one) for one in columns]
    every = pc.drop_null(pc.unique(pyarrow.concat_arrays(parts)))
    return every.take(pc.sort_indices(every))


def places(column: pyarrow.Array, among: pyarrow.Array) -> Ints:
    """Where each text stands in `among`; -1 if it does not, or is missing."""
    found = pc.fill_null(pc.index_in(column, value_set=among), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)


def whole(series: pd.Series) -> Ints:
    """A column of whole pieces."""
    return np.asarray(series.to_numpy(dtype=np.int64))


def millionths(series: pd.Series) -> Ints:
    """A column of numbers with at most six digits behind the point, as whole millionths."""
    if not len(series):
        return np.zeros(0, dtype=np.int64)
    if isinstance(series.dtype, pd.ArrowDtype):
        exact = pyarrow.array(series, from_pandas=True)
        scaled = pc.multiply(pc.cast(exact, pyarrow.decimal128(20, 6)), Decimal(MILLION))
        return np.asarray(pc.cast(scaled, pyarrow.int64()).to_numpy(zero_copy_only=False), np.int64)
    if series.dtype == object:
        return np.array([int(Decimal(one) * MILLION) for one in series], dtype=np.int64)
    return np.asarray(np.rint(series.to_numpy() * MILLION), dtype=np.int64)


def text_series(array: pyarrow.Array) -> pd.Series:
    """Texts as a column of a frame."""
    return pd.Series(pd.array(array, dtype="str"))
