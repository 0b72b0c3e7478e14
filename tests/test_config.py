from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from visioncli import config
from visioncli.errors import UsageError

KNOWN = {
    "conf": float, "max_det": int, "offline": bool, "model": str, "out": Path, "tag": list[str],
}  # fmt: skip


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def here(text: str) -> None:
    Path("vision.toml").write_text(text)


def user(text: str) -> Path:
    path = Path(platformdirs.user_config_dir("vision")) / "vision.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(command: str = "detect", **more: Any) -> dict[str, Any]:
    return config.load_defaults(command, KNOWN, **more)


def test_nothing_anywhere_sets_nothing() -> None:
    assert load() == {}


def test_the_nearer_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    user('conf = 0.1\nmodel = "user"\nmax-det = 1\n[detect]\nout = "user"')
    assert load() == {"conf": 0.1, "model": "user", "max_det": 1, "out": "user"}
    here('conf = 0.2\n[detect]\nmodel = "folder"\n')
    assert load() == {"conf": 0.2, "model": "folder", "max_det": 1, "out": "user"}
    monkeypatch.setenv("VISION_CONF", "0.3")
    assert load()["conf"] == 0.3


def test_a_table_wins_over_the_top_and_is_for_its_command_only() -> None:
    here("conf = 0.2\n[detect]\nconf = 0.4\n[classify]\nconf = 0.9\n")
    tree = {"detect": KNOWN, "classify": KNOWN}
    assert load("detect", others=lambda: tree) == {"conf": 0.4}
    assert load("classify", others=lambda: tree) == {"conf": 0.9}


def test_a_named_file_replaces_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user("conf = 0.1")
    here("conf = 0.2")
    (tmp_path / "a.toml").write_text("max-det = 3")
    (tmp_path / "b.toml").write_text("max-det = 4")
    monkeypatch.setenv("VISION_CONFIG", "a.toml")
    assert load() == {"max_det": 3}
    assert load(file=Path("b.toml")) == {"max_det": 4}
    with pytest.raises(UsageError, match=r"none\.toml: no such"):
        load(file=Path("none.toml"))


def test_values_become_what_the_option_takes() -> None:
    here('conf = 1\nmax-det = 5\noffline = true\nmodel = ["person", "car"]\nout = "x"\ntag = "one"\n')
    expected = {"conf": 1.0, "max_det": 5, "offline": True, "model": "person,car", "out": "x", "tag": ["one"]}
    assert load() == expected
    here("model = 640\ntag = ['a', 'b']\nmax_det = 7")
    assert load() == {"model": "640", "tag": ["a", "b"], "max_det": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('conf = "high"', r'vision\.toml: conf = "high": a number is wanted'),
        ("conf = true", "conf = true: a number is wanted"),
        ("max-det = 1.5", r"max-det = 1\.5: a whole number is wanted"),
        ("offline = 1", "offline = 1: true or false is wanted"),
        ("model = true", "model = true: text is wanted"),
        ("[detect]\nconf = []", r"\[detect\] conf = \[\]: a number is wanted"),
        ("cnof = 0.3", r"vision\.toml: cnof is no option.*did you mean conf\?"),
        ("[detect]\nmax-dets = 3", r"\[detect\] max-dets is no option.*did you mean max-det\?"),
        ("[detct]\nconf = 0.3", r"\[detct\] is no command.*did you mean detect\?"),
        ("detect = 1", "detect is a table"),
        ("force = true", "force cannot be set in a file.*command line"),
        ("[detect]\ntrust-checkpoint = true", "trust-checkpoint cannot be set"),
        ("conf = ", r"vision\.toml: not TOML"),
        ("\udcff", r"vision\.toml: not TOML"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    Path("vision.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=message) as error:
        load()
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_det", "50", 50), ("conf", "0.5", 0.5), ("model", "yolo11n", "yolo11n"),
        ("offline", "1", True), ("offline", "false", False), ("offline", "No", False),
        ("tag", "a,b", ["a", "b"]),
    ],
)  # fmt: skip
def test_variables(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"VISION_{name.upper()}", text)
    assert load() == {name: value}


@pytest.mark.parametrize(("name", "text"), [("max_det", "many"), ("conf", "0,5"), ("offline", "maybe")])
def test_a_variable_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"VISION_{name.upper()}", text)
    with pytest.raises(UsageError, match=f"VISION_{name.upper()}={text}"):
        load()


