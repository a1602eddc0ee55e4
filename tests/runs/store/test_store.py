"""The store: entries are whole, checked when they are read, and set aside when they are damaged."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench import Gradual, bits, magnitude
from lthbench.data import DataHome
from lthbench.errors import InputError, MissingEntry
from lthbench.pruning.state import State
from lthbench.pruning.tensors import digest, packed, unpacked
from lthbench.runs.store import files as module
from lthbench.runs.store.files import append_line, write_whole
from lthbench.runs.store.store import Store, Trace
from tests.processes import forked, status_of
from tests.runs.helpers import ONE, drive, method, open_run, same, store_in, ticket

TENSORS = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3), "b": torch.tensor([True, False, True])}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "build")


def entry(store: Store) -> Path:
    store.write("values", "k", TENSORS, {"right": 466})
    return store.path("values", "k")


def test_round_trip(store: Store) -> None:
    entry(store)
    tensors, note = store.read("values", "k")
    assert same(tensors, TENSORS)
    assert [t.dtype for t in tensors.values()] == [TENSORS[name].dtype for name in tensors]
    assert note == {"right": 466}
    assert store.has("values", "k")
    assert not store.has("values", "other")
    store.drop("values", "k")
    store.drop("values", "k")
    with pytest.raises(MissingEntry, match="no entry k"):
        store.read("values", "k")


def test_builds_do_not_see_each_other(tmp_path: Path) -> None:
    entry(Store(tmp_path, "one"))
    assert not Store(tmp_path, "other").has("values", "k")


def test_what_is_read_is_a_copy(store: Store) -> None:
    entry(store)
    store.read("values", "k")[0]["w"].zero_()
    assert same(store.read("values", "k")[0], TENSORS)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda b: b"",
    "header cut": lambda b: b[:20],
    "one byte short": lambda b: b[:-1],
    "one byte more": lambda b: b + b"x",
    "one bit of a tensor": lambda b: b[:-1] + bytes([b[-1] ^ 1]),
    "one bit of the digest": lambda b: (
        b.replace(b'"digest":"', b'"digest":"', 1)[: b.index(b'"digest":"') + 10]
        + bytes([b[b.index(b'"digest":"') + 10] ^ 1])
        + b[b.index(b'"digest":"') + 11 :]
    ),
    "zeros": lambda b: bytes(len(b)),
    "something else": lambda b: b"hello",
}


def damaged(path: Path, how: Callable[[bytes], bytes]) -> None:
    path.write_bytes(how(path.read_bytes()))


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_entry_is_set_aside_and_missing(store: Store, how: str, caplog: pytest.LogCaptureFixture) -> None:
    path = entry(store)
    damaged(path, DAMAGE[how])
    for _ in range(2):
        with pytest.raises(MissingEntry):
            store.read("values", "k")
    assert not path.exists()
    assert path.with_suffix(".damaged").exists()
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "store entry k is damaged" in caplog.text
    entry(store)
    assert same(store.read("values", "k")[0], TENSORS)


def test_a_flipped_bit_in_the_note_is_found(store: Store) -> None:
    path = entry(store)
    damaged(path, lambda b: b.replace(b"466", b"467"))
    with pytest.raises(MissingEntry):
        store.read("values", "k")


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 500))
def test_masks_survive_being_packed(count: int) -> None:
    mask = torch.rand(count, generator=torch.Generator().manual_seed(count)) < 0.5
    assert packed(mask).numel() == -(-count // 8)
    assert unpacked(packed(mask), mask.shape).equal(mask)


def test_masks_are_stored_as_bits_and_weights_as_they_are(store: Store) -> None:
    tensors = {"m": torch.rand(7, 11) < 0.5, "one": torch.tensor(True), "w": torch.rand(3), "u": torch.ones(9).byte()}
    name = store.write_tensors(tensors)
    assert name == digest(tensors)
    assert same(store.read_tensors(name), tensors)
    kept = store.read("tensors", name)[0]
    assert {n: t.nbytes for n, t in kept.items()} == {"m": 10, "one": 1, "w": 12, "u": 9}
    before = store.path("tensors", name).stat().st_mtime_ns
    store.write_tensors(tensors)
    assert store.path("tensors", name).stat().st_mtime_ns == before


def state(scale: float, raw: State | None = None) -> State:
    params = {"a.weight": torch.full((2, 2), scale), "b": torch.ones(3)}
    mask = {"a.weight": torch.tensor([[True, False], [False, True]])}
    return State(
        params,
        {"mean": torch.ones(1), "n": torch.tensor(4)},
        mask,
        {"mean": {"b": torch.ones(3) * scale}, "steps": {"": torch.tensor(3.0, dtype=torch.float64)}},
        {"z/y": torch.ones(2)},
        raw,
    )


def test_a_state_survives(store: Store) -> None:
    for key, one in {"plain": state(1), "raw": state(2, state(3))}.items():
        store.write_state(key, one, 17)
        found, ended = store.read_state(key)
        assert ended == 17
        for a, b in [(found, one)] + ([(found.raw, one.raw)] if one.raw else []):
            assert a is not None
            assert b is not None
            for part in ("params", "buffers", "mask", "rule"):
                assert same(getattr(a, part), getattr(b, part)), part
            assert a.slots.keys() == b.slots.keys()
            assert all(same(tensors, b.slots[slot]) for slot, tensors in a.slots.items())
        assert (found.raw is None) == (one.raw is None)


def test_an_entry_from_before_there_were_optimizers_is_a_state_of_sgd(store: Store) -> None:
    flat = {"params/w": torch.ones(2), "momentum/w": torch.full((2,), 3.0), "rule/momentum/w": torch.zeros(1)}
    store.write("states", "k", flat, {"ended": 4, "raw": False})
    found, _ = store.read_state("k")
    assert found.slots.keys() == {"momentum"} and same(found.slots["momentum"], {"w": flat["momentum/w"]})
    assert same(found.rule, {"momentum/w": torch.zeros(1)})
    store.write_state("again", found, 4)
    assert same(store.read("states", "again")[0], flat)


def test_a_state_without_anything_but_parameters(store: Store) -> None:
    store.write_state("k", State({"w": torch.ones(1)}, {}, {}), 0)
    found, _ = store.read_state("k")
    assert (found.buffers, found.mask, found.slots, found.rule, found.raw) == ({}, {}, {}, {}, None)


def test_a_process_killed_while_it_writes_leaves_nothing(store: Store) -> None:
    def killed() -> None:
        def sync(_: int) -> None:
            os.kill(os.getpid(), 9)

        module.os.fsync = sync  # type: ignore[assignment]
        entry(store)

    assert status_of(forked(killed)) == -9
    assert not store.has("values", "k")
    assert list(store.root.rglob("*.safetensors")) == []


def test_an_error_while_writing_leaves_what_was_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(store)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        InputError,
        match=r"cannot write .*k\.safetensors: No space left on device; free some disk space or choose another",
    ):
        store.write("values", "k", {"w": torch.zeros(1)})
    monkeypatch.undo()
    assert same(store.read("values", "k")[0], TENSORS)
    assert [p.name for p in store.root.rglob("*") if p.is_file()] == ["k.safetensors"]


@pytest.mark.parametrize("write", [lambda p: write_whole(p, b"x"), lambda p: append_line(p, "x")])
def test_a_file_that_cannot_be_written(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder: Is a directory"):
        write(tmp_path / "folder")


@pytest.mark.parametrize("write", [lambda p: write_whole(p, b"x"), lambda p: append_line(p, "x")])
def test_a_folder_that_cannot_be_made(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "file" / "inner" / "x")


def test_append_ends_the_half_line_before(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.jsonl"
    append_line(path, "one")
    path.write_text("one\ntw")
    append_line(path, "three")
    append_line(path, "four")
    assert path.read_text() == "one\ntw\nthree\nfour\n"


def test_a_trace_says_what_was_asked_before(store: Store) -> None:
    trace = Trace(store, "t")
    assert [trace.ask(i, what) for i, what in enumerate("ab")] == [None, None]
    again = Trace(store, "t")
    assert (again.asked, again.outcome) == (["a", "b"], None)
    assert [again.ask(0, "a"), again.ask(1, "c"), again.ask(2, "d")] == [None, "b", None]
    again.end({"status": "ok"})
    assert Trace(store, "t").outcome == {"status": "ok"}


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_trace_survives_half_a_line(store: Store, cut: int) -> None:
    trace = Trace(store, "t")
    trace.ask(0, "a")
    trace.ask(1, "b")
    trace.path.write_bytes(trace.path.read_bytes()[:-cut])
    again = Trace(store, "t")
    assert again.asked == ["a"]
    assert again.ask(1, "b") is None
    assert Trace(store, "t").asked == ["a", "b"]


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_a_flipped_bit_ends_a_trace_before_its_line(store: Store, at: int) -> None:
    trace = Trace(store, "t")
    for i, what in enumerate("abc"):
        trace.ask(i, what)
    trace.end({"status": "ok"})
    content = bytearray(trace.path.read_bytes())
    at %= len(content)
    content[at] ^= 4
    trace.path.write_bytes(content)
    whole = bytes(content[:at]).count(b"\n")
    again = Trace(store, "t")
    assert (again.asked, again.outcome) == (list("abc")[:whole], None)
    assert Trace(store, "t").asked == again.asked
    assert trace.path.read_bytes().count(b"\n") == whole


def test_a_trace_that_went_missing_under_its_writer_counts_for_nothing(store: Store) -> None:
    trace = Trace(store, "t")
    trace.ask(0, "a")
    trace.path.unlink()
    trace.ask(1, "b")
    trace.end({"status": "ok"})
    again = Trace(store, "t")
    assert (again.asked, again.outcome) == ([], None)
    assert [again.ask(i, what) for i, what in enumerate("ab")] == [None, None]


class TestKeep:
    """What a suite leaves, by `keep`."""

    def masks(self, store: Store) -> list[dict[str, torch.Tensor]]:
        found = [store.read_tensors(path.stem) for path in (store.root / "tensors").iterdir()]
        return [t for t in found if all(m.dtype == torch.bool for m in t.values())]

    def test_masks(self, tmp_path: Path, home: DataHome) -> None:
        done = drive(ONE, [method(ticket)], tmp_path, home)
        [result] = done.of("ticket")
        store = store_in(tmp_path)
        assert {path.name for path in store.root.iterdir()} == {"tensors", "values", "traces"}
        [mask] = [m for m in self.masks(store) if digest(m) == result.mask_digest]
        assert {n: (int((~m).sum()), m.numel()) for n, m in mask.items()} == result.layers

    def test_masks_that_a_rule_made(self, tmp_path: Path, home: DataHome) -> None:
        def own(run):  # type: ignore[no-untyped-def]
            return run.train(run.init(), rule=Gradual(run.sparsity, every=2))

        [result] = drive(ONE, [method(own)], tmp_path, home).of("own")
        assert [digest(m) for m in self.masks(store_in(tmp_path))] == [result.mask_digest]

    def test_finals(self, tmp_path: Path, home: DataHome) -> None:
        [result] = drive(ONE, [method(ticket)], tmp_path, home, keep="finals").of("ticket")
        store = store_in(tmp_path)
        assert not (store.root / "states").exists()
        flat, note = store.read("finals", result.weights)
        with open_run(tmp_path / "again", home) as run:
            init = run.init()
            net = run.train(init.masked(run.select(magnitude(run.train(init)))))
            assert note["origin"] == {"kind": "init", "scheme": "kaiming-normal", "seed": 0, "stream": 0}
            assert note["model"] == json.loads(json.dumps(asdict(net.model)))
            for name, w in net.params.items():
                kept = net.mask.tensors.get(name)
                assert flat[f"values/{name}"].equal(w if kept is None else w[kept])
            assert all(unpacked(flat[f"mask/{n}"], m.shape).equal(m) for n, m in net.mask.tensors.items())
        assert digest(dict(net.params)) == result.weights

    def test_all(self, tmp_path: Path, home: DataHome) -> None:
        done = drive(ONE, [method(ticket)], tmp_path, home, keep="all")
        assert len(list((store_in(tmp_path).root / "states").iterdir())) == 2
        assert done.of("ticket")[0].status == "ok"

    def test_predictions_on_the_test_set_stay(self, tmp_path: Path, home: DataHome) -> None:
        drive(ONE, [method(ticket)], tmp_path, home)
        [path] = (store_in(tmp_path).root / "values").iterdir()
        tensors, note = store_in(tmp_path).read("values", path.stem)
        assert tensors["predictions"].shape == (500,)
        assert note["right"]["test"][1] == 500

    def test_the_record_says_which_test_images_are_right(self, tmp_path: Path, home: DataHome) -> None:
        [result] = drive(ONE, [method(ticket)], tmp_path, home).of("ticket")
        [path] = (store_in(tmp_path).root / "values").iterdir()
        predictions = store_in(tmp_path).read("values", path.stem)[0]["predictions"]
        right = predictions == DataHome(home.folder, frozenset({"test"})).load("digits", "test").labels
        assert 0 < result.test.right < 500
        assert bits.flags(result.correct, 500).tolist() == right.tolist()
