"""Nothing is missing: every scenario, every case of the certification tool, every configuration key has its test."""

from __future__ import annotations

import pytest

from simulator.docs.acceptance import UnknownTest, find, mapping, scenarios
from simulator.station.standard_keys import STANDARD_KEYS

#: The charge point cases of the test case document for OCPP 1.6 (Open Charge Alliance, 2024-04).
CASES = (
    "001 002 003 004_1 004_2 005_1 005_2 005_3 007 008 010 011_1 011_2 012 013 014 015 016 017_1 017_2 018_1 018_2"
    " 019 021 023 024 026 027 028 030 031 032_1 032_2 034 036 037_1 037_2 037_3 038 039 040_1 040_2 041"
    " 042_1 042_2 043 043_1 043_2 043_3 044_1 044_2 044_3 045_1 045_2 046_1 046_2 047 048_1 048_2 048_3 048_4 049"
    " 050_1 050_2 050_3 050_4 051 052 053 054 055 056 057 058_1 058_2 059 060 061 062 066 067 068 069 070 071 072"
    " 073 074 075_1 075_2 076 077 078 079 080 081 082 083 084 085 086 087"
)


def test_every_scenario_has_its_test_and_its_words() -> None:
    assert list(scenarios()) == list(range(1, 41))
    assert [number for number, test in scenarios().items() if not test.says] == []


def test_every_case_has_tests_that_exist() -> None:
    cases = CASES.split()
    assert len(cases) == 102
    assert sorted(mapping()["cases"]) == sorted(cases)
    for entry in mapping()["cases"].values():
        assert entry["name"]
        assert entry["result"]
        assert [find(name).name for name in entry["tests"]]


def test_every_key_has_a_test_that_exists() -> None:
    assert set(mapping()["keys"]) == set(STANDARD_KEYS)
    for name in mapping()["keys"].values():
        find(name)


def test_a_test_that_does_not_exist_is_told() -> None:
    with pytest.raises(UnknownTest, match="0 tests of that name"):
        find("test_of_nothing")
