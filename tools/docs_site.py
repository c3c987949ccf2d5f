# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of mkdocs.yml.

Paths of the site are those of the repository, so a link leads to the same page here and there.
"""

import re
from pathlib import Path

import yaml
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
INDEX, GALLERY = "docs/README.md", "examples/README.md"
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")
EXAMPLE = re.compile(r"^\* \[(\w+)\.grc\]\(.*?\): (.*(?:\n  .*)*)\n", re.MULTILINE)
BLOCKS = sorted(path.stem[:-6] for path in ROOT.glob("python/gr_tsddae/blocks/*_block.py"))
API = {  # page of the API reference -> its modules
    "Recognise": ["inference.recognizer", "inference.decision", "inference.denoiser"],
    "Survey": ["survey.stream", "survey.emission"],
    "Blocks": [
        "blocks.network.block.WindowBlock",
        *(f"blocks.{name}_block.{name}" for name in BLOCKS),
    ],
    "Recordings and windows": [
        "iq.captures", "iq.cut_out", "iq.windows", "iq.sigmf.annotations", "report.timeline"
    ],
    "Datasets": ["data", "data.dataset", "data.splits"],
    "Synthetic signals": ["synth.recipes"],
    "Networks": ["nets", "nets.classifier"],
    "Models on disk": ["zoo.folder", "zoo.card", "zoo.errors"],
    "Training": [
        "train.config", "train.pretrain", "train.finetune", "train.teach", "train.evaluate"
    ],
}  # fmt: skip


def on_config(config):
    """Make the navigation of the headings and lists of docs/README.md."""
    config.nav = [{"Home": "README.md"}, {"All pages": INDEX}]
    for section in re.split(r"^## ", read(INDEX), flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        pages = re.findall(r"^\* \[(.+?)\]\((.+?\.md)\)", section, re.MULTILINE)
        if pages:
            config.nav.append({heading: [{title: beside(INDEX, to)} for title, to in pages]})
    config.nav.append({"API": [{title: api_path(title)} for title in API]})
    return config


def on_files(files, config):
    """Take the pages of docs/, what they link to, and the API reference."""
    found = Files([file for file in files if file.src_dir != config.docs_dir])  # the theme's
    todo = ["README.md", *(beside(INDEX, path) for path in ROOT.glob("docs/*.md"))]
    todo += [beside(INDEX, path) for path in ROOT.glob("docs/site/*")]
    for path in todo:  # grows meanwhile
        if path in found.src_uris or not (ROOT / path).is_file():
            continue
        if not path.endswith(".md"):
            found.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
            continue
        text = read(path) if path != GALLERY else EXAMPLE.sub(example, read(path))
        found.append(File.generated(config, path, content=text))
        todo += [beside(path, target) for target in LINK.findall(text)]
    for title, modules in API.items():
        text = "\n".join([f"# {title}", "", *(f"::: gr_tsddae.{name}" for name in modules)])
        found.append(File.generated(config, api_path(title), content=text))
    return found


def example(line):
    """Turn a line of the gallery into a card with the pictures and the note of the flowgraph."""
    name, says = line.groups()
    pictures = sorted(ROOT.glob(f"docs/images/{name}.png")) + sorted(
        ROOT.glob(f"docs/images/{name}-*.png")
    )
    about = yaml.safe_load(read(f"examples/{name}.grc").partition("\nblocks:")[0])  # no more: slow
    note = about["options"]["parameters"]["comment"]
    return "\n".join([
        '<article markdown="1">', f"### {name}", says, "",
        *(f"[![{path.stem}](../docs/images/{path.name})](../docs/images/{path.name})"
          for path in pictures),
        "", f"[{name}.grc]({name}.grc)", "", "```", note, "```", "</article>", "", "",
    ])  # fmt: skip


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def beside(page, target):
    """Give the path in the repository of what a page calls `target`."""
    path = (ROOT / page).parent.joinpath(target).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


def api_path(title):
    return f"api/{title.lower().replace(' ', '-')}.md"
