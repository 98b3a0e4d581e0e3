//! The documentation's examples, run as they stand.

use std::process::Command;

use crate::support::Place;

/// The blocks marked `sh`.
fn examples(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0).collect()
}

#[tokio::test]
async fn the_examples_of_the_readme_and_the_documents_work() {
    let place = Place::bare();
    place.write("schedules.toml", include_str!("../../schedules.toml"));
    let up = place.start(&["up"]);
    let api = up.api().await;
    up.says("Dogwatch is up after").await;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dogwatch")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut printed = String::new();
    let texts = [
        include_str!("../../README.md"),
        include_str!("../../docs/ENQUEUE.md"),
        include_str!("../../docs/SERVICES.md"),
    ];
    for example in texts.iter().flat_map(|text| examples(text)) {
        let script = example.replace("http://127.0.0.1:8787", &api);
        let output = Command::new("sh")
            .args(["-e", "-c", &script])
            .current_dir(place.folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        printed += &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    for expected in
        [r#"{"stored":19}"#, "shop: 52.6 % of requests fail", "generate_performance_report", "scheduled"]
    {
        assert!(printed.contains(expected), "`{expected}` is not in:\n{printed}");
    }
}

#[test]
fn the_readme_names_every_command() {
    let help = Command::new(env!("CARGO_BIN_EXE_dogwatch")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split_once("Commands:").unwrap().1.split_once("Options:").unwrap().0;
    let names =
        commands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(include_str!("../../README.md").contains(name), "`{name}` is missing");
    }
}
