"""The page of the benchmark, from what was measured."""

from __future__ import annotations

import sys

import pytest
from bench.environments import CONTESTANTS, HERE, REQUIREMENTS, Environments
from bench.measure import Measured
from bench.page import page
from bench.results import Results, key
from bench.tables import TABLES

BY_NAME = {table.name: table for table in TABLES}


@pytest.fixture
def environments(tmp_path, monkeypatch):
    made = Environments(dict.fromkeys(REQUIREMENTS, sys.executable), tmp_path)
    monkeypatch.setattr(Environments, "version", lambda self, name: f"of-{name}")
    return made


def shown(environments, name, measured, number=0):
    """The page's lines of one table with one row."""
    table = BY_NAME[name]
    return page({key(table, table.rows[number]): measured}, environments, 2, "cpu").splitlines()


def test_ratios_are_of_the_same_round(environments):
    measured = {
        "prediction": Measured([1.0, 2.0, 4.0]),
        "own": Measured([1.1, 2.2, 4.4]),
        "pytorch_grad_cam": Measured([5.0, 10.0, 20.0], difference=2e-6),
    }
    lines = shown(environments, "last", measured)
    (line,) = [line for line in lines if "ResNet-50" in line]
    assert "| 2.00 s | **1.10 (1.10-1.10)** | 5.00 (5.00-5.00) |" in line
    assert line.endswith("| 2e-06 |")
    assert "| Grad-CAM, last layer | 1.10 | 4.55x |" in lines[lines.index("## In short") + 6]


def test_whoever_ran_once_is_set_against_the_median(environments):
    measured = {"own": Measured([2.0, 4.0, 3.0]), "pytorch_grad_cam": Measured([30.0])}
    (line,) = [line for line in shown(environments, "scorecam", measured) if "Mobile" in line]
    assert "| **3.00 s** | 30.00 s, 10x |" in line


def test_what_failed_is_named_below_its_table(environments):
    measured = {"own": Measured([1.0]), "openvino_xai": Measured(failed="it broke")}
    lines = shown(environments, "reciprocam", measured)
    assert "- [1] |" in next(line for line in lines if "MobileNet" in line)
    assert "[1] OpenVINO XAI: it broke" in lines


def test_rates_are_pictures_a_second_and_ratios_of_time(environments):
    measured = {
        "pictures.prediction": Measured([4.0, 4.0, 4.0]),
        "pictures.own": Measured([5.0, 5.0, 5.0]),
    }
    (line,) = [line for line in shown(environments, "pictures", measured) if "MobileNet" in line]
    assert "| 12.0 | **9.6, 0.80 (0.80-0.80)x** |" in line


def test_only_what_was_measured_is_shown(environments):
    lines = shown(environments, "scorecam", {"own": Measured([1.0])})
    assert [line for line in lines if line.startswith("## ")] == [
        "## In short",
        "## Score-CAM and Ablation-CAM",
    ]


def test_results_are_kept_line_by_line_and_the_last_counts(tmp_path):
    table = BY_NAME["last"]
    kept = Results(tmp_path / "new")
    assert kept.read() == {}
    measured = {"own": Measured([1.0, 2.0], prepared=0.5, difference=0.0)}
    kept.add(table, table.rows[0], {"own": Measured(failed="not yet")})
    kept.add(table, table.rows[0], measured)
    kept.add(table, table.rows[1], measured)
    assert kept.read() == {key(table, row): measured for row in table.rows[:2]}


def test_versions_are_asked_of_everyone_s_environment():
    here = Environments({}, None)
    assert here.version("own").count(".") == 2
    assert CONTESTANTS["own"].environment == HERE
