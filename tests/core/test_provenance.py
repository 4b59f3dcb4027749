"""What is recorded of the commit, the libraries and the machine."""

import platform

import pytest

from timellama.core import provenance


def test_commit_and_versions_are_recorded():
    assert set(provenance.commit()) == {"git_commit", "git_dirty"}
    assert provenance.versions()["torch"]
    assert provenance.hardware()["cores"] >= 1


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("fpu avx2", "AMD EPYC (AVX2)"),
        ("fpu avx2 avx512f", "AMD EPYC (AVX512)"),
        ("fpu avx2 avx512f avx512_bf16", "AMD EPYC (AVX512-BF16)"),
        ("fpu avx2 avx512f avx512_bf16 amx_tile amx_bf16", "AMD EPYC (AMX)"),
        ("fpu sse4_2", "AMD EPYC"),
    ],
)
def test_processor_generations_with_the_same_name_are_distinguished_by_instructions(tmp_path, flags, name):
    other = "processor\t: 1\nmodel name\t: Another\nflags\t\t: amx_bf16\n"
    (tmp_path / "cpuinfo").write_text(f"model\t\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\n\n{other}")
    assert provenance.processor(tmp_path / "cpuinfo") == name


def test_an_unknown_system_still_has_a_processor_name(tmp_path):
    assert provenance.processor(tmp_path / "none") == (platform.processor() or platform.machine())
    assert not provenance.processor_flags(tmp_path / "none")
