//! The documentation's examples, run as they stand.

use std::process::Command;

use crate::support::Place;

const TEXTS: [&str; 7] = [
    include_str!("../../README.md"),
    include_str!("../../docs/ENQUEUE.md"),
    include_str!("../../docs/SERVICES.md"),
    include_str!("../../docs/ALERTS.md"),
    include_str!("../../docs/OPERATING.md"),
    include_str!("../../docs/DETECTION.md"),
    // The last: with the key that it makes, the address is no longer open.
    include_str!("../../docs/API.md"),
];

/// The blocks of a language.
fn examples<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let blocks = text.split(start.as_str()).skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0).collect()
}

/// Settings that are copied into a dogwatch.toml have to be taken.
#[test]
fn the_settings_of_the_documents_are_valid() {
    let channels = ["ops", "pager", "boss"]
        .map(|name| format!("[[notify.webhooks]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:9\"\n"))
        .concat();
    let schedules = |text: &str| text.contains("[schedules.");
    let mut seen = 0;
    for example in TEXTS.iter().flat_map(|text| examples(text, "toml")).filter(|text| !schedules(text)) {
        let place = Place::bare();
        let routed = example.contains("[[routes]]");
        place.write(
            "dogwatch.toml",
            &if routed { format!("{example}\n{channels}") } else { example.to_owned() },
        );
        let output = place.run(&["channels", "list"]);
        assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
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
    for example in TEXTS.iter().flat_map(|text| examples(text, "sh")) {
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
