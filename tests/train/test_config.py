# SPDX-License-Identifier: GPL-3.0-or-later
"""From words and YAML to a configuration, and what is said when there is none."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from gr_tsddae import zoo
from gr_tsddae.train import __main__ as command
from gr_tsddae.train.config import (
    DataConfig,
    FewshotConfig,
    FinetuneConfig,
    NetworkChoice,
    OptimiserConfig,
    PretrainConfig,
    ProbeConfig,
    TrainerConfig,
    differences,
    for_card,
    plain,
)

NEEDED = ["--name", "x", "--out", "o"]
DATA = ["--data.kind", "npz", "--data.path", "f"]
ENDLESS = [*NEEDED, "--trainer.steps=1", "--optimiser.schedule=constant"]


def test_every_key_can_be_given_as_a_word():
    config = command.parse(
        "finetune",
        [*NEEDED, "--network.name=tsnet-nano", "--network.options={dropout: 0, layers: 3}",
         "--data.kind=npz", "--data.path", "f.npz", "--trainer.epochs", "7", "--noise_prior=0.5"],
    )  # fmt: skip
    assert config == FinetuneConfig(
        name="x",
        out=Path("o"),
        network=NetworkChoice(name="tsnet-nano", options={"dropout": 0, "layers": 3}),
        data=DataConfig(kind="npz", path=Path("f.npz")),
        trainer=TrainerConfig(epochs=7, stop_patience=25),
        noise_prior=0.5,
    )


# Those of tables and of the few-shot figure are for other commands, whose tests read them.
ONE_RUN = [n for n in command.recipes() if not n.startswith(("table", "lsm"))]


@pytest.mark.parametrize("name", ONE_RUN)
def test_packaged_recipes_are_complete(name):
    """Words win over the recipe, the recipe over defaults."""
    kind = "pretrain" if name.startswith("denoise") or name.endswith("pretrain") else "finetune"
    kind = "distill" if name.endswith("distill") else kind
    more = ["--teacher", "t"] if kind == "distill" else []
    config = command.parse(kind, ["--config", name, *NEEDED, *more, "--trainer.seed", "7"])
    assert config.trainer.seed == 7
    if name.startswith(("amc", "air", "wtc", "denoise")):
        assert (config.data.kind, config.optimiser.schedule) == ("synth", "onecycle")
        assert config.network.name == f"tsnet-{name.split('-')[1]}"
        assert config.network.options["dropout"] == 0
    else:
        assert config.network == NetworkChoice(name="tsnet-base")
        optimiser = config.optimiser
        assert (optimiser.learning_rate, optimiser.weight_decay) == (1e-3, 0.01)
        patience = (250, 1000) if kind == "pretrain" else (3, 25)
        assert (optimiser.plateau_patience, config.trainer.stop_patience) == patience


def test_the_paper_is_the_default():
    pretrain = command.parse("pretrain", [*NEEDED, "--data.kind=npz", "--data.path=f"])
    assert (pretrain.ratio, pretrain.split, pretrain.trainer.epochs) == (0.414, "paper", 15)
    assert pretrain.patience_in_steps
    fewshot = command.parse("fewshot", [*NEEDED, "--data.kind=npz", "--data.path=f"])
    assert fewshot.shots == (25, 100)
    assert (fewshot.trainer.epochs, fewshot.trainer.stop_patience) == (60, 25)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name"),
        ([*NEEDED], "give --trainer.steps"),
        ([*NEEDED, "--trainer.steps=0"], "trainer.steps is 0: it must be at least 1"),
        ([*NEEDED, "--trainer.steps=x"], "trainer.steps"),
        ([*NEEDED, "--trainer.stepz=1"], "trainer.stepz"),
        ([*NEEDED, "--trainer.seed=0"], "trainer.seed is 0"),
        ([*NEEDED, "--trainer.device=gpu"], "trainer.device is 'gpu'"),
        ([*NEEDED, "--network.name=alexnet"], "network.name is 'alexnet'; there are: amc-net"),
        ([*NEEDED, "--data.kind=mat"], "data.kind is 'mat'; there are: synth, rml2016.10a"),
        ([*NEEDED, "--data.kind=npz"], "--data.kind npz needs a --data.path"),
        ([*NEEDED, "--data.path=f"], "--data.kind synth takes no --data.path"),
        ([*NEEDED, "--optimiser.schedule=cosine"], "optimiser.schedule"),
        ([*NEEDED, "--optimiser.learning_rate=0"], "optimiser.learning_rate is 0"),
        ([*NEEDED, "--noise_prior=1", "--trainer.steps=1"], "noise_prior is 1"),
        ([*NEEDED, "--trainer.steps=1"], "optimiser.schedule is plateau"),
        (
            [*ENDLESS, "--trainer.stop_patience=10"],
            "trainer.stop_patience is 10, which counts validations",
        ),
        (["--name=../x", "--out=o", "--trainer.steps=1"], "name is '../x'"),
        (["--config", "nowhere", *NEEDED], "packaged recipes are air-small, amc-base"),
    ],
)
def test_mistakes_are_one_line(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train", "finetune", *arguments])
    assert command.main() == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert words in err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda **k: ProbeConfig(**k), "needs init"),
        (lambda **k: FewshotConfig(shots=(0,), **k), "shots is"),
        (lambda **k: PretrainConfig(ratio=0, **k), "ratio is 0"),
        (lambda **k: PretrainConfig(optimiser=OptimiserConfig(ema_decay=1), **k), "ema_decay is 1"),
    ],
)
def test_a_configuration_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make(name="x", out=Path("o"), data=DataConfig(kind="npz", path=Path("f")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trainer.epoch", "3"], "--trainer.epoch 3; did you mean --trainer.epochs?"),
        (["--trainer.epoch=3"], "did you mean --trainer.epochs?"),
        (["--trainer", "{epoch: 3}"], "--trainer.epoch; did you mean --trainer.epochs?"),
        (["--optimizer.batch", "3"], "did you mean --optimiser.batch?"),
        (["--ini", "x"], "--ini x; did you mean --init?"),
        (["--trainer.seed", "0"], "error: --trainer.seed is 0: it must be"),
        (["--noise_prior", "7"], "error: --noise_prior is 7.0: it must be"),
        (["--trainer.epochs", "x"], "error: --trainer.epochs: 'x' is no number; write"),
        (["--trainer.epochs", "1.5"], "--trainer.epochs: '1.5' is no whole number; write 1024"),
        (["--noise_prior=0,5"], "--noise_prior: '0,5' is no number; write"),
        (["--optimiser.learning_rate", "nan"], "--optimiser.learning_rate is nan: give a finite"),
    ],
)
def test_an_option_is_called_as_it_is_typed(words, said, capsys):
    """A misspelt one is refused, too: an abbreviation could begin hours of the wrong training."""
    assert command.main(["finetune", *NEEDED, *DATA, *words]) == 1
    assert said in capsys.readouterr().err


def test_numbers_are_written_as_in_other_commands():
    words = ["--trainer.steps=2k", "--optimiser.batch", "1_024", "--trainer.epochs", "1e2"]
    made = command.parse("finetune", [*NEEDED, *DATA, *words, "--optimiser.learning_rate", "1e-4"])
    assert (made.trainer.steps, made.optimiser.batch, made.trainer.epochs) == (2000, 1024, 100)
    assert made.optimiser.learning_rate == 1e-4
    assert command.parse("finetune", [*NEEDED, *DATA, "--trainer.steps=null"]).trainer.steps is None


def test_a_model_with_a_name_alone_goes_where_it_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    made = command.parse("finetune", ["--name", "mine", *DATA])
    assert made.out == zoo.user_folder() / "mine"
    assert command.parse("finetune", ["--name=mine", "--out=o", *DATA]).out == Path("o")


def test_what_is_missing_is_called_as_it_is_typed(capsys):
    assert command.main(["finetune", *DATA]) == 1
    assert "are required: --name, --out" in capsys.readouterr().err


def test_an_unknown_command_and_none(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train", "tune"])
    assert command.main() == 1
    assert "no command 'tune'; did you mean 'finetune'?" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["train"])
    assert command.main() == 0
    assert "amc-nano" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "how"),
    [
        (["finetune", *ENDLESS], "resumes from the last checkpoint"),
        (["teach", "--captures=c", "--base=b", "--out=o"], "begins anew"),
        (["fewshot", "--captures=c", "--base=b", "--out=o"], "begins anew"),
        (["evaluate", "--model=m", "--out=o"], "begins anew"),
    ],
)
def test_a_stopped_run_says_how_to_go_on(words, how, monkeypatch, capsys):
    def stopped(config):
        raise KeyboardInterrupt

    for name in ("finetune", "teach", "evaluate"):
        monkeypatch.setattr(f"gr_tsddae.train.{name}.{name}", stopped)
    monkeypatch.setattr(sys, "argv", ["train", *words])
    assert command.main() == 130
    assert capsys.readouterr().err == f"stopped; the same command {how}\n"


def test_differences_name_what_matters():
    constant = OptimiserConfig(schedule="constant")
    old = FinetuneConfig(
        name="x", out=Path("a"), optimiser=constant, trainer=TrainerConfig(steps=5)
    )
    new = FinetuneConfig(
        name="x",
        out=Path("b"),
        network=NetworkChoice(options={"dropout": 0.1}),
        optimiser=constant,
        trainer=TrainerConfig(steps=6, checkpoint_steps=1, device="cpu"),
    )
    assert differences(plain(old), plain(new)) == ["network.options.dropout", "trainer.steps"]
    assert differences(plain(old), plain(old)) == []


def test_the_same_place_is_no_difference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "link").symlink_to("base")
    monkeypatch.setenv("HOME", str(tmp_path))
    first, *others = (
        command.parse("finetune", [*ENDLESS, f"--init={init}"])
        for init in ("base", "./base", "link", "~/base", tmp_path / "base")
    )
    for other in others:
        assert differences(plain(first), plain(other)) == []
    recorded_before = plain(first) | {"init": "base"}  # by earlier versions
    assert differences(recorded_before, plain(others[-1])) == []
    named = command.parse("finetune", [*ENDLESS, "--init=amc-nano"])
    assert plain(named)["init"] == "amc-nano"
    assert differences(plain(first), plain(named)) == ["init"]


def test_help_imports_no_torch():
    program = (
        "import sys; from gr_tsddae.train import __main__ as c; c.overview(); "
        "c.parse('pretrain', ['--name=x', '--out=o', '--trainer.steps=1']); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.skipif(
    not importlib.util.find_spec("docstring_parser"), reason="needs docstring-parser"
)
def test_help_explains_every_key(capsys):
    with pytest.raises(SystemExit):
        command.parse("pretrain", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("lambda of Eq. 7", "Passes over the training set", "Weight decay of AdamW"):
        assert words in text


def test_a_card_names_files_but_not_their_folders(tmp_path):
    config = FinetuneConfig(
        name="a",
        out=tmp_path / "out",
        init=tmp_path / "runs" / "pretrained",
        data=DataConfig(kind="npz", path=tmp_path / "windows.npz"),
    )
    told = for_card(config)
    assert str(tmp_path) not in str(told)
    assert (told["init"], told["data"]["path"]) == ("pretrained", "windows.npz")
    assert told["optimiser"] == plain(config)["optimiser"]
    assert plain(config).keys() - told.keys() == {"out"}
