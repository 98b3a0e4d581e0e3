//! Mail through a server that somebody else has written, with TLS and a login, as most people have it.

use dogwatch_testing::free_port;
use serde_json::Value;

use crate::peers::{Authority, Peer};
use crate::support::Place;

/// A channel that reaches the server in this way.
fn channel(name: &str, port: u16, security: &str, more: &str) -> String {
    format!(
        "[[notify.email]]\nname = \"{name}\"\nhost = \"localhost\"\nport = {port}\nsecurity = \"{security}\"\n\
         from = \"Dogwatch <dogwatch@example.com>\"\nto = [\"ops@example.com\"]\ntimeout = \"5s\"\n{more}\n"
    )
}

#[tokio::test]
async fn mail_goes_over_tls_and_starttls_with_a_login_and_not_without() {
    let place = Place::bare();
    let authority = Authority::new(place.folder.path());
    let (certificate, key) = authority.certificate("mail", 30);
    let (tls, starttls) = (free_port(), free_port());
    let [tls_text, starttls_text] = [tls, starttls].map(|port| port.to_string());
    let files = [certificate, key].map(|file| file.to_str().unwrap().to_owned());
    let mut server = Peer::start("mail_server.py", &[&files[0], &files[1], &tls_text, &starttls_text]).await;

    let trusted = format!("ca_file = \"{}\"\n", authority.file.display());
    let login = |password: &str| format!("username = \"dogwatch\"\npassword = \"{password}\"\n");
    let right = trusted.clone() + &login("right-4711");
    place.write(
        "dogwatch.toml",
        &[
            channel("tls", tls, "tls", &right),
            channel("starttls", starttls, "starttls", &right),
            channel("wrong-password", tls, "tls", &(trusted.clone() + &login("wrong-4711"))),
            channel("no-login", starttls, "starttls", &trusted),
            channel("not-trusted", tls, "tls", &login("right-4711")),
            channel("plain", starttls, "none", ""),
        ]
        .concat(),
    );
    for name in ["tls", "starttls"] {
        let output = place.run(&["channels", "test", name]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let mail: Value = serde_json::from_str(&server.line().await).unwrap();
        assert_eq!((&mail["tls"], &mail["user"]), (&true.into(), &"dogwatch".into()), "{name}");
        assert_eq!(mail["to"][0], "ops@example.com");
        assert!(mail["text"].as_str().unwrap().contains("A test of this channel"));
    }
    for (name, reason) in [
        ("wrong-password", "refuses the login with 535"),
        ("no-login", "530"),
        ("not-trusted", "certificate"),
        ("plain", "530"),
    ] {
        let output = place.run(&["channels", "test", name]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{name}: {said}");
        assert!(!said.contains("4711"), "{name} tells a secret: {said}");
    }
}
