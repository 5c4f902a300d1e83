"""The model repository, without a Triton."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import RepositoryError
from serving.model_config import SpecificVersions, from_text
from serving.repository import ModelRepository
from tests.helpers.triton import LABELS, add_classifier, classifier, classifier_config


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[ModelRepository]:
    repository = ModelRepository(tmp_path)
    with repository.opened():
        yield repository


def test_a_version_appears_whole_under_its_number(repository: ModelRepository) -> None:
    add_classifier(repository, "digits", 3, seed=1)
    folder = repository.models / "digits" / "3"
    assert (folder / "model.onnx").read_bytes() == classifier(1)
    assert (folder / "labels.txt").read_text() == "cat\ndog\nship\n"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.pbtxt",
        "labels.txt",
        "manifest.json",
        "model.onnx",
        "smoke_test.npz",
    ]
    assert list(repository.staging.iterdir()) == []


def test_a_version_is_not_served_before_it_is_activated(repository: ModelRepository) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    assert repository.active("digits") == ()
    repository.activate("digits", (1,))
    assert repository.active("digits") == (1,)


def test_activation_writes_the_last_versions_configuration_and_labels(
    repository: ModelRepository,
) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    add_classifier(repository, "digits", 2, seed=2, labels=("a", "b", "c"))
    repository.activate("digits", (1, 2))
    folder = repository.models / "digits"
    config = from_text((folder / "config.pbtxt").read_text())
    assert config.version_policy == SpecificVersions((1, 2))
    assert (folder / "labels.txt").read_text() == "a\nb\nc\n"
    repository.activate("digits", (1,))
    assert (folder / "labels.txt").read_text() == "cat\ndog\nship\n"


def test_a_version_is_never_overwritten(repository: ModelRepository) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    with pytest.raises(RepositoryError, match="has a version 1 already"):
        add_classifier(repository, "digits", 1, seed=2)
    assert (repository.models / "digits" / "1" / "model.onnx").read_bytes() == classifier(1)


def test_a_version_that_does_not_exist_cannot_be_activated(repository: ModelRepository) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    repository.activate("digits", (1,))
    with pytest.raises(RepositoryError, match="no version 2"):
        repository.activate("digits", (1, 2))
    assert repository.active("digits") == (1,)


def test_the_last_two_versions_are_kept(repository: ModelRepository) -> None:
    for version in (1, 2, 3, 4):
        add_classifier(repository, "digits", version, seed=version)
    repository.activate("digits", (4,))
    repository.prune("digits")
    assert [each.version for each in repository.versions("digits")] == [3, 4]


def test_a_version_that_serves_is_kept_however_old(repository: ModelRepository) -> None:
    for version in (1, 2, 3):
        add_classifier(repository, "digits", version, seed=version)
    repository.activate("digits", (1,))
    repository.prune("digits")
    assert [each.version for each in repository.versions("digits")] == [1, 3]


def test_versions_are_found_again_by_another_process(
    repository: ModelRepository, tmp_path: Path
) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    again = ModelRepository(tmp_path)
    assert again.names() == ("digits",)
    assert again.manifest("digits", 1) == repository.manifest("digits", 1)
    assert again.manifest("digits", 2) is None


def test_a_version_whose_files_were_changed_is_not_intact(repository: ModelRepository) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    manifest = repository.manifest("digits", 1)
    assert manifest is not None
    assert repository.altered("digits", manifest) == ()
    (repository.version_folder("digits", 1) / "model.onnx").write_bytes(b"rotten")
    assert repository.altered("digits", manifest) == (("model.onnx", manifest.graph_digest),)
    right = repository.staging / "right"
    right.write_bytes(classifier(1))
    repository.mend("digits", 1, "model.onnx", right)
    assert repository.altered("digits", manifest) == ()


@pytest.mark.parametrize("file", ["config.pbtxt", "labels.txt"])
def test_labels_and_configuration_are_written_anew_where_they_were_altered(
    repository: ModelRepository, file: str
) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    repository.activate("digits", (1,))
    before = repository.signature("digits", 1)
    for folder in (repository.models / "digits", repository.version_folder("digits", 1)):
        (folder / file).write_bytes(b"cat\ncat\n\xff")
    assert not repository.is_configured("digits", 1)
    repository.describe("digits", 1, classifier_config("digits"), LABELS)
    assert repository.signature("digits", 1) == before
    assert not repository.is_active_as_configured("digits", 1)
    repository.activate("digits", (1,))
    assert repository.is_active_as_configured("digits", 1)


def test_what_an_interrupted_writer_left_is_cleared(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    with repository.opened():
        (repository.staging / "half").mkdir()
    with repository.opened():
        assert list(repository.staging.iterdir()) == []


def test_a_version_folder_without_a_manifest_is_no_version(repository: ModelRepository) -> None:
    (repository.models / "digits" / "1").mkdir(parents=True)
    assert repository.versions("digits") == ()


def test_a_second_writer_is_refused(repository: ModelRepository, tmp_path: Path) -> None:
    with (
        pytest.raises(RepositoryError, match="another process"),
        ModelRepository(tmp_path).opened(),
    ):
        pass


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", ".hidden", "x" * 129])
def test_a_name_that_leads_out_of_the_repository_is_refused(
    repository: ModelRepository, name: str
) -> None:
    with pytest.raises(RepositoryError, match="no name of a model"):
        add_classifier(repository, name, 1, seed=1, config=classifier_config("x"))


def test_a_removed_model_is_gone_and_may_be_removed_again(repository: ModelRepository) -> None:
    add_classifier(repository, "digits", 1, seed=1)
    repository.remove("digits")
    repository.remove("digits")
    assert repository.names() == ()
    assert list(repository.staging.iterdir()) == []
