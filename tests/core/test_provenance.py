"""What is recorded of the commit, the libraries and the machine."""

from timellama.core import provenance


def test_commit_and_versions_are_told():
    assert set(provenance.commit()) == {"git_commit", "git_dirty"}
    assert provenance.versions()["torch"]
    assert provenance.hardware()["cores"] >= 1
