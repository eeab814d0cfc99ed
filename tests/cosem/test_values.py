"""Readings are exact: no digit is lost, whatever the scaler, the size of the number or the caller's decimal context."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.cosem.values import ScalerUnit, reading, scale
from cosemic.enums import Unit
from cosemic.errors import DecodeError


@pytest.mark.parametrize(
    ("raw", "scaler", "text"),
    [
        (12345, 0, "12345"),
        (12345, -3, "12.345"),
        (12345, 3, "12345000"),
        (-1, -1, "-0.1"),
        (0, -2, "0.00"),
        (2**64 - 1, -10, "1844674407.3709551615"),
        (1, -128, f"0.{'0' * 127}1"),
        (7, 127, f"7{'0' * 127}"),
        (230.1, 0, "230.1"),
        (230.5, -1, "23.05"),
    ],
)
def test_scaling_is_exact(raw, scaler, text):
    assert f"{scale(raw, scaler):f}" == text


@given(st.integers(-(2**63), 2**64 - 1), st.integers(-128, 127))
def test_scaling_can_be_undone_in_a_context_of_six_digits(raw, scaler):
    with localcontext() as context:
        context.prec = 6
        value = scale(raw, scaler)
    numerator, denominator = value.as_integer_ratio()
    assert numerator * 10 ** max(0, -scaler) == raw * 10 ** max(0, scaler) * denominator


def test_a_float_keeps_its_digits_in_a_context_of_six():
    with localcontext() as context:
        context.prec = 6
        assert scale(230.123456789, -1) == Decimal("23.0123456789")


def test_a_reading_says_what_came_and_what_it_means():
    result = reading(12345, ScalerUnit(-1, 30))
    assert (result.value, result.unit, result.raw, result.scaler) == (Decimal("1234.5"), "Wh", 12345, -1)
    assert result.unit_code == Unit.WATT_HOUR
    assert str(result) == "1234.5 Wh"


def test_large_scalers_print_without_exponent():
    assert str(reading(5, ScalerUnit(3, 27))) == "5000 W"


def test_a_count_has_no_unit():
    assert str(reading(5, ScalerUnit(0, 255))) == "5"


def test_an_unknown_unit_is_named_by_its_number():
    assert reading(1, ScalerUnit(0, 200)).unit == "unit 200"


@pytest.mark.parametrize("raw", [None, b"\x01", "12", True, (1, 2)])
def test_what_is_no_number_is_no_reading(raw):
    with pytest.raises(DecodeError, match="the register holds"):
        reading(raw, ScalerUnit(0, 30))


@pytest.mark.parametrize("value", [None, 3, (1,), (1, 2, 3), ("1", 30), (200, 30), (0, 256)])
def test_what_is_no_scaler_unit_is_refused(value):
    with pytest.raises(DecodeError, match="scaler_unit"):
        ScalerUnit.from_value(value)


@pytest.mark.parametrize(
    ("code", "symbol"),
    [
        (13, "m³"),
        (27, "W"),
        (28, "VA"),
        (29, "var"),
        (30, "Wh"),
        (31, "VAh"),
        (32, "varh"),
        (33, "A"),
        (35, "V"),
        (44, "Hz"),
    ],
)
def test_everyday_units(code, symbol):
    assert Unit(code).symbol == symbol


def test_every_unit_has_a_symbol_that_stands_for_something():
    assert all(unit.symbol or unit is Unit.COUNT for unit in Unit)
