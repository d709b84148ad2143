"""Filling in the checklist's document."""

from dataclasses import replace
from datetime import date

import pytest

from cli.checklist.document import SOURCE, Facts, document_rows, fill
from cli.checklist.expecting import Failed, Skipped
from cli.checklist.row import Outcome, Result, Row, Timed
from cli.checklist.rows import ROWS
from cli.checklist.runner import chosen_rows, run_row
from cli.checklist.tester import Tester
from cli.errors import CommandRefused

TEXT = SOURCE.read_text(encoding="utf-8")
FACTS = Facts(
    day=date(2026, 11, 22),
    base="http://127.0.0.1:8000",
    local=True,
    simulated=True,
    prerequisites={"Redis rodando": "não é usado"},
)
BY_ID = {row.id: row for row in ROWS}


def filled(*results: tuple[str, Outcome, str, float], facts: Facts = FACTS) -> list[str]:
    made = [Result(BY_ID[row_id], outcome, note, seconds) for row_id, outcome, note, seconds in results]
    return fill(TEXT, facts, made).splitlines()


def line(lines: list[str], start: str) -> str:
    return next(text for text in lines if text.startswith(start))


def test_the_document_has_76_rows() -> None:
    assert len(document_rows(TEXT)) == 76


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_row_says_what_the_document_says(row: Row) -> None:
    there = {entry.id: entry for entry in document_rows(TEXT)}[row.id]
    assert (row.title, row.request, row.expected) == (there.title, there.request.split(" (")[0], there.expected)
    assert f"## {row.flow}" in TEXT
    assert set(row.needs) <= BY_ID.keys()


def test_boxes_are_ticked() -> None:
    lines = filled(("1.1.1", Outcome.OK, "", 0.1), ("8.2", Outcome.FAILED, "401", 0.1), ("8.4", Outcome.NOT_RUN, "", 0))
    assert line(lines, "| 1 | Listar modelos").endswith("| [x] OK [ ] FALHA |")
    assert line(lines, "| 2 | Login").endswith("| [ ] OK [x] FALHA |")
    assert line(lines, "| 4 | Atualizar API key").endswith("| [ ] OK [ ] FALHA (não executado) |")
    assert line(lines, "| 1 | Criar job").endswith("| [ ] OK [ ] FALHA (não executado) |")


def test_head_says_when_where_and_that_the_cloud_is_simulated() -> None:
    lines = filled()
    assert "> **Data**: 22/11/2026" in lines
    assert line(lines, "> **Ambiente**") == "> **Ambiente**: [x] Local [ ] Staging [ ] Produção"
    assert "SIMULADA" in line(lines, "> **Nuvem**")
    assert line(lines, "- [x] Redis").endswith("— não é usado")


def test_counts_are_real_ones() -> None:
    lines = filled(("1.1.1", Outcome.OK, "", 0.1), ("1.1.2", Outcome.FAILED, "x", 0.1))
    assert line(lines, "| 1. Deploy Modelo") == "| 1. Deploy Modelo | 13 | 1 | 1 | 8% |"
    assert line(lines, "| 3. Dev Interativo") == "| 3. Dev Interativo | 15 | 0 | 0 | 0% |"
    assert line(lines, "| **TOTAL**") == "| **TOTAL** | 76 | 1 | 1 | 1% |"


def test_times_are_written_in_the_lines_own_unit() -> None:
    assert "| Cold start LLM | 12.3 seg |" in filled(("1.1.4", Outcome.OK, "", 12.34))
    assert "| Cold start LLM | _______ seg |" in filled(("1.1.4", Outcome.FAILED, "", 12.34))


def test_problems_are_listed_with_what_was_seen() -> None:
    lines = filled(("1.1.3", Outcome.FAILED, "402 saldo | baixo", 0.1), facts=FACTS)
    problem = line(lines, "| 1 | Fluxo 1 |")
    assert "1.1.3 Deploy do modelo | 402 saldo \\| baixo | [x] Crítico" in problem
    assert line(lines, "| 5 | | | |")


def test_more_problems_than_printed_rows() -> None:
    failed = [(row.id, Outcome.FAILED, "x", 0.0) for row in ROWS]
    assert sum(text.endswith("[ ] Baixo |") for text in filled(*failed)) == len(ROWS)


def test_what_was_seen_stands_under_the_rows() -> None:
    assert "1.1.1 (100 ms): tipos: llm" in filled(("1.1.1", Outcome.OK, "tipos: llm", 0.1))


def test_rows_under_a_heading_without_observations_are_told_of_at_the_next_ones_of_their_flow() -> None:
    lines = filled(("3.1.2", Outcome.OK, "instance_id 7", 0.1), ("3.3.1", Outcome.OK, "janelas: 15 s", 30.0))
    first = lines.index("3.1.2 (100 ms): instance_id 7")
    assert lines[first - 2 : first + 2] == ["**Observações:**", "```", lines[first], "3.3.1 (30.0 s): janelas: 15 s"]
    assert sum("instance_id 7" in text for text in lines) == 1


def test_a_time_measured_by_an_earlier_row_is_written_where_the_document_asks_for_it() -> None:
    def step(_: Tester) -> Timed:
        return Timed("do teste 3", 4.2)

    row = replace(BY_ID["3.2.5"], step=step)
    lines = fill(TEXT, FACTS, [run_row(Tester("http://127.0.0.1:1"), row, [])]).splitlines()
    assert "Tempo: 4.2 segundos | [x] OK" in line(lines, "| 5 | Medir tempo de resume")
    assert "| Resume de GPU pausada | 4.2 seg |" in lines


def test_groups_of_rows_bring_the_rows_they_need() -> None:
    assert [row.id for row in chosen_rows("1.1.6")] == ["1.1.3", "1.1.4", "1.1.6"]
    assert {row.id.split(".")[0] for row in chosen_rows("1.1,8")} == {"1", "8"}
    assert len(chosen_rows(None)) == len(ROWS)
    with pytest.raises(CommandRefused, match=r"1\.1\.1"):
        chosen_rows("9")


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [(Failed("não"), Outcome.FAILED), (Skipped("sem chave"), Outcome.NOT_RUN), (KeyError("types"), Outcome.FAILED)],
)
def test_what_a_step_raises_decides_the_row(raised: Exception, outcome: Outcome) -> None:
    def step(_: Tester) -> str:
        raise raised

    row = Row("1.1.1", "", "", "", "", step)
    assert run_row(Tester("http://127.0.0.1:1"), row, []).outcome is outcome


def test_a_row_whose_ground_is_missing_is_not_tried() -> None:
    before = Result(BY_ID["1.1.3"], Outcome.FAILED, "402", 0.1)
    result = run_row(Tester("http://127.0.0.1:1"), BY_ID["1.1.4"], [before])
    assert result.outcome is Outcome.FAILED
    assert "1.1.3" in result.note
