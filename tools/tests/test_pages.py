"""The pages made of results; measuring itself needs the rivals and is not tested."""

import json
import subprocess

import avx2_only
import footprint_section
import pages
import peers
import peers_section
import scaling_section

CIRCUMSTANCES = {
    "date": "2026-01-02",
    "machine": {"cpu": "Some CPU", "cores": 2, "flags": ["avx2"], "system": "Linux 6"},
    "versions": {"shuffle-vit": "1234567"},
}
GROUP = CIRCUMSTANCES | {
    "threads": 1,
    "batch": 2,
    "level": "avx2",
    "rounds": 3,
    "calls": 5,
    "command": "python tools/peers.py",
    "models": [
        {
            "name": "deit_tiny",
            "gmacs": 1.25,
            "ms": {
                "shuffle-vit": [50.0, 49, 51],
                "OpenVINO": [60.0, 61, 59],
                "ONNX Runtime": [40.0] * 3,
                "PyTorch": [75.0] * 3,
            },
        },
        {
            "name": "t2t_vit_7",
            "gmacs": 1.0,
            "ms": {"shuffle-vit": [50.0] * 3, "ONNX Runtime": [40.0] * 3, "PyTorch": [75.0] * 3},
        },
    ],
}


def test_pages_say_what_the_results_hold():
    assert pages.outdated() == {}


def test_the_table_of_models_is_the_program_s(program):
    printed = subprocess.run([program, "table", "--json"], check=True, capture_output=True).stdout
    assert pages.read_json(pages.RESULTS / "models.json") == json.loads(printed)


def test_readme_s_table_has_one_image_on_one_thread():
    whole = GROUP | {"level": "avx512", "threads": 1, "batch": 1}
    head, _, deit, t2t, *_ = peers_section.summary([GROUP, whole]).splitlines()
    assert head == "| 1 thread, AVX-512 | shuffle-vit | OpenVINO | ONNX Runtime | PyTorch |"
    assert deit == "| deit_tiny | **50.0** | 60.0 (1.20x) | 40.0 (0.80x) | 75.0 (1.50x) |"
    assert "crashes" in t2t


def test_ways_to_start_are_rows():
    start = {"way": "packed", "first_logits_ms": 12.34, "peak_rss_bytes": 3 << 20}
    starts = [start | {"threads": 1}, start | {"threads": 2, "first_logits_ms": 7.0}]
    assert list(footprint_section.rows(starts)) == ["| packed | 12.3 ms | 7.0 ms | 3.0 MiB | 3.0 MiB |"]


def test_sections_are_replaced_and_others_stay():
    page = "# Page\n\n<!-- rust: begin -->\nother\n<!-- rust: end -->\n"
    once = pages.replace_section(page, "peers", "first\n")
    both = pages.replace_section(once, "scaling", "second")
    assert both.startswith(page) and both.index("first") < both.index("second")
    again = pages.replace_section(both, "peers", "third")
    assert again == both.replace("first", "third")
    assert pages.replace_section(again, "peers", "third") == again


def test_table_names_the_fastest_rival_that_ran():
    head, _, deit, t2t = peers_section.table(GROUP)
    assert head.startswith("| model | shuffle-vit | OpenVINO | ONNX Runtime | PyTorch | fastest rival / ours |")
    assert deit == "| deit_tiny | **50.0** | 60.0 (1.20x) | 40.0 (0.80x) | 75.0 (1.50x) | **0.80** | 50.0 | 40.0 |"
    assert t2t == "| t2t_vit_7 | **50.0** | crashes | 40.0 (0.80x) | 75.0 (1.50x) | **0.80** | 40.0 | 40.0 |"
    text = peers_section.text([GROUP])
    assert "at most 1.0 % around its median" in text
    assert "2026-01-02; Some CPU, 2 cores, avx2, Linux 6; shuffle-vit 1234567; `python tools/peers.py`." in text


def test_the_test_for_avx512_is_found():
    """As compiled into ONNX Runtime, into OpenVINO, and a test of the same bit that has nothing to do with it."""
    found = [
        "41f7c200000100 740e 4c89c0 48f7d0 a8e0 0f845401",
        "41f7c100000100 7411 4889c2 81e2e0000000 4881fae0",
        "41f7c100000100 7411 4889c2 4881fae1000000",
    ]
    assert [bool(avx2_only.AVX512F.search(bytes.fromhex(code))) for code in found] == [True, True, False]


def test_kept_results_are_json_of_a_line_a_model(tmp_path):
    text = peers.as_json([GROUP, GROUP])
    assert json.loads(text) == [GROUP, GROUP]
    assert sum('"name"' in line for line in text.splitlines()) == 4


def test_measuring_a_group_again_replaces_it(tmp_path):
    class Args:
        results = tmp_path / "results" / "peers.json"

    peers.store(Args, GROUP)
    peers.store(Args, GROUP | {"level": "avx512"})
    peers.store(Args, GROUP | {"rounds": 9})
    kept = json.loads(Args.results.read_text())
    assert [(group["level"], group["rounds"]) for group in kept] == [("avx512", 3), ("avx2", 9)]


def test_scaling_takes_medians_and_compares_with_theory(tmp_path):
    about = CIRCUMSTANCES | {"models": ["tiny", "shuffle_tiny"], "threads": 1, "level": "avx2", "rounds": 3, "command": "x"}
    lines = [about]
    for number, noise in enumerate((1.0, 1.1, 0.9)):
        for model, factor in (("tiny", 1.0), ("shuffle_tiny", 1.05)):
            for value in (1, 2):
                point = {"sweep": "batch", "model": model, "value": value, "x": value, "base": value == 1}
                point |= {"work": value * factor, "layers": value, "median_ms": 10 * value * factor * noise}
                lines.append(point | {"round": number})
    path = tmp_path / "scaling.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    results = scaling_section.read(path)
    assert results.charts() == [(("tiny", "shuffle_tiny"), "batch")]
    rows = scaling_section.table(results, ("tiny", "shuffle_tiny"), "batch")[2:]
    assert rows == ["| 1 (base) | 10.00 | 10.50 | 1.050 | 1.050 |", "| 2 | 20.00 | 21.00 | 1.050 | 1.050 |"]
    assert "docs/scaling-tiny-batch.svg" in scaling_section.text(results)