def test_empty_and_unknown_variables_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_CONF", "")
    monkeypatch.setenv("VISION_SOMETHING_ELSE", "1")
    assert load() == {}


@given(st.floats(0, 1), st.integers(0, 10**9), st.booleans())
def test_a_variable_means_what_the_file_means(conf: float, max_det: int, offline: bool) -> None:
    here(f"conf = {conf!r}\nmax-det = {max_det}\noffline = {str(offline).lower()}")
    from_file = load()
    Path("vision.toml").unlink()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in from_file.items():
            patch.setenv(f"VISION_{name.upper()}", str(value))
        assert load() == from_file


class Device(enum.StrEnum):
    cpu = "cpu"
    cuda = "cuda"


Config = Annotated[Path | None, typer.Option("--config", is_eager=True, callback=config.apply)]


def small_app() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    models = typer.Typer()
    app.add_typer(models, name="models")

    @app.callback()
    def root() -> None: ...

    @app.command()
    def detect(
        inputs: Annotated[list[str] | None, typer.Argument()] = None,
        conf: Annotated[float, typer.Option(min=0, max=1)] = 0.25,
        device: Device = Device.cpu,
        tag: Annotated[list[str] | None, typer.Option()] = None,
        out: Path | None = None,
        offline: bool = False,
        force: Annotated[bool, typer.Option("--force")] = False,
        config: Config = None,
    ) -> None:
        print(inputs, conf, device.value, tag, out, offline, force)

    @app.command()
    def classify(top_k: int = 5, config: Config = None) -> None:
        print(top_k)

    @models.command("list")
    def listing(sort: str = "name", config: Config = None) -> None:
        print(sort)

    return app


def run(*arguments: str) -> str:
    result = CliRunner().invoke(small_app(), arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_a_typer_app_takes_its_defaults_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("detect", "a") == "['a'] 0.25 cpu None None False False"
    here('conf = 0.4\n[detect]\ndevice = "cuda"\ntag = ["x", "y"]\nout = "o"\noffline = true\n')
    assert run("detect", "a") == "['a'] 0.4 cuda ['x', 'y'] o True False"
    monkeypatch.setenv("VISION_CONF", "0.5")
    monkeypatch.setenv("VISION_FORCE", "1")
    assert run("detect") == "None 0.5 cuda ['x', 'y'] o True False"
    assert run("detect", "--conf", "0.6", "--tag", "z", "--no-offline") == "None 0.6 cuda ['z'] o False False"


def test_one_file_serves_all_commands() -> None:
    here('conf = 0.4\ntop-k = 3\n[classify]\n[models]\nsort = "map"\n')
    assert run("classify") == "3"
    assert run("detect").startswith("None 0.4")
    assert run("models", "list") == "map"
    here("[detect]\ntop-k = 3")
    with pytest.raises(UsageError, match="top-k is no option"):
        run("detect")
    here("topk = 3")
    with pytest.raises(UsageError, match=r"did you mean top-k\?"):
        run("detect")


def test_another_file_can_be_named_anywhere_on_the_line() -> None:
    here("conf = 0.4")
    Path("other.toml").write_text("conf = 0.7")
    assert run("detect", "--offline", "--config", "other.toml").startswith("None 0.7")


def test_a_range_holds_for_a_file_too() -> None:
    here("conf = 7")
    result = CliRunner().invoke(small_app(), ["detect"])
    assert result.exit_code == 2 and "--conf" in result.output


def test_help_works_whatever_the_file_says() -> None:
    here("= broken")
    assert "--conf" in run("detect", "--help")


def test_nothing_of_the_machine_is_read_in_tests() -> None:
    assert platformdirs.user_config_dir("vision").startswith(os.environ["XDG_CONFIG_HOME"])
