import pytest

from sandbox.cloudwatch.expressions import NotSupported, evaluate


@pytest.mark.parametrize(
    ("expression", "m1", "m2", "value"),
    [
        ("m1 + m2", 1, 2, 3),
        ("m1+m2", 1, None, 1),
        ("m1 + m2", None, None, None),
        ("m1 - m2 * 2", 5, 2, 1),
        ("-(m1 + 1)", 2, None, -3),
        ("m1 + 1", None, 1, None),
        ("m1 / m2", 6, 3, 2),
        ("m1 / m2", 6, 0, None),
        ("m1 > m2", 2, 1, 1),
        ("m1 > 2", 2, 1, 0),
        ("IF(m1 > 1, m2, 7)", 2, 5, 5),
        ("IF(m1 > 1, m2, 7)", 1, 5, 7),
        ("IF(m1, m2, 7)", None, 5, None),
        ("FILL(m1, 0) + m2", None, 5, 5),
        ("FILL(m1, 0)", None, None, 0),
        ("MAX([m1, m2])", 2, 5, 5),
        ("MIN([m1, m2])", 2, 5, 2),
        ("SUM([m1, m2, m1])", 2, 5, 9),
        ("AVG([m1, m2])", 2, 5, 3.5),
        ("MAX([m1, m2])", None, 5, 5),
        ("MAX([m1, m2])", None, None, None),
        ("SUM(METRICS())", 2, 5, 7),
    ],
)
def test_an_expression_makes_a_point_of_the_metrics_points(
    expression: str, m1: float | None, m2: float | None, value: float | None
) -> None:
    assert evaluate(expression, {"m1": m1, "m2": m2}) == value


@pytest.mark.parametrize(
    "expression",
    [
        "m1 +",
        "m3",
        "MAX(m1)",
        "RATE(m1)",
        "ANOMALY_DETECTION_BAND(m1, 2)",
        "m1.real",
        "IF(m1, m2)",
        "1 < m1 < 2",
        "'text'",
        "__import__('os')",
    ],
)
def test_what_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(NotSupported):
        evaluate(expression, {"m1": 1.0, "m2": 2.0})
