"""How our tables are written down: exact money, aware time, strict columns.

`Table` is the base of every canonical table; one declaration gives the frame's types, the
Pandera check and the column texts shown in the Dagster UI.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd
import pandera.pandas as pa
import pyarrow

DECIMAL = pyarrow.decimal128(20, 6)
INSTANT = pd.DatetimeTZDtype("us", "UTC")
#: For things whose system keeps no time of change.
DISTANT_PAST = datetime(1970, 1, 1, tzinfo=UTC)

Money = Annotated[pd.ArrowDtype, DECIMAL]
Instant = Annotated[pd.DatetimeTZDtype, "us", "UTC"]
#: A calendar day, for columns that end in `_on`.
Day = Annotated[pd.ArrowDtype, pyarrow.date32()]


class Table(pa.DataFrameModel):
    """A canonical table: strict columns, declared key."""

    class Config:
        strict = True

    @classmethod
    def columns(cls) -> list[str]:
        """Column names in their declared order."""
        return list(cls.to_schema().columns)

    @classmethod
    def key(cls) -> list[str]:
        """Columns that name a row."""
        return list(cls.to_schema().unique or [])

    @classmethod
    def validate(cls, check_obj: Any, *args: Any, **more: Any) -> Any:
        """As Pandera does; where no row is there is no fault, and a run has many such tables."""
        if len(check_obj) == 0 and list(check_obj.columns) == cls.columns():
            return check_obj
        return super().validate(check_obj, *args, **more)

    @classmethod
    def frame(cls, rows: list[dict[str, Any]]) -> pd.DataFrame:
        """Rows as a frame with this table's columns and types."""
        schema = cls.to_schema()
        data = {
            name: _series([row.get(name) for row in rows], column.dtype.type)
            for name, column in schema.columns.items()
        }
        return pd.DataFrame(data, columns=list(schema.columns))


def _series(values: list[Any], dtype: Any) -> pd.Series:
    if isinstance(dtype, pd.ArrowDtype):
        return pd.Series(pd.arrays.ArrowExtensionArray(_exact(values, dtype.pyarrow_dtype)))
    series: pd.Series = pd.Series(values, dtype=dtype)
    return series


def _exact(values: list[Any], kind: pyarrow.DataType) -> pyarrow.Array:
    """Exact or an error: a float, or more than six digits behind the point, is no amount."""
    return pyarrow.array(values, type=kind)
